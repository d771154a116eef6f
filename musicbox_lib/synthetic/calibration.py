"""Find the calibrated numbers of a world: levels and thresholds that give the real log's marginals.

    python -m musicbox_lib.synthetic.calibration --users 10000 --tracks 2000 --seeds 9001 9002 9003 9004

prints them as YAML for the world's file. Seeds used here are for calibration only: nothing is reported on them.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import yaml
from scipy.optimize import brentq

from musicbox_lib.synthetic.context_level import context_levels
from musicbox_lib.synthetic.listeners import draw_listeners
from musicbox_lib.synthetic.logging_draws import PolicyDraws
from musicbox_lib.synthetic.plays import Played, play_sessions, repeats
from musicbox_lib.synthetic.sessions import Plan, plan_sessions
from musicbox_lib.synthetic.tracks import draw_tracks
from musicbox_lib.synthetic.world import Bools, Floats, Ints, World, load_world

log = logging.getLogger(__name__)

# The real log's shares (Brost et al., WWW'19, and 167,880 plays of its mini set).
SKIP_1, SKIP_2, SKIP_3, NOT_SKIPPED = 0.4215, 0.5172, 0.6484, 0.3329
# Positions 11 to 20 lie between .508 and .546 there; at .529 all positions together give SKIP_2.
BY_POSITION = (0.377, 0.476, 0.505, 0.530, 0.532, 0.543, 0.540, 0.541, 0.532, 0.516, *([0.529] * 10))
BY_CONTEXT = {
    "user_collection": 0.546,
    "catalog": 0.457,
    "editorial_playlist": 0.508,
    "radio": 0.554,
    "personalized_playlist": 0.452,
    "charts": 0.555,
}
PREMIUM, FREE = 0.513, 0.534

BLOCK = 2_500


@dataclass(frozen=True)
class Plays:
    """Plays of a generated log, (n,) each."""

    position: Ints
    context: Ints
    premium: Bools
    grade: Ints
    eta: Floats
    """Logit of the true chance of skip_2."""
    first: Bools
    """Whether the play opens its session."""
    shuffle: Bools
    switched: Bools
    length: Ints
    track: Ints
    repeat: Bools

    def shares(self, flags: Floats | Bools, by: Ints, groups: int) -> Floats:
        """Mean of `flags` in each of `groups` groups."""
        return np.asarray(np.bincount(by, flags, groups) / np.bincount(by, minlength=groups), np.float64)


def simulate(world: World, *, users: int, tracks: int, seeds: Sequence[int], days: int = 60) -> Plays:
    """The plays of `users` listeners in the world of each seed, together."""
    parts = [part for seed in seeds for part in _one_world(world, users, tracks, seed, days)]
    return Plays(*(np.concatenate([getattr(part, name) for part in parts]) for name in Plays.__dataclass_fields__))


def _one_world(world: World, users: int, tracks: int, seed: int, days: int) -> Iterator[Plays]:
    catalogue = draw_tracks(world, tracks, seed, days)
    draws = PolicyDraws(world, catalogue)
    context_level = context_levels(world, catalogue, seed)
    for first in range(0, users, BLOCK):
        listeners = draw_listeners(world, catalogue, first, min(BLOCK, users - first), seed)
        plan = plan_sessions(world, listeners, days, seed)
        played = play_sessions(world, catalogue, draws, listeners, plan, context_level, seed)
        yield _flat(plan, played, listeners.premium)


def _flat(plan: Plan, played: Played, premium: Bools) -> Plays:
    session, at = np.nonzero(np.arange(plan.context.shape[1]) < plan.length[:, None])
    chance = played.skip_chance[session, at]
    return Plays(
        position=at + 1,
        context=plan.context[session, at],
        premium=premium[plan.listener[session]],
        grade=played.grade[session, at],
        eta=np.log(chance / (1 - chance)),
        first=at == 0,
        shuffle=plan.shuffle[session, at],
        switched=plan.switched[session, at],
        length=plan.length[session],
        track=played.track[session, at],
        repeat=repeats(played.track)[session, at],
    )


def threshold(eta: Floats, share: float) -> float:
    """The t for which `eta + Logistic(0, 1) > t` in that share of plays, by bisection."""
    # 200,000 plays give the share to .001; all of them cost a minute.
    some = eta[:: max(1, eta.size // 200_000)]
    return float(brentq(lambda t: float(np.mean(1 / (1 + np.exp(t - some)))) - share, -8, 8))


def calibrate(world: World, *, users: int, tracks: int, seeds: Sequence[int], rounds: int) -> World:
    """The world with its levels, position, context and premium effects and thresholds fitted, round by round, to the
    real log. Each round plays the same random numbers, so that the rounds converge."""
    contexts, longest = len(world.contexts), world.longest
    targets = np.array([BY_CONTEXT[name] for name in world.contexts])
    for i in range(rounds):
        plays = simulate(world, users=users, tracks=tracks, seeds=seeds)
        chance = 1 / (1 + np.exp(-plays.eta))
        at = (
            np.asarray(world.position_effect)
            + _logit(np.array(BY_POSITION[:longest]))
            - _logit(plays.shares(chance, plays.position - 1, longest))
        )
        context = (
            np.asarray(world.context_effect) + _logit(targets) - _logit(plays.shares(chance, plays.context, contexts))
        )
        pays = plays.premium
        premium = (_logit(PREMIUM) - _logit(FREE)) - (_logit(chance[pays].mean()) - _logit(chance[~pays].mean()))
        # One level for all: position effects are counted from the later positions, context effects from their mean.
        later, middle = float(at[10:].mean()), float(np.average(context, weights=world.context_share))
        excess = float(_logit(SKIP_2) - _logit(chance.mean()))
        world = replace(
            world,
            # Position and context both carried the common error: count it once.
            base_level=_tidy(world.base_level + later + middle - excess),
            position_effect=tuple(_tidy(x - later) for x in at),
            context_effect=tuple(_tidy(x - middle) for x in context),
            premium_effect=_tidy(world.premium_effect + float(premium)),
            skip_1_above=_tidy(threshold(plays.eta, SKIP_1)),
            skip_3_above=_tidy(threshold(plays.eta, SKIP_3)),
            not_skipped_below=_tidy(threshold(plays.eta, 1 - NOT_SKIPPED)),
        )
        log.info("round %d: skip_2 %.4f, excess %.4f", i + 1, chance.mean(), excess)
    return world


def _logit(share: Floats | float) -> Floats:
    return np.asarray(np.log(share) - np.log1p(-np.asarray(share)), np.float64)


def _tidy(number: float) -> float:
    return round(float(number), 4)


CALIBRATED = (
    "base_level",
    "premium_effect",
    "context_effect",
    "position_effect",
    "skip_1_above",
    "skip_3_above",
    "not_skipped_below",
)


def main(words: Sequence[str] | None = None) -> None:
    """Calibrate a world file and write the calibrated numbers to standard output as YAML."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", default="default", help="the world to start from, by name or file")
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--tracks", type=int, default=2_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[9001, 9002, 9003, 9004])
    parser.add_argument("--rounds", type=int, default=8)
    given = parser.parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    world = calibrate(
        load_world(given.world), users=given.users, tracks=given.tracks, seeds=given.seeds, rounds=given.rounds
    )
    fitted = {name: getattr(world, name) for name in CALIBRATED}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in fitted.items()}
    sys.stdout.write(yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, width=110))


if __name__ == "__main__":
    main()
