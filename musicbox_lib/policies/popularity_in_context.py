"""What is played where the listener is: charts have other favourites than the radio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import CONTEXT_TYPES, ContextBlock
from musicbox_lib.policies.base import TEMPERATURE, Arrays
from musicbox_lib.policies.fit_inputs import FitInputs
from musicbox_lib.policies.ranking import WholeCatalogue

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

OVERALL = 20.0
"""Plays that the overall shares weigh in a context's own: about one per hundred tracks of the demo's catalogue, so a
context with little to show ranks as everybody does."""


class PopularityInContext(WholeCatalogue):
    """Score = log of the track's share of the training users' plays in that context."""

    name = "popularity_in_context"
    label = "popularity in context"

    def __init__(self, catalogue: Catalogue, plays: NDArray[np.int64], temperature: float = TEMPERATURE) -> None:
        """`plays` (contexts, K) in the order of CONTEXT_TYPES."""
        super().__init__(catalogue, temperature)
        shares = (catalogue.plays + 1) / (catalogue.plays + 1).sum()
        smoothed = np.concatenate([plays, np.zeros((1, plays.shape[1]))]) + OVERALL * shares
        # The last row stands for a context that nobody knows: the overall shares.
        self._scores = np.log(smoothed / smoothed.sum(axis=1, keepdims=True))

    @classmethod
    def fit(cls, inputs: FitInputs) -> Arrays:
        """The plays counted by context and track."""
        return {"plays": plays_by_context(inputs.plays, inputs.catalogue)}

    @classmethod
    def from_arrays(cls, arrays: Arrays, catalogue: Catalogue, temperature: float = TEMPERATURE) -> Self:
        """The policy of those counts."""
        return cls(catalogue, arrays["plays"], temperature)

    def scores(self, contexts: ContextBlock) -> NDArray[np.float64]:
        """(n, K)"""
        rows: NDArray[np.float64] = self._scores[np.where(contexts.context >= 0, contexts.context, len(CONTEXT_TYPES))]
        return rows


def plays_by_context(plays: DataFrame, catalogue: Catalogue) -> NDArray[np.int64]:
    """(contexts, K) plays in the order of CONTEXT_TYPES, from `FitInputs.plays`."""
    counted = plays.groupBy("context_type", "position").count().toPandas()
    counted = counted[counted["context_type"].isin(CONTEXT_TYPES)]
    block = np.zeros((len(CONTEXT_TYPES), len(catalogue)), dtype=np.int64)
    codes = counted["context_type"].map({name: code for code, name in enumerate(CONTEXT_TYPES)})
    block[codes.to_numpy(np.int64), counted["position"].to_numpy(np.int64)] = counted["count"]
    return block
