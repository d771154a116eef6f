"""Any unheard track, all alike: the floor every policy is held against."""

from __future__ import annotations

from typing import Self

import numpy as np

from musicbox_lib.blocks.candidates import SOURCES, Candidates
from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.blocks.draws import keys_of, uniforms
from musicbox_lib.policies.base import TEMPERATURE, Arrays, FittedPolicy
from musicbox_lib.policies.fit_inputs import FitInputs
from musicbox_lib.policies.steps import LIMIT, drop_heard, first_of_equals

WHOLE_CATALOGUE = 4096
"""Up to that many tracks all of them are candidates, so the chances are exact: 4,096 of them take 35 kB a context.
Above, LIMIT of them drawn by the context's key are; over keys each track still has the same chance, but a single
context's chances are those of its own draw."""


class Random(FittedPolicy):
    """Even over the unheard tracks."""

    name = "random"
    label = "random"
    needs_plays = False

    def __init__(self, catalogue: Catalogue, seed: int) -> None:
        self._size = len(catalogue)
        self._seed = seed

    @classmethod
    def fit(cls, inputs: FitInputs) -> Arrays:
        """The seed."""
        return {"seed": np.array(inputs.seed)}

    @classmethod
    def from_arrays(cls, arrays: Arrays, catalogue: Catalogue, temperature: float = TEMPERATURE) -> Self:  # noqa: ARG003
        """The policy of that seed; its chances have no temperature."""
        return cls(catalogue, int(arrays["seed"]))

    def propose(self, contexts: ContextBlock) -> Candidates:
        """All unheard tracks, or LIMIT drawn ones, with equal chances."""
        if self._size <= WHOLE_CATALOGUE:
            tracks = np.tile(np.arange(self._size, dtype=np.int32), (len(contexts), 1))
            rows, places = np.nonzero(contexts.in_session & (contexts.tracks >= 0))
            tracks[rows, contexts.tracks[rows, places]] = -1
        else:
            drawn = uniforms(keys_of(contexts.keys), self._seed, np.arange(LIMIT)) * self._size
            tracks = drop_heard(first_of_equals(drawn.astype(np.int32)), contexts)
        held = tracks >= 0
        count = held.sum(axis=1, keepdims=True)
        return Candidates(
            tracks=tracks,
            scores=np.zeros(tracks.shape, dtype=np.float32),
            probabilities=np.divide(held, count, out=np.zeros(tracks.shape), where=count > 0),
            sources=np.full(tracks.shape, SOURCES.index("explore"), dtype=np.int8),
        )
