"""A logistic skip model, greedy over the whole catalogue: the supervised reference."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.policies.base import TEMPERATURE, Arrays
from musicbox_lib.policies.fit_inputs import FitInputs
from musicbox_lib.policies.pair_features import FEATURES, Pairs, refuse_other_features, scale_of
from musicbox_lib.policies.ranking import WholeCatalogue

PENALTY = 1.0
"""Of the squared coefficients of scaled features (scikit-learn's 1 / C): with 10,000 plays and more it only keeps
features that never vary at 0."""


class SkipLogistic(WholeCatalogue):
    """Score = -logit of skip_2, up to what is the same for all tracks of a context."""

    name = "skip_logistic"
    label = "skip model, logistic"

    def __init__(
        self, catalogue: Catalogue, coefficients: NDArray[np.float64], temperature: float = TEMPERATURE
    ) -> None:
        """`coefficients` (P,): of the logit of skip_2, for pair features as they are."""
        super().__init__(catalogue, temperature)
        self._weights = -coefficients

    @classmethod
    def fit(cls, inputs: FitInputs) -> Arrays:
        """The coefficients, with the names of their features."""
        coefficients = fit_logistic(inputs.features, inputs.sample.skips)
        return {"coefficients": coefficients, "features": np.array(FEATURES)}

    @classmethod
    def from_arrays(cls, arrays: Arrays, catalogue: Catalogue, temperature: float = TEMPERATURE) -> Self:
        """The policy of those coefficients; raises DataRefused where their features are not this code's."""
        refuse_other_features(cls.name, arrays["features"])
        return cls(catalogue, arrays["coefficients"], temperature)

    def scores(self, contexts: ContextBlock) -> NDArray[np.float64]:
        """(n, K)"""
        return Pairs(contexts, self.catalogue).linear_scores(self._weights)


def fit_logistic(features: NDArray[np.float32], skips: NDArray[np.int64]) -> NDArray[np.float64]:
    """(P,) coefficients of the logit of skip_2 for features as they are; what is the same for all tracks of a context
    shifts it and needs no intercept here. All 0 where no play, or every play, was skipped."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    if len(np.unique(skips)) < 2:
        return np.zeros(len(FEATURES))
    mean, scale = scale_of(features)
    with threadpool_limits(limits=1):
        model = LogisticRegression(C=1 / PENALTY, max_iter=300).fit((features - mean) / scale, skips)
    return np.asarray(model.coef_[0] / scale, np.float64)
