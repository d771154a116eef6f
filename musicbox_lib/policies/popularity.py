"""What everybody plays: the chance of a track is its share of plays among the most played unheard ones."""

from __future__ import annotations

from typing import Self

import numpy as np

from musicbox_lib.blocks.candidates import SOURCES, Candidates
from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.policies.base import TEMPERATURE, Arrays, FittedPolicy
from musicbox_lib.policies.steps import LIMIT, drop_heard

ENOUGH = 23
"""A slate, and the 20 tracks that a session may have heard."""


class Popularity(FittedPolicy):
    """The most played tracks, at most LIMIT. Of tracks that tie over that edge none is taken, as long as ENOUGH are:
    which of them are would be decided by how their ids are spelled."""

    name = "popularity"
    label = "popularity"
    needs_plays = False
    is_control = True

    def __init__(self, catalogue: Catalogue) -> None:
        order = np.lexsort((np.arange(len(catalogue)), -catalogue.plays))
        beyond = catalogue.plays[order[LIMIT]] if len(order) > LIMIT else -1
        clear = order[:LIMIT][catalogue.plays[order[:LIMIT]] > beyond]
        order = clear if len(clear) >= ENOUGH else order[:LIMIT]
        # A track that nobody has played yet keeps the chance of a single play, so that a new catalogue has answers.
        plays = np.maximum(catalogue.plays[order], 1).astype(np.float64)
        self._tracks = order.astype(np.int32)
        self._shares = plays / plays.sum()

    @classmethod
    def from_arrays(cls, arrays: Arrays, catalogue: Catalogue, temperature: float = TEMPERATURE) -> Self:  # noqa: ARG003
        """The policy of the catalogue alone; its chances have no temperature."""
        return cls(catalogue)

    @classmethod
    def can_stand_in(cls, catalogue: Catalogue) -> bool:  # noqa: ARG003
        """Over any catalogue."""
        return True

    def propose(self, contexts: ContextBlock) -> Candidates:
        """The most played unheard tracks; score = log of the share of plays."""
        tracks = drop_heard(np.tile(self._tracks, (len(contexts), 1)), contexts)
        weights = np.where(tracks >= 0, self._shares, 0.0)
        total = weights.sum(axis=1, keepdims=True)
        return Candidates(
            tracks=tracks,
            scores=np.tile(np.log(self._shares).astype(np.float32), (len(contexts), 1)),
            probabilities=np.divide(weights, total, out=np.zeros_like(weights), where=total > 0),
            sources=np.full(tracks.shape, SOURCES.index("popularity"), dtype=np.int8),
        )
