"""The fits of the supervised baselines: arrays in, arrays or a booster out. One thread each, so that the same rows give
the same bits on any number of cores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from musicbox_lib.policies.bandit import Belief
from musicbox_lib.policies.catalogue import Catalogue
from musicbox_lib.policies.pair_features import FEATURES, Pairs, quality_of
from musicbox_lib.training.reward import REWARDS

if TYPE_CHECKING:
    import lightgbm

    from musicbox_lib.training.sampled_plays import Plays

Floats = NDArray[np.float64]

ROWS = 5_000
"""Plays whose features are listed at a time: what is in between is 5,000 x (tracks + artists) floats, 40 MB."""
PENALTY = 1.0
"""Of the squared coefficients of scaled features (scikit-learn's 1 / C): with 10,000 plays and more it only keeps
features that never vary at 0."""
TREES = 100
LIGHTGBM = {
    "objective": "binary",
    "learning_rate": 0.08,
    "num_leaves": 15,
    "min_data_in_leaf": 100,
    "lambda_l2": 10.0,
    "feature_fraction": 0.7,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
"""Small trees, well regularised (docs/decisions/0013). `deterministic` wants one way of building histograms, and the
number of threads is part of the result: one, because two wait for each other at full speed where a core is busy (100
trees took them 27 s on one run and 157 s on another)."""


def training_features(plays: Plays, catalogue: Catalogue) -> NDArray[np.float32]:
    """(n, P) features of each play's context with the track played, its quality out of the user's fold."""
    block = np.empty((len(plays), len(FEATURES)), dtype=np.float32)
    for at in range(0, len(plays), ROWS):
        rows = slice(at, at + ROWS)
        contexts, tracks = plays.contexts.take(rows), plays.tracks[rows]
        quality = quality_of(catalogue, tracks, contexts.fold)
        block[rows] = Pairs(contexts, catalogue).features(tracks[:, None], quality[:, None])[:, 0]
    return block


def skips_of(plays: Plays) -> NDArray[np.int64]:
    """(n,) skip_2, 0 or 1."""
    return (plays.grades >= 2).astype(np.int64)


def rewards_of(plays: Plays) -> Floats:
    """(n,)"""
    return np.array(REWARDS)[plays.grades]


def fit_logistic(features: NDArray[np.float32], skips: NDArray[np.int64]) -> Floats:
    """(P,) coefficients of the logit of skip_2 for features as they are; what is the same for all tracks of a context
    shifts it and needs no intercept here. All 0 where no play, or every play, was skipped."""
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(skips)) < 2:
        return np.zeros(len(FEATURES))
    mean, scale = _scale(features)
    with threadpool_limits(limits=1):
        model = LogisticRegression(C=1 / PENALTY, max_iter=300).fit((features - mean) / scale, skips)
    return np.asarray(model.coef_[0] / scale, np.float64)


def fit_bandit(features: NDArray[np.float32], rewards: Floats) -> Belief:
    """Coefficients of the reward with their covariance."""
    from sklearn.linear_model import BayesianRidge

    mean, scale = _scale(features)
    with threadpool_limits(limits=1):
        model = BayesianRidge().fit((features - mean) / scale, rewards)
    return Belief(mean, model.coef_ / scale, model.sigma_ / np.outer(scale, scale))


def fit_lightgbm(features: NDArray[np.float32], skips: NDArray[np.int64], seed: int) -> lightgbm.Booster:
    """Boosted trees for the logit of skip_2."""
    import lightgbm

    rows = lightgbm.Dataset(features, label=skips, feature_name=list(FEATURES))
    return lightgbm.train({**LIGHTGBM, "seed": seed}, rows, num_boost_round=TREES)


def _scale(features: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Means and deviations of the columns; a column that never varies has deviation 1."""
    mean: Floats = features.mean(axis=0, dtype=np.float64)
    deviation: Floats = features.std(axis=0, dtype=np.float64)
    return mean, np.where(deviation > 1e-6, deviation, 1.0)
