"""Intervals by resampling users: a user's plays hang together, so users are drawn, never plays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CONFIDENCE = 0.95
# Cells of one block of draws x clusters: 32 MB of indices, whatever the number of users.
_BLOCK_CELLS = 4_000_000


def paired_bootstrap(
    a: npt.ArrayLike, b: npt.ArrayLike, clusters: npt.ArrayLike | None, *, seed: int, draws: int = 2000
) -> tuple[float, float, float]:
    """Mean of `a - b` with its 95 % percentile interval, clusters (users) drawn with replacement.

    `a` and `b` are two policies' values of the same n rows; `clusters` (n,) says whose each row is, None that every
    row stands alone. Raises ValueError for arrays of different lengths, no rows, or values that are not finite.
    """
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if first.shape != second.shape:
        raise ValueError(f"a has shape {first.shape}, b has {second.shape}: the values must be paired.")
    return clustered_mean(first - second, np.ones_like(first), clusters, seed=seed, draws=draws)


def clustered_mean(
    values: npt.ArrayLike, weights: npt.ArrayLike, clusters: npt.ArrayLike | None, *, seed: int, draws: int = 2000
) -> tuple[float, float, float]:
    """Weighted mean `sum(w v) / sum(w)` with its 95 % percentile interval, clusters drawn with replacement.

    The cost is draws x clusters on per-cluster sums, in blocks of bounded memory. A draw whose weights sum to zero
    is left out. Raises ValueError for no rows, different lengths, negative or not finite numbers, or weights that
    sum to zero.
    """
    value, weight = np.asarray(values, np.float64), np.asarray(weights, np.float64)
    if value.ndim != 1 or value.shape != weight.shape or not value.size:
        raise ValueError(f"values {value.shape} and weights {weight.shape} must be of one length above 0.")
    if not (np.isfinite(value).all() and np.isfinite(weight).all()) or (weight < 0).any() or weight.sum() <= 0:
        raise ValueError("values and weights must be finite, and weights not negative with a sum above 0.")
    sums, totals = _per_cluster(value * weight, weight, clusters)
    drawn = _draw_ratios(sums, totals, np.random.default_rng(seed), draws)
    tail = (1 - CONFIDENCE) / 2
    lo, hi = np.quantile(drawn, [tail, 1 - tail])
    return float(sums.sum() / totals.sum()), float(lo), float(hi)


def _per_cluster(sums: Floats, totals: Floats, clusters: npt.ArrayLike | None) -> tuple[Floats, Floats]:
    if clusters is None:
        return sums, totals
    names: npt.NDArray[Any] = np.asarray(clusters)
    if names.shape != sums.shape:
        raise ValueError(f"clusters has shape {names.shape}, the values have {sums.shape}.")
    _, owner = np.unique(names, return_inverse=True)
    grouped: list[Floats] = [np.bincount(owner, weights=part).astype(np.float64) for part in (sums, totals)]
    return grouped[0], grouped[1]


def _draw_ratios(sums: Floats, totals: Floats, generator: np.random.Generator, draws: int) -> Floats:
    n = sums.size
    at_once = max(1, _BLOCK_CELLS // n)
    ratios = []
    for start in range(0, draws, at_once):
        chosen = generator.integers(0, n, size=(min(at_once, draws - start), n), dtype=np.int64)
        below = totals[chosen].sum(axis=1)
        above = sums[chosen].sum(axis=1)
        ratios.append(above[below > 0] / below[below > 0])
    return np.concatenate(ratios)
