"""LinUCB (arXiv 1003.0146) on the pair features, learned in one batch a training: what it expects of a track, and a
bonus for what it does not know of it yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.policies.base import TEMPERATURE, Arrays
from musicbox_lib.policies.fit_inputs import FitInputs
from musicbox_lib.policies.pair_features import FEATURES, Pairs, refuse_other_features, scale_of
from musicbox_lib.policies.ranking import WholeCatalogue

ALPHA = 1.0
"""Deviations of its expectation that a track is given for nothing. The theory's bound at .95 is 2.4
(1 + sqrt(ln(2 / .05) / 2)); one is the milder choice, since every policy here has an exploring share beside it."""
ROWS = 500
"""Contexts whose candidates are listed at a time: 500 x 200 x 42 floats are 17 MB."""


@dataclass(frozen=True)
class Belief:
    """What the plays say of the reward: reward = constant + (features - mean) times coefficients."""

    mean: NDArray[np.float64]
    """(P,) of the features in training, where the expectation is surest."""
    coefficients: NDArray[np.float64]
    """(P,)"""
    covariance: NDArray[np.float64]
    """(P, P) of the coefficients."""


class Bandit(WholeCatalogue):
    """Score = expected reward + ALPHA x its deviation, for the LIMIT tracks of the highest expected reward: after
    100,000 plays the bonus was .005 to .010 where the shortlist's middle lay .14 below its best, so no track from
    beyond makes it up."""

    name = "bandit"
    label = "bandit"

    def __init__(
        self,
        catalogue: Catalogue,
        belief: Belief,
        temperature: float = TEMPERATURE,
    ) -> None:
        super().__init__(catalogue, temperature)
        self._belief = belief

    @classmethod
    def fit(cls, inputs: FitInputs) -> Arrays:
        """The belief, with the names of its features."""
        belief = fit_bandit(inputs.features, inputs.sample.rewards)
        return {**vars(belief), "features": np.array(FEATURES)}

    @classmethod
    def from_arrays(cls, arrays: Arrays, catalogue: Catalogue, temperature: float = TEMPERATURE) -> Self:
        """The policy of that belief; raises DataRefused where its features are not this code's."""
        refuse_other_features(cls.name, arrays["features"])
        belief = Belief(arrays["mean"], arrays["coefficients"], arrays["covariance"])
        return cls(catalogue, belief, temperature)

    def scores(self, contexts: ContextBlock) -> NDArray[np.float64]:
        """(n, K) expected rewards, up to what is the same for all tracks of a context."""
        return Pairs(contexts, self.catalogue).linear_scores(self._belief.coefficients)

    def candidates(self, contexts: ContextBlock) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The tracks of the highest expected reward (n, C) with their bonus in the score."""
        tracks, scores = super().candidates(contexts)
        for at in range(0, len(contexts), ROWS):
            rows = slice(at, at + ROWS)
            held = tracks[rows].clip(min=0)
            listed = Pairs(contexts.take(rows), self.catalogue).features(held, self.catalogue.quality[held])
            flat = listed.reshape(-1, len(FEATURES)) - self._belief.mean
            variance = ((flat @ self._belief.covariance) * flat).sum(axis=1).reshape(held.shape)
            scores[rows] += np.round(ALPHA * np.sqrt(np.maximum(variance, 0.0)), 5)
        return tracks, np.where(tracks >= 0, scores, 0.0)


def fit_bandit(features: NDArray[np.float32], rewards: NDArray[np.float64]) -> Belief:
    """Coefficients of the reward with their covariance."""
    from sklearn.linear_model import BayesianRidge
    from threadpoolctl import threadpool_limits

    mean, scale = scale_of(features)
    with threadpool_limits(limits=1):
        model = BayesianRidge().fit((features - mean) / scale, rewards)
    return Belief(mean, model.coef_ / scale, model.sigma_ / np.outer(scale, scale))
