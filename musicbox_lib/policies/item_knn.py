"""Item k-nearest neighbours: what stands in the same sessions as the tracks that the user let play."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

from musicbox_lib.blocks.candidates import SOURCES, Candidates
from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.policies import base
from musicbox_lib.policies.base import Arrays, FittedPolicy
from musicbox_lib.policies.popularity import Popularity
from musicbox_lib.policies.ranking import EXPLORE, or_popular
from musicbox_lib.policies.steps import LIMIT, drop_heard, highest, soften

ANSWER_WEIGHTS = np.array([0.25, 1.0, 0.5, -0.25, -0.5])
"""What a play says of its neighbours by its answer -1 to 3: unlabelled, not skipped, skip_3, skip_2, skip_1. A skip
says half of what a finished play says: a track is also skipped for reasons of the moment."""
FADE = 0.95
"""Weight of a play against the one after it: half after 14 plays, about a session."""
TEMPERATURE = 0.1
"""Of the score relative to the row's best: a track half as good as the best is e^5 times less likely."""
CELLS = 4_000_000
"""Scores held at a time (32 MB): rows are worked off in blocks of CELLS / catalogue size."""


class ItemKnn(FittedPolicy):
    """Sum over the last plays of answer weight x fade x similarity, over their neighbours."""

    name = "item_knn"
    label = "item-kNN"
    needs_plays = False

    def __init__(self, catalogue: Catalogue, answer_weights: npt.NDArray[np.float64] = ANSWER_WEIGHTS) -> None:
        self._size = len(catalogue)
        self._answer_weights = answer_weights
        self._neighbours = catalogue.neighbours
        self._similarities = np.where(catalogue.neighbours >= 0, catalogue.similarities, 0.0)
        self._popularity = Popularity(catalogue)

    @classmethod
    def from_arrays(cls, arrays: Arrays, catalogue: Catalogue, temperature: float = base.TEMPERATURE) -> Self:  # noqa: ARG003
        """The policy of the catalogue alone; its temperature is fixed."""
        return cls(catalogue)

    @classmethod
    def can_stand_in(cls, catalogue: Catalogue) -> bool:
        """Where any track has neighbours."""
        return bool((catalogue.neighbours >= 0).any())

    def propose(self, contexts: ContextBlock) -> Candidates:
        """The best LIMIT unheard tracks by score; popularity's where fewer than three have a score above 0."""
        scores, tracks = self.best(contexts)
        best = scores.max(axis=1, keepdims=True, initial=0.0)
        relative = np.divide(scores, best, out=np.zeros_like(scores), where=best > 0)
        own = Candidates(
            tracks=tracks,
            scores=scores.astype(np.float32),
            probabilities=soften(tracks, relative, TEMPERATURE, EXPLORE),
            sources=np.full(tracks.shape, SOURCES.index("item_knn"), dtype=np.int8),
            explore=EXPLORE,
        )
        return or_popular(own, self._popularity.propose(contexts))

    def best(self, contexts: ContextBlock) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        """Scores and tracks (n, C) of the best LIMIT tracks, unheard and with a score above 0; 0 and -1 pads."""
        step = max(1, CELLS // max(self._size, 1))
        parts = [self._block(contexts.take(slice(at, at + step))) for at in range(0, len(contexts), step)]
        if not parts:
            return np.zeros((0, 1)), np.full((0, 1), -1, dtype=np.int32)
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def _block(self, contexts: ContextBlock) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        n, plays = contexts.tracks.shape
        age = np.arange(plays)[::-1]
        said = np.where(contexts.tracks >= 0, self._answer_weights[contexts.grades + 1] * FADE**age, 0.0)
        near = np.where((contexts.tracks >= 0)[:, :, None], self._neighbours[contexts.tracks.clip(min=0)], -1)
        weight = said[:, :, None] * self._similarities[contexts.tracks.clip(min=0)]
        cells = np.arange(n, dtype=np.int64)[:, None, None] * self._size + near
        known = near >= 0
        dense = np.bincount(cells[known], weight[known], minlength=n * self._size).reshape(n, self._size)
        columns = highest(dense, LIMIT)
        scores = np.take_along_axis(dense, columns, axis=1)
        tracks = drop_heard(np.where(scores > 0, columns, -1).astype(np.int32), contexts)
        return np.where(tracks >= 0, scores, 0.0), tracks
