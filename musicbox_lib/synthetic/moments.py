"""Moments before a play, and what is true of every track there: the chance of a skip, the logging policy's chance."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from musicbox_lib.synthetic.logging_policy import affinities, policy_probabilities
from musicbox_lib.synthetic.response import probability, skip_logit
from musicbox_lib.synthetic.tracks import Tracks, heard_mask
from musicbox_lib.synthetic.world import Bools, Floats, Ints, World


@dataclass(frozen=True)
class Moments:
    """Everything but the track about n plays to come; (n,) or (n, …)."""

    mood: Floats
    levels: Floats
    position: Ints
    streak: Floats
    novelty: Floats
    """The listener's liking for unpopular tracks."""
    fatigue: Floats
    """By cluster."""
    context: Ints
    stage: Ints
    """How far the catalogue has come."""
    heard: Ints
    """Tracks of the session so far, (n, longest), -1 pads."""

    def __len__(self) -> int:
        """How many."""
        return len(self.levels)

    def take(self, rows: slice | npt.NDArray[np.int64]) -> Moments:
        """Those moments."""
        return Moments(*(getattr(self, field.name)[rows] for field in fields(self)))


def skip_chances(world: World, tracks: Tracks, moments: Moments) -> Floats:
    """True P(skip_2) of every track at every moment, (n, K)."""
    logit = skip_logit(
        world,
        moments.levels[:, None],
        moments.position[:, None],
        moments.streak[:, None],
        moments.novelty[:, None],
        affinity=affinities(moments.mood, tracks).astype(np.float64),
        quality=tracks.quality,
        novelty=tracks.novelty,
        fatigue=moments.fatigue[:, tracks.cluster],
        repeat=heard_mask(moments.heard, tracks.size).astype(np.float64),
    )
    return probability(logit)


def logging_chances(world: World, tracks: Tracks, moments: Moments) -> Floats:
    """The logging policy's propensity of every track at every moment, (n, K)."""
    return policy_probabilities(world, tracks, affinities(moments.mood, tracks), moments.context, moments.stage)


def candidates(tracks: Tracks, moments: Moments) -> Bools:
    """Which tracks can be recommended, (n, K): there already, and not heard in the session."""
    return tracks.playable[moments.stage] & ~heard_mask(moments.heard, tracks.size)
