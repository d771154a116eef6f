"""The generated sessions as planned, before anything is played: when, where, how long, in what mood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from musicbox_lib.synthetic.listeners import Listeners
from musicbox_lib.synthetic.tracks import unit, uuids
from musicbox_lib.synthetic.world import Bools, Floats, Ints, World, generator, noise, shares

SESSION_STREAM = 3


@dataclass(frozen=True)
class Plan:
    """n sessions before anything is played; (n,) or, by position, (n, longest). Ordered by listener, then in the
    order of the listener's sessions: (delivered day, first day, first hour, id)."""

    ids: list[str]
    listener: Ints
    """Row of the listener in its block."""
    order: Ints
    """0 for the listener's first session."""
    delivered: Ints
    """Day of delivery, 0 for the first."""
    start_day: Ints
    """Day of the first play; may be before 0 for a late or midnight session of the first days."""
    length: Ints
    mood: Floats
    """(n, d), unit norm."""
    level: Floats
    uniform: Bools
    """Whether the session shows a pool of tracks uniformly."""
    hour: Ints
    """By position, 0 to 23."""
    days_on: Ints
    """By position: midnights since the first play."""
    context: Ints
    """By position."""
    switched: Bools
    """By position: whether a new context came with this play."""
    shuffle: Bools
    """By position."""


def plan_sessions(world: World, listeners: Listeners, days: int, seed: int) -> Plan:
    """All sessions of a block of listeners within `days` days of delivery."""
    random = generator(seed, SESSION_STREAM, listeners.first)
    listener = np.repeat(np.arange(len(listeners.level)), listeners.sessions)
    n, longest = len(listener), world.longest
    delivered = random.integers(0, days, n)
    ids = uuids(random, n, "g_")
    around = noise(random, world.mood_spread, n, world.dimension)
    level = random.normal(0, world.session_level_sd, n)
    length = random.choice(np.asarray(world.lengths), n, p=shares(world.length_share))
    uniform = random.random(n) < world.uniform_share
    struck = random.random((n, longest)) < world.hour_advance_rate
    struck[:, 0] = False
    clock = random.choice(24, n, p=shares(world.hour_share))[:, None] + np.cumsum(struck, axis=1)
    switched = random.random((n, longest)) < world.context_switch_rate
    drawn = random.choice(len(world.contexts), (n, longest), p=shares(world.context_share))
    mixed = random.random((n, longest))
    switched[:, 0] = True
    # Each play has the context, and the shuffle mode drawn with it, of the latest switch up to it.
    latest = np.maximum.accumulate(np.where(switched, np.arange(longest), 0), axis=1)
    context = np.take_along_axis(drawn, latest, axis=1)
    shuffle = np.take_along_axis(mixed, latest, axis=1) < np.asarray(world.shuffle_by_context)[context]
    switched[:, 0] = False
    late = random.random(n) < world.late_share
    days_late = np.where(late, random.geometric(1 / world.late_mean_days, n), 0)
    days_on = clock // 24
    # A session that crosses midnight is delivered with the day on which it ended.
    last = np.take_along_axis(days_on, length[:, None] - 1, axis=1)[:, 0]
    start_day = delivered - days_late - last
    changed = (start_day >= world.drift_day(days))[:, None]
    mood = unit(np.where(changed, listeners.later_taste[listener], listeners.taste[listener]) + around)
    by = np.lexsort((np.asarray(ids, dtype=object).astype("U40"), clock[:, 0], start_day, delivered, listener))
    starts = np.concatenate([[0], np.cumsum(listeners.sessions)[:-1]])
    return Plan(
        ids=[ids[i] for i in by],
        listener=listener[by],
        order=np.arange(n) - starts[listener[by]],
        delivered=delivered[by],
        start_day=start_day[by],
        length=length[by].astype(np.int64),
        mood=mood[by],
        level=level[by],
        uniform=uniform[by],
        hour=(clock % 24)[by],
        days_on=days_on[by],
        context=context[by],
        switched=switched[by],
        shuffle=shuffle[by],
    )
