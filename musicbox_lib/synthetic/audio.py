"""What is delivered of the generated tracks: 30 audio columns with real marginals, invented titles and artists."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.optimize import least_squares

from musicbox_lib.synthetic.tracks import Tracks
from musicbox_lib.synthetic.world import Floats, Marginal, World, generator, shares

AUDIO_STREAM = 4
# Columns that say nothing about where a track lies.
_UNRELATED = ("duration", "release_year", "key", "tempo")
_WHOLE = ("release_year", "key")
_ACOUSTIC = 8
_ADJECTIVES = ("Quiet", "Golden", "Distant", "Electric", "Paper", "Northern", "Midnight", "Hollow", "Crimson", "Gentle",
               "Broken", "Salt", "Velvet", "Lunar", "Wooden", "Second")  # fmt: skip
_NOUNS = ("River", "Harbour", "Lantern", "Orchard", "Mirror", "Engine", "Meadow", "Signal", "Winter", "Feather",
          "Compass", "Garden", "Echo", "Thunder", "Window", "Island")  # fmt: skip
_GROUPS = ("The {} {}s", "{} {}", "{} & the {}s", "DJ {} {}")
_STYLES = ("pop", "rock", "hip hop", "electronic", "folk", "jazz", "soul", "metal", "ambient", "latin")
_SHADES = ("bright", "slow", "deep", "indie", "modern", "classic", "hard", "soft")


@lru_cache
def quantile_function(marginal: Marginal) -> Callable[[Floats], Floats]:
    """A column's inverse distribution function: straight between the quartiles, power tails outside them whose two
    exponents are solved for mean and deviation."""
    low, high = marginal.q25 - marginal.min, marginal.max - marginal.q75

    def moments(logs: Floats) -> Floats:
        below, above = np.exp(logs)
        mean = 0.25 * (
            marginal.q25 - low / (1 + below)
            + (marginal.q25 + marginal.q50) / 2
            + (marginal.q50 + marginal.q75) / 2
            + marginal.q75 + high / (1 + above)
        )  # fmt: skip
        square = 0.25 * (
            marginal.q25**2 - 2 * marginal.q25 * low / (1 + below) + low**2 / (1 + 2 * below)
            + (marginal.q25**2 + marginal.q25 * marginal.q50 + marginal.q50**2) / 3
            + (marginal.q50**2 + marginal.q50 * marginal.q75 + marginal.q75**2) / 3
            + marginal.q75**2 + 2 * marginal.q75 * high / (1 + above) + high**2 / (1 + 2 * above)
        )  # fmt: skip
        deviation = np.sqrt(max(square - mean**2, 0.0))
        return np.array([mean - marginal.mean, deviation - marginal.sd]) / marginal.sd

    below, above = np.exp(least_squares(moments, np.zeros(2), bounds=(-3, 5)).x)
    quartiles = (marginal.q25, marginal.q50, marginal.q75)

    def inverse(u: Floats) -> Floats:
        middle = np.interp(u, (0.25, 0.5, 0.75), quartiles)
        lower = marginal.q25 - low * np.clip((0.25 - u) / 0.25, 0, 1) ** below
        upper = marginal.q75 + high * np.clip((u - 0.75) / 0.25, 0, 1) ** above
        return np.asarray(np.where(u < 0.25, lower, np.where(u > 0.75, upper, middle)), np.float64)

    return inverse


def delivered_tracks(world: World, tracks: Tracks, seed: int) -> pa.Table:
    """The track table as delivered: the dataset's 30 columns in its order, then title, artist, genre, preview_url.

    `acoustic_vector_i` = W place + noise, W with orthonormal rows; the other columns = a mix of the place and noise,
    squashed to the world's marginals; duration, year, key, tempo, mode and time signature are unrelated to the place.
    """
    random = generator(seed, AUDIO_STREAM)
    n, dimension = tracks.place.shape
    place = tracks.place.astype(np.float64)
    turn, _ = np.linalg.qr(random.normal(size=(dimension, dimension)))
    acoustic = place @ turn[:, :_ACOUSTIC] + world.acoustic_noise * random.normal(size=(n, _ACOUSTIC))
    columns: dict[str, Any] = {"track_id": list(tracks.ids)}
    for name, marginal in world.audio.items():
        weights, rest = random.normal(size=dimension), random.normal(size=n)
        signal = place @ (weights / np.linalg.norm(weights)) * np.sqrt(dimension)
        score: Floats = np.asarray(signal + world.audio_noise * rest)
        if name in _UNRELATED:
            score = np.asarray(rest)
        elif name == "us_popularity_estimate":
            score = tracks.popularity
        # Squashed by rank: forty clusters are too few for the mix to be normal.
        column = quantile_function(marginal)((np.argsort(np.argsort(score)) + 0.5) / n)
        columns[name] = np.rint(column).astype(np.int64) if name in _WHOLE else np.round(column, 6)
    columns["mode"] = np.where(random.random(n) < world.major_share, 1, 0)
    columns["time_signature"] = random.choice(world.time_signatures, n, p=shares(world.time_signature_share))
    for i in range(_ACOUSTIC):
        columns[f"acoustic_vector_{i}"] = np.round(acoustic[:, i], 6)
    columns |= _names(tracks, random)
    return pa.table({name: columns[name] for name in _order()})


def _order() -> list[str]:
    from musicbox_lib.contract.tables import table

    return list(table("landing.tracks").column_names)


def _names(tracks: Tracks, random: np.random.Generator) -> dict[str, list[str]]:
    """Invented titles, artists and genres, told from their shape to be invented."""
    groups = [form.format(a, b) for form, a, b in itertools.product(_GROUPS, _ADJECTIVES, _NOUNS)]
    chosen = random.permutation(len(groups))
    artists = int(tracks.artist.max()) + 1
    # Beyond 1,024 artists names come round again with a Roman-looking number of the round.
    names = [
        groups[chosen[i % len(groups)]] + (f" {i // len(groups) + 1}" if i >= len(groups) else "")
        for i in range(artists)
    ]
    titles = [
        f"{_ADJECTIVES[a]} {_NOUNS[b]}" + (f" Part {part}" if part > 1 else "")
        for a, b, part in zip(
            random.integers(0, len(_ADJECTIVES), tracks.size),
            random.integers(0, len(_NOUNS), tracks.size),
            random.choice([1, 1, 1, 1, 2, 3], tracks.size),
            strict=True,
        )
    ]
    genres = [f"{shade} {style}" for style, shade in itertools.product(_STYLES, _SHADES)]
    by_cluster = random.permutation(len(genres))
    return {
        "title": titles,
        "artist": [names[i] for i in tracks.artist],
        "genre": [genres[by_cluster[i % len(genres)]] for i in tracks.cluster],
        "preview_url": [""] * tracks.size,
    }
