"""Random numbers that belong to a user, not to a place in a batch: the same key and seed give the same draw in every
batch order, partitioning and process (Python's own `hash` is salted and would not)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

UInt64Array = npt.NDArray[np.uint64]
FloatArray = npt.NDArray[np.float64]

# Steele, Lea, Flood (2014), SplitMix64: the golden-ratio step and the two multipliers of its finaliser.
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def _mix(words: UInt64Array) -> UInt64Array:
    with np.errstate(over="ignore"):
        words = (words ^ (words >> np.uint64(30))) * _FIRST
        words = (words ^ (words >> np.uint64(27))) * _SECOND
    return cast(UInt64Array, words ^ (words >> np.uint64(31)))


def keys_of(names: Sequence[str] | npt.NDArray[np.object_]) -> UInt64Array:
    """A 64-bit key per name (SipHash with pandas' fixed key). Shape (n,)."""
    from pandas.util import hash_array

    return np.asarray(hash_array(np.asarray(names, dtype=object), categorize=False), dtype=np.uint64)


def uniforms(keys: UInt64Array, seed: int, counter: int | npt.NDArray[np.integer]) -> FloatArray:
    """Uniform draws in [0, 1), one per key, or shape (n, m) for m counters: the same (key, seed, counter) always gives
    the same number, other ones an independent one."""
    counters = np.asarray(counter, dtype=np.uint64)
    with np.errstate(over="ignore"):
        stream = _mix(_STEP * (np.uint64(seed % 2**64) + np.uint64(1)) + np.zeros(1, np.uint64))
        words = _mix(np.asarray(keys, np.uint64) ^ stream)
        words = (
            words[:, None] + _STEP * (counters[None, :] + np.uint64(1))
            if counters.ndim
            else words + _STEP * (counters + np.uint64(1))
        )
    return (_mix(words) >> np.uint64(11)).astype(np.float64) * 2.0**-53
