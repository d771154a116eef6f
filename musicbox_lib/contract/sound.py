"""The columns that say how a track sounds."""

from __future__ import annotations

SOUND = (
    *("acousticness", "beat_strength", "bounciness", "danceability", "dyn_range_mean", "energy", "flatness"),
    *("instrumentalness", "key", "liveness", "loudness", "mechanism", "mode", "organism", "speechiness", "tempo"),
    *("time_signature", "valence"),
    *(f"acoustic_vector_{i}" for i in range(8)),
)
"""What says how a track sounds: a track with none of these has no audio."""
