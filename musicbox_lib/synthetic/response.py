"""The true answer to a play: what raises and lowers the chance of a skip, and how a session's state moves on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from musicbox_lib.synthetic.world import Floats, Ints, World


@dataclass(frozen=True)
class Levels:
    """What does not depend on the track, one number per session: the sum of every level but the position's."""

    eta: Floats

    @classmethod
    def of(
        cls, world: World, listener: Floats, session: Floats, context: Floats, hour: Ints, premium: Floats
    ) -> Levels:
        """Base, listener, session, context (logits), hour of the day and premium (0/1), each (n,)."""
        return cls(
            world.base_level + listener + session + context + world.hour_effect(hour) + world.premium_effect * premium
        )


def skip_logit(
    world: World,
    levels: Floats,
    position: Ints,
    streak: Floats,
    novelty_liking: Floats,
    *,
    affinity: Floats,
    quality: Floats,
    novelty: Floats,
    fatigue: Floats,
    repeat: Floats,
) -> Floats:
    """Logit of skip_2. The session's arguments broadcast against the tracks': (n,) with (n,), or (n, 1) with (n, m).

    `levels` as of `Levels`; `position` from 1, later ones than the world knows count as its last; `affinity` is
    <mood, track>; `repeat` is 1 where the session has heard the track.
    """
    effects = np.asarray(world.position_effect)
    at = effects[np.minimum(position, len(effects)) - 1]
    return np.asarray(
        levels
        + at
        + world.streak_weight * streak
        - world.affinity_weight * (affinity - world.affinity_centre)
        - quality
        + world.fatigue_weight * fatigue
        + world.repeat_weight * repeat
        - novelty_liking * novelty,
        np.float64,
    )


def probability(logit: Floats) -> Floats:
    """The chance of a skip, 0 to 1."""
    return np.asarray(1 / (1 + np.exp(-logit)), np.float64)


def grades(world: World, eta: Floats, noise: Floats) -> Ints:
    """Graded answers of the latent `eta + noise` (logistic): 3 skip_1, 2 skip_2, 1 skip_3 only, 0 not skipped, -1
    for the gap between skip_3 and not_skipped, where the log carries no label."""
    y = eta + noise
    return np.select(
        [y > world.skip_1_above, y > 0, y > world.skip_3_above, y <= world.not_skipped_below], [3, 2, 1, 0], -1
    ).astype(np.int64)


def next_streak(world: World, streak: Floats, skipped: Floats) -> Floats:
    """The streak after one more answer (1 skip_2, 0 not)."""
    return np.asarray(world.streak_decay * streak + (1 - world.streak_decay) * (skipped - 0.5), np.float64)


def next_fatigue(world: World, fatigue: Floats, cluster: Ints) -> Floats:
    """Fatigue by cluster (n, clusters) after one more play of `cluster` (n,)."""
    moved = world.fatigue_decay * fatigue
    moved[np.arange(len(moved)), cluster] += 1
    return np.asarray(moved, np.float64)
