"""Is the judge right? Estimates on many logs of generated worlds, held against their truth.

One world is generated with many listeners, and each log is a group of them: 200 logs of the default world (do the
95 % intervals hold the truth?), the same with clusters that the log never plays (is the hole seen?), and 40 null worlds
(does anybody claim to be better where nobody can be?). Everything goes through the same `propose`, `sums_of` and
`estimate` as a night's report.
"""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.generated_log import GeneratedLog
from bench.measured import Row
from musicbox_lib.blocks.candidates import Candidates, Policy
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.blocks.slates import probability_of
from musicbox_lib.evaluation.estimators import (
    Evidence,
    Measure,
    Sums,
    difference_from_log,
    estimate,
    sums_of,
    weighable,
)
from musicbox_lib.evaluation.reward_model import RewardModel
from musicbox_lib.policies.popularity import Popularity
from musicbox_lib.policies.random import Random

Floats = npt.NDArray[np.float64]

DAY = dt.date(2026, 11, 1)
TRACKS = 150
"""Few, so that the truth of every track as every play (n, K) stays below a gigabyte for 200 logs."""
USERS_A_LOG = 100
"""About 6,600 plays: enough that the policies below pass the refusal rule."""
DRAWS = 1000
NULL_USERS = 200
MEASURES: tuple[Measure, ...] = ("dr", "snips")
SIZES = {"small": (20, 6), "full": (200, 40)}
"""Logs, null worlds."""
BLOCK = 4_000


class Tilted:
    """Half of the time any track, else one that is like what was not skipped: a policy with a mind of its own which a
    log of some thousand plays can still speak of."""

    name = "tilted"

    def __init__(self, log: GeneratedLog) -> None:
        self._even = Random(log.catalogue, 1)
        self._places = log.catalogue.embedding

    def propose(self, contexts: ContextBlock) -> Candidates:
        """All unheard tracks: half even, half a softmax of the likeness to the liked ones of the last 64."""
        even = self._even.propose(contexts)
        liked = (contexts.grades == 0) & (contexts.tracks >= 0)
        centre = (liked[:, :, None] * self._places[contexts.tracks.clip(min=0)]).sum(axis=1)
        centre /= np.maximum(np.linalg.norm(centre, axis=1, keepdims=True), 1e-9)
        weights = np.where(even.tracks >= 0, np.exp(3 * (centre @ self._places.T)), 0.0)
        chances = 0.5 * even.probabilities + 0.5 * weights / weights.sum(axis=1, keepdims=True)
        return Candidates(even.tracks, even.scores, chances, even.sources)


class Luckiest:
    """The tracks that were skipped least in a log of other listeners: chance alone where no track is better."""

    name = "luckiest"

    def __init__(self, log: GeneratedLog, rates: Floats) -> None:
        self._even = Random(log.catalogue, 1)
        self._weights = np.exp(-12 * rates)

    def propose(self, contexts: ContextBlock) -> Candidates:
        """All unheard tracks, e^1.2 likelier for each tenth of skip rate less; a fifth of the chance is even."""
        even = self._even.propose(contexts)
        weights = np.where(even.tracks >= 0, self._weights, 0.0)
        chances = 0.2 * even.probabilities + 0.8 * weights / weights.sum(axis=1, keepdims=True)
        return Candidates(even.tracks, even.scores, chances, even.sources)


class InTheHole:
    """Half of the time a track that the log never plays."""

    name = "in_the_hole"

    def __init__(self, log: GeneratedLog) -> None:
        self._even = Random(log.catalogue, 1)
        self._unlogged = log.unlogged

    def propose(self, contexts: ContextBlock) -> Candidates:
        """All unheard tracks, half of the chance on the unlogged ones."""
        even = self._even.propose(contexts)
        hole = np.where(even.tracks >= 0, self._unlogged.astype(np.float64), 0.0)
        chances = 0.5 * even.probabilities + 0.5 * hole / hole.sum(axis=1, keepdims=True)
        return Candidates(even.tracks, even.scores, chances, even.sources)


@dataclass(frozen=True)
class Verdicts:
    """A policy judged on several logs."""

    sums: list[Sums]
    """One a log."""
    truth: float
    """The policy's true skip rate among labelled plays, over the contexts of all logs: what each estimate aims at."""

    def held(self, measure: Measure) -> tuple[int, int]:
        """How many of the intervals given hold the truth, and how many were given."""
        found = [given.intervals[measure] for given in map(estimate, self.sums) if given.intervals]
        return sum(one.lo <= self.truth <= one.hi for one in found), len(found)

    def bias(self, measure: Measure) -> float:
        """Mean estimate less the truth."""
        found = [given.intervals[measure].value for given in map(estimate, self.sums) if given.intervals]
        return float(np.mean(found)) - self.truth

    def evidence(self) -> dict[Evidence, int]:
        """How many logs of each evidence."""
        flags = [one.evidence for one in self.sums]
        return {flag: flags.count(flag) for flag in dict.fromkeys(flags)}


def judge(log: GeneratedLog, policies: list[Policy], model: RewardModel, logs: int, seed: int) -> dict[str, Verdicts]:
    """Each policy's sums on `logs` logs, the users in equal groups one after the other."""
    n = len(log.users)
    group = log.user * logs // n
    weights, expected, at_played, skipped, labelled = (
        {policy.name: np.zeros(len(log)) for policy in policies} for _ in range(5)
    )
    weighed = weighable(log.propensity) & (log.grade >= 0)
    for start, contexts, skip in log.blocks(BLOCK):
        rows = slice(start, start + len(contexts))
        for policy in policies:
            candidates = policy.propose(contexts)
            held = candidates.tracks.clip(min=0)
            weights[policy.name][rows] = probability_of(candidates, log.track[rows]) / log.propensity[rows]
            skips = model.skip(contexts.user_plays, contexts.user_skips, candidates.tracks)
            expected[policy.name][rows] = (candidates.probabilities * skips).sum(axis=1)
            played = model.skip(contexts.user_plays, contexts.user_skips, log.track[rows][:, None])
            at_played[policy.name][rows] = played[:, 0]
            true = np.take_along_axis(skip, held, axis=1).astype(np.float64)
            skipped[policy.name][rows] = (candidates.probabilities * true).sum(axis=1)
            labelled[policy.name][rows] = (candidates.probabilities * log.label_chances(true)).sum(axis=1)
    found: dict[str, list[Sums]] = {policy.name: [] for policy in policies}
    for number in range(logs):
        rows_of = weighed & (group == number)
        parts = [tuple(part[policy.name][rows_of] for part in (weights, expected, at_played)) for policy in policies]
        sums = sums_of(parts, log.skip_2[rows_of], log.keys[rows_of], seed=seed + number, draws=DRAWS)
        for policy, one in zip(policies, sums, strict=True):
            found[policy.name].append(one)
    # Every rate in a report is one among labelled plays, and a skipped play always carries a label.
    there = weighable(log.propensity)
    return {
        name: Verdicts(sums, float(skipped[name][there].sum() / labelled[name][there].sum()))
        for name, sums in found.items()
    }


def generated(world: str, users: int, seed: int) -> GeneratedLog:
    """A world's log, generated and read back."""
    with tempfile.TemporaryDirectory() as folder:
        return GeneratedLog.generate(world, users, TRACKS, DAY, seed, Path(folder))


def coverage(logs: int, seed: int = 1) -> dict[str, Verdicts]:
    """Policies judged on many logs of the default world; the reward model is fitted on other listeners."""
    pilot = 500
    log = generated("default", pilot + logs * USERS_A_LOG, seed)
    rest = log.of_users(pilot, len(log.users))
    model = RewardModel.of(*log.of_users(0, pilot).track_rates())
    return judge(rest, [Popularity(log.catalogue), Random(log.catalogue, 1), Tilted(log)], model, logs, seed)


def support(logs: int, seed: int = 2) -> dict[str, Verdicts]:
    """The same where four of forty clusters are never played."""
    log = generated("unlogged_cluster", logs * USERS_A_LOG, seed)
    model = RewardModel.of(np.full(TRACKS, 0.5), 0.5)
    return judge(log, [InTheHole(log), Popularity(log.catalogue)], model, logs, seed)


def null_claims(worlds: int, first_seed: int = 1) -> dict[str, tuple[int, int]]:
    """In each null world a policy is learned from one half of the listeners and judged on the other half: how often its
    whole interval lies below the logged rate, and how often there was an interval."""
    claims: dict[str, tuple[int, int]] = {}
    for seed in range(first_seed, first_seed + worlds):
        log = generated("null", 2 * NULL_USERS, seed)
        rates, overall = log.of_users(0, NULL_USERS).track_rates()
        judged = log.of_users(NULL_USERS, 2 * NULL_USERS)
        policies: list[Policy] = [Luckiest(log, rates), Popularity(log.catalogue), Tilted(log)]
        for name, verdicts in judge(judged, policies, RewardModel.of(rates, overall), 1, seed).items():
            gap = difference_from_log(verdicts.sums[0], "dr")
            claimed, given = claims.get(name, (0, 0))
            claims[name] = (claimed + int(gap is not None and gap.hi < 0), given + int(gap is not None))
    return claims


def run(size: str) -> list[Row]:
    """Rows of the bench: one a policy and measure, with what came out beside the seconds."""
    logs, worlds = SIZES[size]
    rows = []
    started = time.perf_counter()
    for name, verdicts in coverage(logs).items():
        for measure in MEASURES:
            held, given = verdicts.held(measure)
            told = (
                f"{held / max(given, 1):.3f} of {given} hold {verdicts.truth:.4f}, bias {verdicts.bias(measure):+.4f}"
            )
            rows.append(_row(f"{name}, {measure}: {told}", size, started, value=held / max(given, 1), given=given))
    for name, verdicts in support(max(logs // 10, 2)).items():
        rows.append(_row(f"{name}, unlogged clusters: {verdicts.evidence()}", size, started))
    for name, (claimed, given) in null_claims(worlds).items():
        told = f"{claimed} of {worlds} null worlds claim an improvement, {given} have a number"
        rows.append(_row(f"{name}: {told}", size, started, value=claimed / worlds, given=given))
    return rows


def _row(case: str, size: str, started: float, **more: Any) -> Row:
    return {"case": case, "size": size, "seconds": time.perf_counter() - started, **more}
