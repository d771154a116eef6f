"""Measures of predictions, each with a 95 % interval whose draws are users."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from musicbox_lib.evaluation.bootstrap import CONFIDENCE, clustered_mean

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

BINS = 15
"""Bins of the calibration error, each with as many plays as the next: with bins of equal width the outer ones of a
model that seldom says .9 would hold a handful of plays each."""
DRAWS = 1_000
"""Draws of the measures that are no mean (AUC, calibration error); the others take the house's 2,000."""
_EDGE = 1e-6
# A probability is kept so far off 0 and 1, where the log loss ends.


@dataclass(frozen=True)
class Measured:
    """A measure's value with its 95 % interval, over n plays or sessions."""

    value: float
    lo: float
    hi: float
    n: int


def average_accuracies(right: Bools, sessions: Integers) -> tuple[Integers, Floats, Floats]:
    """The sessions; (1/T) sum_i A(i) L(i) of each, L(i) being whether its i-th prediction is right and A(i) the share
    of right ones among its first i; and L(1). Rows are in order of session and position (Brost, Mehrotra, Jehan, The
    Music Streaming Sessions Dataset, WWW 2019)."""
    names, opens, lengths = np.unique(sessions, return_index=True, return_counts=True)
    gained = right.astype(np.float64)
    total = np.cumsum(gained)
    place = np.arange(len(right)) - np.repeat(opens, lengths) + 1
    so_far = total - np.repeat(total[opens] - gained[opens], lengths)
    average = np.add.reduceat(so_far / place * gained, opens) / lengths
    return names, average, gained[opens]


def mean_of(values: npt.ArrayLike, clusters: npt.NDArray[Any], seed: int) -> Measured:
    """The mean of the values (n,), clusters drawn."""
    each = np.asarray(values, np.float64)
    return Measured(*clustered_mean(each, np.ones_like(each), clusters, seed=seed), n=len(each))


def log_losses(chances: Floats, skipped: Bools) -> Floats:
    """(n,) minus the logarithm of the chance given to what happened."""
    kept = np.clip(chances, _EDGE, 1 - _EDGE)
    return -np.log(np.where(skipped, kept, 1 - kept))


def area_under_curve(chances: Floats, skipped: Bools, clusters: npt.NDArray[Any], seed: int) -> Measured:
    """Chance that a skipped play was given more than one not skipped, ties a half."""
    levels, level = np.unique(chances, return_inverse=True)
    _, owner = np.unique(clusters, return_inverse=True)

    def area(weights: Floats) -> float:
        each = weights[owner]
        skips = np.bincount(level, weights=each * skipped, minlength=len(levels))
        others = np.bincount(level, weights=each * ~skipped, minlength=len(levels))
        pairs = skips.sum() * others.sum()
        above = skips @ (np.cumsum(others) - others / 2)
        return float(above / pairs) if pairs > 0 else float("nan")

    users = int(owner.max()) + 1
    return Measured(area(np.ones(users)), *_middle(_drawn(area, users, seed)), n=len(chances))


def calibration_error(chances: Floats, skipped: Bools, clusters: npt.NDArray[Any], seed: int) -> Measured:
    """Mean over plays of |mean chance - share of skips| of the play's bin: 15 bins of equal mass by the chance.

    A draw adds chance of its own to every bin, so draws lie above the value: the interval is theirs, moved so that
    their mean is the value."""
    edges = np.quantile(chances, np.linspace(0, 1, BINS + 1)[1:-1])
    place = np.searchsorted(edges, chances, side="right")
    _, owner = np.unique(clusters, return_inverse=True)
    gap = np.zeros((int(owner.max()) + 1, BINS))
    np.add.at(gap, (owner, place), chances - skipped)
    plays = np.bincount(owner).astype(np.float64)

    def error(weights: Floats) -> float:
        return float(np.abs(weights @ gap).sum() / (weights @ plays)) if weights @ plays > 0 else float("nan")

    drawn = _drawn(error, len(gap), seed)
    value = error(np.ones(len(gap)))
    return Measured(value, *_middle(np.maximum(drawn - np.nanmean(drawn) + value, 0.0)), n=len(chances))


def _drawn(measure: Callable[[Floats], float], clusters: int, seed: int) -> Floats:
    """The measure of each draw, from how often the draw has each cluster."""
    generator = np.random.default_rng(seed)
    drawn = np.empty(DRAWS)
    for draw in range(DRAWS):
        picks = generator.integers(0, clusters, clusters)
        drawn[draw] = measure(np.bincount(picks, minlength=clusters).astype(np.float64))
    return drawn


def _middle(drawn: Floats) -> tuple[float, float]:
    tail = (1 - CONFIDENCE) / 2
    lo, hi = np.nanquantile(drawn, [tail, 1 - tail])
    return float(lo), float(hi)
