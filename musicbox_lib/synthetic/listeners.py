"""The generated listeners: what they like, how patient they are, how often they come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from musicbox_lib.synthetic.tracks import Tracks, unit
from musicbox_lib.synthetic.world import Bools, Floats, Ints, World, generator, noise

LISTENER_STREAM = 1


@dataclass(frozen=True)
class Listeners:
    """A block of n listeners; arrays are (n,) unless said otherwise."""

    first: int
    """Number of the block's first listener."""
    taste: Floats
    """(n, d), unit norm."""
    later_taste: Floats
    """(n, d), unit norm: the taste from the world's drift day on; the same for those who do not drift."""
    drifts: Bools
    level: Floats
    """How readily they skip, in logits."""
    novelty: Floats
    """Liking for unpopular tracks, in logits per deviation of -log popularity."""
    premium: Bools
    sessions: Ints
    """How many sessions they have in all."""

    @property
    def ids(self) -> list[str]:
        """`u_000123` for each."""
        return [user_id(number) for number in range(self.first, self.first + len(self.level))]


def user_id(number: int) -> str:
    """The id of the listener of that number."""
    return f"u_{number:06d}"


def draw_listeners(world: World, tracks: Tracks, first: int, n: int, seed: int) -> Listeners:
    """Listeners `first` to `first + n - 1`: the same ones for the same `first`, n and seed."""
    random = generator(seed, LISTENER_STREAM, first)
    taste = _tastes(world, tracks, n, random)
    level = random.normal(0, world.user_level_sd, n)
    novelty = random.normal(0, world.novelty_sd, n)
    # A stream of its own: a world that drifts differs from one that does not in nothing else.
    change = generator(seed, LISTENER_STREAM, first, 1)
    drifts = change.random(n) < world.drift_share
    return Listeners(
        first=first,
        taste=taste,
        later_taste=np.where(drifts[:, None], _tastes(world, tracks, n, change), taste),
        drifts=drifts,
        level=level,
        novelty=novelty,
        premium=random.random(n) < world.premium_share,
        sessions=random.geometric(1 / world.mean_sessions, n),
    )


def _tastes(world: World, tracks: Tracks, n: int, random: np.random.Generator) -> Floats:
    mix = random.dirichlet(np.full(world.clusters, world.taste_concentration), n)
    return unit(mix @ tracks.centres + noise(random, world.taste_spread, n, world.dimension))
