"""A logistic skip model, greedy over the whole catalogue: the supervised reference."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from musicbox_lib.policies.catalogue import Catalogue
from musicbox_lib.policies.interface import ContextBlock
from musicbox_lib.policies.pair_features import Pairs
from musicbox_lib.policies.ranking import TEMPERATURE, WholeCatalogue


class SkipLogistic(WholeCatalogue):
    """Score = -logit of skip_2, up to what is the same for all tracks of a context."""

    name = "skip_logistic"

    def __init__(
        self, catalogue: Catalogue, coefficients: NDArray[np.float64], temperature: float = TEMPERATURE
    ) -> None:
        """`coefficients` (P,): of the logit of skip_2, for pair features as they are."""
        super().__init__(catalogue, temperature)
        self._weights = -coefficients

    def scores(self, contexts: ContextBlock) -> NDArray[np.float64]:
        """(n, K)"""
        return Pairs(contexts, self.catalogue).linear_scores(self._weights)
