"""How much a track is liked, with chance taken out. Track-level sums in, numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from musicbox_lib.blocks.folds import FOLDS, TRAINING_FOLDS

BOUNDS = (2.0, 1_000.0)
"""A prior that rests on little data is kept between two plays and a thousand."""
Sums = NDArray[np.float64]


@dataclass(frozen=True)
class Prior:
    """What is expected of a track before its plays are seen: a mean, and the plays that this mean weighs."""

    mean: float
    plays: float

    def shrunk(self, n: Sums, total: Sums) -> Sums:
        """(K,) means of tracks with n plays (K,) that sum to `total` (K,), drawn to the prior's mean."""
        drawn: Sums = (total + self.mean * self.plays) / (n + self.plays)
        return drawn


def fitted_prior(n: Sums, total: Sums, squares: Sums) -> Prior:
    """The prior of tracks, from (K,) count, sum and sum of squares of their plays.

    The noise s2 is the variance of plays within tracks. The signal t2 is the variance of the tracks' own means: the
    value at which sum((mean_k - m)^2 / (t2 + s2 / n_k)) is the number of tracks less one, with m weighted alike
    (Paule and Mandel, J. Res. NBS 87, 1982). The prior weighs s2 / t2 plays, within BOUNDS.

    Mean and variance carry the same weights, so popular tracks may differ from the others. With the mean weighted by n
    and the second moment by n^2 - n the variance of a generated log came out negative, and the prior at its bound.
    Both weighted by n^2 - n, the prior of 30 plays was estimated as 24 to 57 in ten draws of 20,000 tracks with
    Zipf-like plays; this estimate gave 28 to 33."""
    played = n > 0
    n, total, squares = n[played], total[played], squares[played]
    if n.sum() <= len(n):
        # Without two plays of a track nothing tells noise from signal.
        return Prior(float(total.sum() / max(n.sum(), 1.0)), BOUNDS[1])
    means = total / n
    noise = max(float((squares - total * means).sum()), 0.0) / float((n - 1).sum())
    signal = _signal(n, means, noise)
    weights = _weights(n, signal, noise)
    plays = noise / signal if signal > 0 else BOUNDS[1]
    return Prior(float((weights * means).sum() / weights.sum()), float(np.clip(plays, *BOUNDS)))


def _weights(n: Sums, signal: float, noise: float) -> Sums:
    """(K,) inverse variances of the tracks' means, up to a factor."""
    return n / (n * signal + noise) if noise > 0 or signal > 0 else np.ones_like(n)


def _signal(n: Sums, means: Sums, noise: float) -> float:
    """The variance of the tracks' own means. It lies between 0 and the plain variance of the means: there the sum is
    at most the number of tracks less one."""
    spread = float(means.var() * len(means) / max(len(means) - 1, 1))
    if noise <= 0 or spread <= 0:
        return spread

    def excess(signal: float) -> float:
        weights = _weights(n, signal, noise)
        centre = (weights * means).sum() / weights.sum()
        return float((weights * (means - centre) ** 2).sum()) - (len(means) - 1)

    return 0.0 if excess(0.0) <= 0 else float(brentq(excess, 0.0, spread * 1.001))


def shrunk_rate(successes: Sums, n: Sums) -> Sums:
    """(K,) rates of successes in n plays, drawn to what is expected of a track (`fitted_prior`). NaN where nothing is
    labelled at all."""
    if not n.sum():
        return np.full(len(n), np.nan)
    # A success counts 1, and so does its square.
    return fitted_prior(n, successes, successes).shrunk(n, successes)


def quality_by_fold(n: Sums, total: Sums, squares: Sums) -> NDArray[np.float32]:
    """(K, 10) effects of the tracks on the reward from (K, 10 folds, P places) count, sum and sum of squares of what
    the reward is above its user's mean.

    First the mean at each place is taken out (skips are rare at a session's first play), inside each fold, so that
    leaving a fold out leaves out all it knew. Then element f is the mean over the training folds but f, drawn to what
    the same folds expect of a track (`fitted_prior`): that is what a track without plays has."""
    place = np.divide(total.sum(axis=0), n.sum(axis=0), out=np.zeros(n.shape[1:]), where=n.sum(axis=0) > 0)
    squares = (squares - 2 * place * total + n * place**2).sum(axis=2)
    total = (total - n * place).sum(axis=2)
    n = n.sum(axis=2)
    # Folds 8 and 9 take no part, so leaving either out leaves all training folds in.
    effects = [_effect(*_without(fold, n, total, squares)) for fold in range(FOLDS)]
    return np.stack(effects, axis=1).astype(np.float32)


def _without(fold: int, *sums: Sums) -> list[Sums]:
    kept = [other for other in range(TRAINING_FOLDS) if other != fold]
    return [by_fold[:, kept].sum(axis=1) for by_fold in sums]


def _effect(n: Sums, total: Sums, squares: Sums) -> Sums:
    return fitted_prior(n, total, squares).shrunk(n, total)
