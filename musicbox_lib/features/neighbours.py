"""Item-kNN: the tracks most often not skipped in the same sessions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from musicbox_lib.features.coordinates import Pairs

NEIGHBOURS = 50
SHRINKAGE = 30.0
"""Plays added below the fraction: two tracks once heard together and never again are not alike. Of 5, 15, 30, 60, 120
the first was much the worst for item-kNN on two generated worlds (docs/decisions/0013), the last three were alike."""


def nearest(pairs: Pairs) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """(sum of lengths,) neighbours' positions, track after track and nearest first, (same) their similarities, and
    (K,) how many each track has, at most 50. The similarity is the cosine of plays not skipped,
    c / (sqrt(l_a l_b) + 30) for c common ones of l_a and l_b; equal ones by track_id."""
    itself = pairs.a == pairs.b
    plays = np.bincount(pairs.a[itself], weights=pairs.liked[itself], minlength=pairs.n_tracks)
    kept = ~itself & (pairs.liked > 0)
    a, b, liked = pairs.a[kept], pairs.b[kept], pairs.liked[kept]
    similarity = liked / (np.sqrt(plays[a] * plays[b]) + SHRINKAGE)
    of, to, similarity = np.concatenate([a, b]), np.concatenate([b, a]), np.concatenate([similarity, similarity])
    order = np.lexsort((to, -similarity, of))
    of, to, similarity = of[order], to[order], similarity[order]
    rank = np.arange(len(of)) - np.searchsorted(of, of)
    near = rank < NEIGHBOURS
    return to[near], similarity[near], np.bincount(of[near], minlength=pairs.n_tracks)
