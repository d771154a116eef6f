"""The generated sessions: planned for a block of listeners, then played position by position, all at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from musicbox_lib.synthetic.listeners import Listeners
from musicbox_lib.synthetic.policy import affinities, choose_from_cumulative, policy_logits
from musicbox_lib.synthetic.response import Levels, grades, next_fatigue, next_streak, probability, skip_logit
from musicbox_lib.synthetic.tracks import Tracks, unit, uuids
from musicbox_lib.synthetic.world import Bools, Floats, Ints, World, generator, noise, shares

SESSION_STREAM = 3
# Cells of one block of sessions x tracks: 16 MB of floats, 32 MB of their cumulative sums.
_BLOCK_CELLS = 2_000_000


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


@dataclass(frozen=True)
class Played:
    """What became of n sessions; plays are (n, longest), valid up to each session's length."""

    track: Ints
    grade: Ints
    propensity: Floats
    skip_chance: Floats
    """The true chance of skip_2 that each answer was drawn from."""
    streak: Floats
    """(n,), after the last play."""
    fatigue: Floats
    """(n, clusters), after the last play."""


def draw_moods(world: World, taste: Floats, random: np.random.Generator) -> Floats:
    """A session's mood around each taste, (n, d) unit norm."""
    return unit(taste + noise(random, world.mood_spread, *taste.shape))


def plan_sessions(world: World, listeners: Listeners, days: int, seed: int) -> Plan:
    """All sessions of a block of listeners within `days` days of delivery."""
    random = generator(seed, SESSION_STREAM, listeners.first)
    listener = np.repeat(np.arange(len(listeners.level)), listeners.sessions)
    n, longest = len(listener), world.longest
    delivered = random.integers(0, days, n)
    ids = uuids(random, n, "g_")
    mood = draw_moods(world, listeners.taste[listener], random)
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


def play_sessions(
    world: World, tracks: Tracks, listeners: Listeners, plan: Plan, context_level: Floats, seed: int
) -> Played:
    """Play the planned sessions: at each position the policy chooses for all of them, then all answer.

    `context_level` (contexts,) is what each context adds to the logit in this world. The numbers do not depend on
    the size of the blocks in which sessions are played.
    """
    random = generator(seed, SESSION_STREAM, listeners.first, 1)
    pools = generator(seed, SESSION_STREAM, listeners.first, 2)
    n, longest = plan.context.shape
    choices = random.random((n, longest))
    surprise = random.logistic(size=(n, longest))
    block = max(1, _BLOCK_CELLS // tracks.size)
    parts = [
        _play_block(
            world, tracks, listeners, plan, context_level, slice(start, start + block), choices, surprise, pools
        )
        for start in range(0, n, block)
    ]
    return Played(*(np.concatenate([getattr(part, name) for part in parts]) for name in Played.__dataclass_fields__))


class _Chooser:
    """The policy's chances for a block of sessions, renewed only where the context changes."""

    def __init__(self, world: World, tracks: Tracks, mood: Floats, context: Ints) -> None:
        self._world, self._tracks = world, tracks
        self.affinity = affinities(mood, tracks)
        rows = len(mood)
        self._steps = np.empty(self.affinity.shape, np.float64)
        self._total = np.empty(rows)
        self.renew(np.arange(rows), context)

    def renew(self, rows: Ints, context: Ints) -> None:
        """Give those rows the chances of their new contexts."""
        if not len(rows):
            return
        logits = policy_logits(self._world, self._tracks, self.affinity[rows], context)
        steps = np.cumsum(np.exp(logits), axis=1, dtype=np.float64)
        self._total[rows] = steps[:, -1]
        steps *= (1 - self._world.explore_share) / steps[:, -1:]
        size = self._tracks.size
        steps += self._world.explore_share / size * np.arange(1, size + 1)
        self._steps[rows] = steps + rows[:, None]

    def choose(self, rows: Ints, uniforms: Floats) -> Ints:
        """A track for each row."""
        return choose_from_cumulative(self._steps, uniforms, rows)

    def propensity(self, rows: Ints, track: Ints, context: Ints) -> Floats:
        """The chance with which each row's track was chosen."""
        world = self._world
        logit = (
            np.asarray(world.popularity_weight)[context] * self._tracks.log_popularity[track]
            + np.asarray(world.mood_weight)[context] * self.affinity[rows, track]
        )
        softmax = np.exp(logit) / self._total[rows]
        return np.asarray((1 - world.explore_share) * softmax + world.explore_share / self._tracks.size, np.float64)

    def pools(self, rows: Ints, random: np.random.Generator) -> Ints:
        """A pool of different tracks for each row, (rows, uniform_pool), drawn from its chances (Gumbel top-k)."""
        pool = self._world.uniform_pool
        chances = np.diff(self._steps[rows] - rows[:, None], axis=1, prepend=0)
        keys = np.log(chances) + random.gumbel(size=chances.shape)
        return np.asarray(np.sort(np.argpartition(-keys, pool - 1, axis=1)[:, :pool], axis=1), np.int64)


def _play_block(
    world: World,
    tracks: Tracks,
    listeners: Listeners,
    plan: Plan,
    context_level: Floats,
    part: slice,
    choices: Floats,
    surprise: Floats,
    random_pools: np.random.Generator,
) -> Played:
    owner = plan.listener[part]
    context, hour, length = plan.context[part], plan.hour[part], plan.length[part]
    choices, surprise = choices[part], surprise[part]
    n, longest = context.shape
    chooser = _Chooser(world, tracks, plan.mood[part], context[:, 0])
    uniform = np.flatnonzero(plan.uniform[part])
    pool = np.zeros((n, world.uniform_pool), np.int64)
    pool[uniform] = chooser.pools(uniform, random_pools)
    in_pool = plan.uniform[part]
    track = np.full((n, longest), -1, np.int64)
    grade = np.full((n, longest), -1, np.int64)
    propensity, chance = np.zeros((n, longest)), np.zeros((n, longest))
    streak, fatigue = np.zeros(n), np.zeros((n, world.clusters))
    for t in range(longest):
        rows = np.flatnonzero(length > t)
        switched = rows[plan.switched[part][rows, t]]
        chooser.renew(switched, context[switched, t])
        chosen = chooser.choose(rows, choices[rows, t])
        shown = in_pool[rows]
        slot = (choices[rows, t] * world.uniform_pool).astype(np.int64)
        chosen = np.where(shown, pool[rows, slot], chosen)
        propensity[rows, t] = np.where(
            shown, 1 / world.uniform_pool, chooser.propensity(rows, chosen, context[rows, t])
        )
        levels = Levels.of(
            world,
            listeners.level[owner[rows]],
            plan.level[part][rows],
            context_level[context[rows, t]],
            hour[rows, t],
            listeners.premium[owner[rows]].astype(np.float64),
        )
        cluster = tracks.cluster[chosen]
        eta = skip_logit(
            world,
            levels.eta,
            np.full(len(rows), t + 1),
            streak[rows],
            listeners.novelty[owner[rows]],
            affinity=chooser.affinity[rows, chosen].astype(np.float64),
            quality=tracks.quality[chosen],
            novelty=tracks.novelty[chosen],
            fatigue=fatigue[rows, cluster],
            repeat=(track[rows, :t] == chosen[:, None]).any(axis=1).astype(np.float64),
        )
        answer = grades(world, eta, surprise[rows, t])
        track[rows, t], grade[rows, t], chance[rows, t] = chosen, answer, probability(eta)
        streak[rows] = next_streak(world, streak[rows], (answer >= 2).astype(np.float64))
        fatigue[rows] = next_fatigue(world, fatigue[rows], cluster)
    return Played(track, grade, propensity, chance, streak, fatigue)
