"""The generated catalogue: where each track lies, how good and how popular it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from musicbox_lib.errors import UsageError
from musicbox_lib.synthetic.world import ALWAYS, Bools, Floats, Floats32, Ints, World, generator, noise

TRACK_STREAM = 0
COLD_STREAM = 6


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
    released: Ints
    """The day, counted from 0, from which on a track is delivered and playable; ALWAYS for most."""
    logged: Bools
    """Whether the logging policy ever plays it."""
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

    @property
    def releases(self) -> Ints:
        """The days on which tracks come, in order, (stages,)."""
        return np.unique(self.released)

    def stage(self, day: Ints) -> Ints:
        """How far the catalogue has come on each day, (n,) -> (n,): the place in `releases` of the newest up to it.
        Days before any release count as the first."""
        return np.maximum(np.searchsorted(self.releases, day, side="right") - 1, 0)

    @property
    def playable(self) -> Bools:
        """Which tracks there are at each stage, (stages, K)."""
        return np.asarray(self.released <= self.releases[:, None], np.bool_)

    @property
    def offered(self) -> Bools:
        """Which tracks the logging policy plays at each stage, (stages, K)."""
        return np.asarray(self.playable & self.logged, np.bool_)


def unit(rows: Floats) -> Floats:
    """Rows of length 1."""
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float64)


def uuids(random: np.random.Generator, n: int, prefix: str) -> tuple[str, ...]:
    """Ids, n of them, of the shape `t_0479f24c-27d2-46d6-a00c-7ec928f2b539`."""
    words = random.bytes(16 * n).hex()
    parts = (words[i : i + 32] for i in range(0, 32 * n, 32))
    return tuple(f"{prefix}{w[:8]}-{w[8:12]}-{w[12:16]}-{w[16:20]}-{w[20:]}" for w in parts)


def draw_tracks(world: World, n: int, seed: int, days: int) -> Tracks:
    """Draw n invented tracks of a world of so many days. Raises UsageError where the logging policy has fewer than
    the uniform pool needs on any day."""
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
    standing = random.normal(size=n)
    share = world.popularity_quality
    score = share * standing + np.sqrt(1 - share**2) * random.normal(size=n)
    rank = np.empty(n, np.int64)
    rank[np.argsort(-score)] = np.arange(1, n + 1)
    popularity = (rank + world.popularity_offset) ** -world.popularity_power
    cluster = artist_cluster[artist].astype(np.int64)
    # A stream of its own: a world with cold tracks differs from one without in nothing else.
    cold = generator(seed, COLD_STREAM).random(n) < world.cold_share
    tracks = Tracks(
        ids=uuids(random, n, "t_"),
        place=place.astype(np.float32),
        quality=world.quality_sd * standing,
        cluster=cluster,
        artist=artist.astype(np.int64),
        popularity=popularity / popularity.sum(),
        released=np.where(cold, world.cold_day(days), ALWAYS),
        logged=cluster >= world.unlogged_clusters,
        centres=centres,
    )
    fewest = int(tracks.offered.sum(axis=1).min())
    if fewest < world.uniform_pool:
        raise UsageError(f"{n} tracks leave the logging policy {fewest}, it needs {world.uniform_pool}: ask for more.")
    return tracks


def heard_mask(heard: Ints, n_tracks: int) -> Bools:
    """(n, n_tracks): which tracks each row of `heard` (n, m; -1 pads) names."""
    mask = np.zeros((len(heard), n_tracks + 1), bool)
    np.put_along_axis(mask, heard, True, axis=1)
    return np.asarray(mask[:, :-1], np.bool_)
