"""Audio columns on one scale. Track-level data, so one process and numpy."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from musicbox_lib.contract.sound import SOUND

COLUMNS = ("duration", "release_year", "us_popularity_estimate", *SOUND)
LEGACY = (
    *("acousticness", "beat_strength", "bounciness", "danceability"),
    *("energy", "liveness", "speechiness", "valence"),
)
"""The prototype's eight columns, which its diversity takes unscaled (docs/method.md#the-prototype)."""
LIMIT = 5.0
"""Scaled values are cut at five deviations, or one broken value would rule a track's cosines."""


def scaled_audio(tracks: pd.DataFrame) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(K, 30) audio with mean 0 and deviation 1 over the tracks that have any, a missing value at the mean, and
    (K,) which tracks have any. Key is two coordinates on a circle, because 11 lies beside 0; of the metres nearly
    all are 4, so that is a yes or no."""
    values = _numbers(tracks, COLUMNS)
    has_audio = np.asarray(np.isfinite(values[:, len(COLUMNS) - len(SOUND) :]).any(axis=1))
    key, metre = (values[:, COLUMNS.index(name)] for name in ("key", "time_signature"))
    codes = np.stack(
        [np.sin(key * np.pi / 6), np.cos(key * np.pi / 6), np.where(np.isfinite(metre), metre == 4, np.nan)]
    )
    plain = [i for i, name in enumerate(COLUMNS) if name not in {"key", "time_signature"}]
    values = np.concatenate([values[:, plain], codes.T], axis=1)
    if not has_audio.any():
        return np.zeros(values.shape, dtype=np.float32), has_audio
    given = np.isfinite(values) & has_audio[:, None]
    n = np.maximum(given.sum(axis=0), 1)
    centred = np.where(given, values, 0.0)
    centred = np.where(given, centred - centred.sum(axis=0) / n, 0.0)
    deviation = np.sqrt((centred**2).sum(axis=0) / n)
    scaled = np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 1e-9)
    return np.clip(scaled, -LIMIT, LIMIT).astype(np.float32), has_audio


def legacy_audio(tracks: pd.DataFrame) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(K, 8) the prototype's columns as delivered, and (K,) which tracks have all eight."""
    values = _numbers(tracks, LEGACY)
    complete = np.asarray(np.isfinite(values).all(axis=1))
    return values.astype(np.float32), complete


def _numbers(tracks: pd.DataFrame, columns: tuple[str, ...]) -> NDArray[np.float64]:
    """(K, columns) as doubles, NaN where the value is missing or no finite number that a float can hold."""
    values = tracks[list(columns)].astype("float64").to_numpy()
    block: NDArray[np.float64] = np.where(np.abs(values) < 1e30, values, np.nan)
    return block
