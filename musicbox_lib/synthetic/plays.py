"""The plays of planned sessions: what the policy chose, and how each was answered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from musicbox_lib.synthetic.listeners import Listeners
from musicbox_lib.synthetic.logging_draws import PolicyDraws
from musicbox_lib.synthetic.response import Levels, grades, next_fatigue, next_streak, probability, skip_logit
from musicbox_lib.synthetic.sessions import SESSION_STREAM, Plan
from musicbox_lib.synthetic.tracks import Tracks
from musicbox_lib.synthetic.world import Bools, Floats, Ints, World, generator


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


def play_sessions(
    world: World,
    tracks: Tracks,
    draws: PolicyDraws,
    listeners: Listeners,
    plan: Plan,
    context_level: Floats,
    seed: int,
) -> Played:
    """Play the planned sessions: the policy, which does not listen to answers, chooses every play; then all sessions
    are answered position by position.

    `context_level` (contexts,) is what each context adds to the logit in this world.
    """
    random = generator(seed, SESSION_STREAM, listeners.first, 1)
    choices = random.random(plan.context.shape)
    surprise = random.logistic(size=plan.context.shape)
    pool_numbers = generator(seed, SESSION_STREAM, listeners.first, 2)
    # Products this small lose more than they gain by threads: on two busy cores they took six times as long.
    with threadpool_limits(1):
        track, propensity = _choose(world, tracks, draws, plan, choices, pool_numbers)
    return _answer(world, tracks, listeners, plan, context_level, track, propensity, surprise)


def _choose(
    world: World, tracks: Tracks, draws: PolicyDraws, plan: Plan, choices: Floats, pool_numbers: np.random.Generator
) -> tuple[Ints, Floats]:
    """Tracks (n, longest), -1 beyond a session's length, and the propensity of each."""
    contexts = len(world.contexts)
    session, at = np.nonzero(np.arange(plan.context.shape[1]) < plan.length[:, None])
    # The chances change only with the context: one chooser for each that a session meets.
    met, chooser = np.unique(session * contexts + plan.context[session, at], return_inverse=True)
    owner = met // contexts
    choosers = draws.choosers(plan.mood[owner], met % contexts, tracks.stage(plan.start_day[owner]))
    by_policy = ~plan.uniform[session]
    track, propensity = np.full(plan.context.shape, -1, np.int64), np.zeros(plan.context.shape)
    where = session[by_policy], at[by_policy]
    track[where], propensity[where] = draws.draw(choosers, chooser[by_policy], choices[where])
    uniform = np.flatnonzero(plan.uniform)
    pool = np.zeros((len(plan.ids), world.uniform_pool), np.int64)
    # A pool is drawn from the chances of the session's first play.
    pool[uniform] = draws.pools(choosers, chooser[np.flatnonzero(at == 0)[uniform]], pool_numbers)
    where = session[~by_policy], at[~by_policy]
    track[where] = pool[where[0], (choices[where] * world.uniform_pool).astype(np.int64)]
    propensity[where] = 1 / world.uniform_pool
    return track, propensity


def _answer(
    world: World,
    tracks: Tracks,
    listeners: Listeners,
    plan: Plan,
    context_level: Floats,
    track: Ints,
    propensity: Floats,
    surprise: Floats,
) -> Played:
    n, longest = track.shape
    affinity = np.einsum("nd,nld->nl", plan.mood, tracks.place[track].astype(np.float64))
    repeat, novelty = repeats(track), tracks.novelty
    liking = listeners.novelty[plan.listener]
    levels = [
        listeners.level[plan.listener],
        plan.level,
        listeners.premium[plan.listener].astype(np.float64),
    ]
    grade = np.full((n, longest), -1, np.int64)
    chance = np.zeros((n, longest))
    streak, fatigue = np.zeros(n), np.zeros((n, world.clusters))
    for t in range(longest):
        rows = np.flatnonzero(plan.length > t)
        chosen = track[rows, t]
        cluster = tracks.cluster[chosen]
        level = Levels.of(
            world,
            levels[0][rows],
            levels[1][rows],
            context_level[plan.context[rows, t]],
            plan.hour[rows, t],
            levels[2][rows],
        )
        eta = skip_logit(
            world,
            level.eta,
            np.full(len(rows), t + 1),
            streak[rows],
            liking[rows],
            affinity=affinity[rows, t],
            quality=tracks.quality[chosen],
            novelty=novelty[chosen],
            fatigue=fatigue[rows, cluster],
            repeat=repeat[rows, t].astype(np.float64),
        )
        answer = grades(world, eta, surprise[rows, t])
        grade[rows, t], chance[rows, t] = answer, probability(eta)
        streak[rows] = next_streak(world, streak[rows], (answer >= 2).astype(np.float64))
        fatigue[rows] = next_fatigue(world, fatigue[rows], cluster)
    return Played(track, grade, propensity, chance, streak, fatigue)


def repeats(track: Ints) -> Bools:
    """(n, longest): whether the session has heard the track before; never for the padding -1."""
    same = track[:, :, None] == track[:, None, :]
    before = np.tri(track.shape[1], k=-1, dtype=bool)
    return np.asarray((same & before).any(axis=2) & (track >= 0), np.bool_)
