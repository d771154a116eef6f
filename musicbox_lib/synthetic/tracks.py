"""The generated catalogue: where each track lies, how good and how popular it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from musicbox_lib.errors import UsageError
from musicbox_lib.synthetic.world import Bools, Floats, Floats32, Ints, World, generator, noise

TRACK_STREAM = 0


@dataclass(frozen=True)
class Tracks:
    """K tracks; arrays are (K,) unless said otherwise, ids in no order that tells anything."""

    ids: tuple[str, ...]
    place: Floats32
    """(K, d), unit norm."""
    quality: Floats
    cluster: Ints
    artist: Ints
    popularity: Floats
    """Sums to 1."""
    centres: Floats
    """Cluster centres, (clusters, d), unit norm."""

    @property
    def size(self) -> int:
        """K."""
        return len(self.ids)

    @property
    def log_popularity(self) -> Floats:
        """Log popularity against the most popular track, at most 0."""
        return np.asarray(np.log(self.popularity / self.popularity.max()), np.float64)

    @property
    def novelty(self) -> Floats:
        """-log popularity with mean 0 and deviation 1 over the catalogue."""
        surprise = -self.log_popularity
        return np.asarray((surprise - surprise.mean()) / surprise.std(), np.float64)


def unit(rows: Floats) -> Floats:
    """Rows of length 1."""
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float64)


def uuids(random: np.random.Generator, n: int, prefix: str) -> tuple[str, ...]:
    """Ids, n of them, of the shape `t_0479f24c-27d2-46d6-a00c-7ec928f2b539`."""
    words = random.bytes(16 * n).hex()
    parts = (words[i : i + 32] for i in range(0, 32 * n, 32))
    return tuple(f"{prefix}{w[:8]}-{w[8:12]}-{w[12:16]}-{w[16:20]}-{w[20:]}" for w in parts)


def draw_tracks(world: World, n: int, seed: int) -> Tracks:
    """Draw n invented tracks of a world. Raises UsageError for fewer than the uniform pool needs."""
    if n < world.uniform_pool:
        raise UsageError(f"a world needs at least {world.uniform_pool} tracks, {n} were asked for.")
    random = generator(seed, TRACK_STREAM)
    centres = unit(random.normal(size=(world.clusters, world.dimension)))
    artists = -(-n // world.tracks_per_artist)
    # Every cluster gets an artist before any gets a second, as far as the artists go.
    artist_cluster = random.permutation(np.arange(artists) % world.clusters)
    artist_place = centres[artist_cluster] + noise(random, world.artist_spread, artists, world.dimension)
    artist = np.arange(n) // world.tracks_per_artist
    place = unit(artist_place[artist] + noise(random, world.track_spread, n, world.dimension))
    quality = random.normal(0, world.quality_sd, n)
    share = world.popularity_quality
    score = share * quality / world.quality_sd + np.sqrt(1 - share**2) * random.normal(size=n)
    rank = np.empty(n, np.int64)
    rank[np.argsort(-score)] = np.arange(1, n + 1)
    popularity = (rank + world.popularity_offset) ** -world.popularity_power
    return Tracks(
        ids=uuids(random, n, "t_"),
        place=place.astype(np.float32),
        quality=quality,
        cluster=artist_cluster[artist].astype(np.int64),
        artist=artist.astype(np.int64),
        popularity=popularity / popularity.sum(),
        centres=centres,
    )


def heard_mask(heard: Ints, n_tracks: int) -> Bools:
    """(n, n_tracks): which tracks each row of `heard` (n, m; -1 pads) names."""
    mask = np.zeros((len(heard), n_tracks + 1), bool)
    np.put_along_axis(mask, heard, True, axis=1)
    return np.asarray(mask[:, :-1], np.bool_)
