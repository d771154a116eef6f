"""What the fitted baselines share: a score for every track of the catalogue, the best unheard ones as candidates, and
popularity where a context gives nothing to score by."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from musicbox_lib.blocks.candidates import SOURCES, Candidates
from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.policies.base import TEMPERATURE, FittedPolicy
from musicbox_lib.policies.popularity import Popularity
from musicbox_lib.policies.steps import LIMIT, FloatArray, Int32Array, highest, soften

EXPLORE = 0.05
"""Share of chance spread evenly over the candidates, so that each has one that counterfactual reports can use."""
ENOUGH = 3
"""A slate's worth of tracks with evidence; below, the row falls back to popularity."""
CELLS = 4_000_000
"""Scores held at a time (32 MB): rows are worked off in blocks of CELLS / catalogue size."""


class Ranked(FittedPolicy):
    """A policy that puts tracks in an order; chances and the fallback are the same for all of them."""

    def __init__(self, catalogue: Catalogue, temperature: float = TEMPERATURE) -> None:
        self.catalogue = catalogue
        self.temperature = temperature
        self._popularity = Popularity(catalogue)

    @abstractmethod
    def candidates(self, contexts: ContextBlock) -> tuple[Int32Array, FloatArray]:
        """The best unheard tracks (n, C), at most LIMIT a row in the order of their positions, -1 pads; and their
        scores (n, C), the higher the better."""

    def propose(self, contexts: ContextBlock) -> Candidates:
        """The candidates with chances by `soften`; popularity's where fewer than three tracks have a score."""
        step = max(1, CELLS // max(len(self.catalogue), 1))
        starts = range(0, max(len(contexts), 1), step)
        return concatenated([self._propose(contexts.take(slice(at, at + step))) for at in starts])

    def _propose(self, contexts: ContextBlock) -> Candidates:
        tracks, scores = self.candidates(contexts)
        own = Candidates(
            tracks=tracks,
            scores=scores.astype(np.float32),
            probabilities=soften(tracks, scores, self.temperature, EXPLORE),
            sources=np.full(tracks.shape, SOURCES.index("baseline"), dtype=np.int8),
            explore=EXPLORE,
        )
        return or_popular(own, self._popularity.propose(contexts))


class WholeCatalogue(Ranked):
    """A policy that scores every track."""

    @abstractmethod
    def scores(self, contexts: ContextBlock) -> FloatArray:
        """(n, K) scores, the higher the better; -inf where nothing is known of a track or a context."""

    def candidates(self, contexts: ContextBlock) -> tuple[Int32Array, FloatArray]:
        """The LIMIT best unheard tracks."""
        # Rounded because the last bits of a matrix product depend on how many rows the block has.
        scores = np.round(self.scores(contexts), 5)
        rows, places = np.nonzero(contexts.in_session & (contexts.tracks >= 0))
        scores[rows, contexts.tracks[rows, places]] = -np.inf
        columns = highest(scores, LIMIT)
        best = np.take_along_axis(scores, columns, axis=1)
        held = np.isfinite(best)
        return np.where(held, columns, -1).astype(np.int32), np.where(held, best, 0.0)


def or_popular(own: Candidates, popular: Candidates) -> Candidates:
    """A policy's own candidates, but popularity's, with the policy's exploring share, in rows where the policy has
    fewer than ENOUGH tracks."""
    choose = (own.tracks >= 0).sum(axis=1, keepdims=True) >= ENOUGH
    width = max(own.tracks.shape[1], popular.tracks.shape[1])
    unheard = popular.tracks >= 0
    even = unheard / np.maximum(unheard.sum(axis=1, keepdims=True), 1)
    fallen_back = (1 - own.explore) * popular.probabilities + own.explore * even

    def chosen(ours: npt.NDArray[Any], theirs: npt.NDArray[Any], pad: float) -> npt.NDArray[Any]:
        return np.where(choose, _widen(ours, width, pad), _widen(theirs, width, pad))

    return Candidates(
        tracks=chosen(own.tracks, popular.tracks, -1).astype(np.int32),
        scores=chosen(own.scores, popular.scores, 0.0).astype(np.float32),
        probabilities=chosen(own.probabilities, fallen_back, 0.0),
        sources=chosen(own.sources, popular.sources, SOURCES.index("popularity")).astype(np.int8),
        explore=own.explore,
    )


def concatenated(blocks: list[Candidates]) -> Candidates:
    """Blocks of one policy's candidates as one; they may differ in width."""
    width = max(block.tracks.shape[1] for block in blocks)
    pads: dict[str, float] = {"tracks": -1, "scores": 0.0, "probabilities": 0.0, "sources": 0}
    columns: dict[str, Any] = {
        name: np.concatenate([_widen(getattr(block, name), width, pad) for block in blocks])
        for name, pad in pads.items()
    }
    return replace(blocks[0], **columns)


def _widen(values: npt.NDArray[Any], width: int, pad: float) -> npt.NDArray[Any]:
    return np.pad(values, ((0, 0), (0, width - values.shape[1])), constant_values=pad)
