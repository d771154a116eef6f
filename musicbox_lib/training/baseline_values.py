"""What each fitted baseline would earn, by the validation fold's plays, and the temperature that is best there: chosen
as the champion's own is (training.off_policy), so that no baseline is held down by a poor one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.grades import REWARDS
from musicbox_lib.blocks.slates import probability_of
from musicbox_lib.policies.base import TEMPERATURE, FittedPolicy
from musicbox_lib.policies.ranking import EXPLORE, Ranked
from musicbox_lib.policies.steps import soften
from musicbox_lib.policies.training_plays import Plays
from musicbox_lib.training.off_policy import MIN_ESS, Logged, Value, logged_plays, self_normalised

TEMPERATURES = (0.02, 0.05, 0.1, 0.2, 0.4, 1.0)
"""Offered to the choice: scores are cosines, shares of the best, logits or logarithms of shares, whose best ten tracks
lie within .02 to 1. At 1 popularity's chances are its shares of plays."""
Floats = NDArray[np.float64]

ROWS = 1_000
"""Plays whose candidates are held at a time: 1,000 x 200 x 8 temperatures are 13 MB."""


def measured(
    policies: Sequence[FittedPolicy], validation: Plays, catalogue: Catalogue
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """By policy, the temperature with the largest lower bound (value less one standard error) of the reward, and what
    the validation plays say of the policy with it. A policy that the plays cannot judge, or that makes its chances by
    itself, keeps TEMPERATURE."""
    logged, usable = as_logged(validation, catalogue)
    temperatures, metrics = {}, {}
    for policy in policies:
        chances = chances_of_played(policy, usable, TEMPERATURES)
        values = [self_normalised(column, logged, logged.rewards) for column in chances.T]
        bounds = [value.mean - value.error if value.ess >= MIN_ESS else -np.inf for value in values]
        best = int(np.argmax(bounds))
        if not (np.isfinite(bounds[best]) and isinstance(policy, Ranked)):
            best = TEMPERATURES.index(TEMPERATURE)
        temperatures[policy.name] = TEMPERATURES[best]
        skip = self_normalised(chances[:, best], logged, logged.skips)
        metrics[policy.name] = _numbers(values[best], skip, logged) | {"temperature": TEMPERATURES[best]}
    return temperatures, metrics


def as_logged(plays: Plays, catalogue: Catalogue) -> tuple[Logged, Plays]:
    """The plays that may be weighed, as the trainer's own judge chooses them: as it has them (the only number of a
    state being the play's row), and as they came."""
    rows: dict[str, NDArray[Any]] = {
        "propensity": plays.propensities,
        "skip_grade": plays.grades,
        "user_id": plays.contexts.keys,
        "o_tm1": np.arange(len(plays))[:, None],
        "r_t": np.array(REWARDS)[plays.grades],
    }
    logged = logged_plays(rows, plays.tracks, catalogue.play_share)
    return logged, plays.take(logged.states[:, 0])


def chances_of_played(policy: FittedPolicy, plays: Plays, temperatures: tuple[float, ...]) -> Floats:
    """(n, T) the chance that the policy plays what was played, with each temperature; the same with all of them for a
    policy that is not `Ranked`."""
    parts = [np.zeros((0, len(temperatures)))]
    for at in range(0, len(plays), ROWS):
        rows = slice(at, at + ROWS)
        contexts = plays.contexts.take(rows)
        if not isinstance(policy, Ranked):
            chances = probability_of(policy.propose(contexts), plays.tracks[rows])
            parts.append(np.repeat(chances[:, None], len(temperatures), axis=1))
            continue
        tracks, scores = policy.candidates(contexts)
        same = (tracks == plays.tracks[rows, None]) & (tracks >= 0)
        parts.append(
            np.column_stack([(soften(tracks, scores, one, EXPLORE) * same).sum(axis=1) for one in temperatures])
        )
    return np.concatenate(parts)


def _numbers(reward: Value, skip: Value, logged: Logged) -> dict[str, float]:
    found = {
        "validation_n": float(len(logged)),
        "validation_ess": reward.ess,
        "validation_reward_snips": reward.mean,
        "validation_reward_snips_error": reward.error,
        "validation_skip_snips": skip.mean,
        "validation_skip_snips_error": skip.error,
        "validation_reward_logged": float(logged.rewards.mean()) if len(logged) else float("nan"),
        "validation_skip_logged": float(logged.skips.mean()) if len(logged) else float("nan"),
        "validation_propensity_estimated": logged.estimated,
    }
    return {name: value for name, value in found.items() if np.isfinite(value)}
