"""What is played where the listener is: charts have other favourites than the radio."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from musicbox_lib.policies.catalogue import Catalogue
from musicbox_lib.policies.interface import CONTEXT_TYPES, ContextBlock
from musicbox_lib.policies.ranking import TEMPERATURE, WholeCatalogue

OVERALL = 20.0
"""Plays that the overall shares weigh in a context's own: about one per hundred tracks of the demo's catalogue, so a
context with little to show ranks as everybody does."""


class PopularityInContext(WholeCatalogue):
    """Score = log of the track's share of the training users' plays in that context."""

    name = "popularity_in_context"

    def __init__(self, catalogue: Catalogue, plays: NDArray[np.int64], temperature: float = TEMPERATURE) -> None:
        """`plays` (contexts, K) in the order of CONTEXT_TYPES."""
        super().__init__(catalogue, temperature)
        shares = (catalogue.plays + 1) / (catalogue.plays + 1).sum()
        smoothed = np.concatenate([plays, np.zeros((1, plays.shape[1]))]) + OVERALL * shares
        # The last row stands for a context that nobody knows: the overall shares.
        self._scores = np.log(smoothed / smoothed.sum(axis=1, keepdims=True))

    def scores(self, contexts: ContextBlock) -> NDArray[np.float64]:
        """(n, K)"""
        rows: NDArray[np.float64] = self._scores[np.where(contexts.context >= 0, contexts.context, len(CONTEXT_TYPES))]
        return rows
