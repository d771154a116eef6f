"""How much a track is liked, with chance taken out. Track-level sums in, numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from musicbox_lib.sessions.folds import FOLDS, TRAINING_FOLDS

BOUNDS = (2.0, 1_000.0)
"""A prior found in little data is kept between two plays and a thousand."""
Sums = NDArray[np.float64]


def shrunk_rate(successes: Sums, n: Sums) -> Sums:
    """(K,) rates drawn to the overall rate m by a Beta prior of strength m(1-m)/v - 1, where v is the variance of the
    tracks' own rates. Pairs of plays of one track show it free of chance: v = sum(s^2 - s) / sum(n^2 - n) - m^2 for
    s in n. NaN where nothing is labelled at all."""
    if not n.sum():
        return np.full(len(n), np.nan)
    mean = successes.sum() / n.sum()
    variance = _ratio((successes**2 - successes).sum(), (n**2 - n).sum()) - mean**2
    strength = np.clip(mean * (1 - mean) / max(variance, 1e-9) - 1, *BOUNDS)
    shrunk: Sums = (successes + mean * strength) / (n + strength)
    return shrunk


def quality_by_fold(n: Sums, total: Sums, squares: Sums) -> NDArray[np.float32]:
    """(K, 10) effects of the tracks on the reward from (K, 10 folds, P places) count, sum and sum of squares of what
    the reward is above its user's mean.

    First the mean at each place is taken out (skips are rare at a session's first play), inside each fold, so that
    leaving a fold out leaves out all it knew. Then element f is S / (n + k) over the training folds but f. k is
    noise over signal, found in the same folds: pairs of plays of one track show the effects' variance,
    sum(S^2 - Q) / sum(n^2 - n), and Q the rest."""
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
    signal = _ratio((total**2 - squares).sum(), (n**2 - n).sum())
    noise = _ratio(squares.sum(), n.sum()) - signal
    prior = np.clip(noise / max(signal, 1e-9), *BOUNDS)
    effect: Sums = total / (n + prior)
    return effect


def _ratio(above: float, below: float) -> float:
    return float(above / below) if below > 0 else 0.0
