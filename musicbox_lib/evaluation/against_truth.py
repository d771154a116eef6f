"""One night held against the generated truth: what was served, and each policy's likeliest three for the same users."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from musicbox_lib import lake
from musicbox_lib.blocks.contexts import CONTEXT_COLUMNS
from musicbox_lib.blocks.folds import FOLDS, HELD_OUT_FOLD, VALIDATION_FOLD
from musicbox_lib.errors import DataRefused
from musicbox_lib.evaluation.bootstrap import clustered_mean, paired_bootstrap
from musicbox_lib.evaluation.contenders import CHAMPION, Contender, contenders_of, variants_of
from musicbox_lib.evaluation.true_values import SLOTS, Answers, answers_of, gap_closed
from musicbox_lib.features.night_tracks import night_catalogue
from musicbox_lib.lake import ReadPartition
from musicbox_lib.models.champion import champion_as_of
from musicbox_lib.models.fitted_baselines import baselines_as_of
from musicbox_lib.policies import listed
from musicbox_lib.synthetic.truth import Truth

Floats = npt.NDArray[np.float64]

SERVED, LOGGING, ORACLE = "served", "logging policy", "oracle"
DRAWS = 2000
SEGMENTS = {"all": tuple(range(FOLDS)), "validation": (VALIDATION_FOLD,), "held out": (HELD_OUT_FOLD,)}


@dataclass(frozen=True)
class PolicyValue:
    """A policy's true expected skip rate over a segment's users, with the 95 % interval of drawing other users."""

    policy: str
    segment: str
    users: int
    skip: float
    lo: float
    hi: float
    gap_closed: float
    """0 as the logging policy, 1 as the oracle that knows the mood; not a number where the oracle gains nothing."""
    coverage: float | None = None
    """Share of the catalogue that its slates hold; of `all` users only."""
    ild: float | None = None
    """1 - mean pairwise cosine within a slate, on the tracks' true places; of `all` users only."""


@dataclass(frozen=True)
class Difference:
    """How much lower (negative) one policy's skip rate is than another's, paired over users."""

    policy: str
    versus: str
    segment: str
    users: int
    difference: float
    lo: float
    hi: float


@dataclass(frozen=True)
class Evaluation:
    """What the truth says of one night."""

    run_date: dt.date
    model_ids: tuple[str, ...]
    values: tuple[PolicyValue, ...]
    differences: tuple[Difference, ...]


def evaluate(run_date: dt.date, truth_folder: Path, *, seed: int, draws: int = DRAWS) -> Evaluation:
    """Hold the night against the truth: what was served, and each policy's likeliest three as of that day.

    Each value is the true chance of skip_2 of a slate's tracks as the next play after the user's last session,
    averaged over the three tracks and then over users. Raises DataRefused where the night has no slates, a user has
    not exactly three tracks, or the truth is of another world.
    """
    users, slates, model_ids = _slates(run_date)
    contexts = _contexts(run_date, users)
    truth = Truth(truth_folder)
    told = {SERVED: slates, ORACLE: truth.oracle_slate(users, run_date, SLOTS)}
    answers = {name: Answers(truth.slate_value(users, tracks, run_date), tracks) for name, tracks in told.items()}
    for contender in _contenders(run_date, seed):
        answers[contender.policy.name] = answers_of(contender, contexts, truth, run_date)
    values = {name: one.skip for name, one in answers.items()} | {LOGGING: truth.logging_value(users, run_date)}
    variety = {name: one.variety(truth) for name, one in answers.items()}
    found = compare(values, contexts["fold"].to_numpy(), variety, seed=seed, draws=draws)
    return Evaluation(run_date, model_ids, *found)


def compare(
    values: Mapping[str, Floats],
    folds: npt.NDArray[Any],
    variety: Mapping[str, tuple[float | None, float | None]],
    *,
    seed: int,
    draws: int = DRAWS,
) -> tuple[tuple[PolicyValue, ...], tuple[Difference, ...]]:
    """Mean values by policy and segment, best first, and the paired differences of what was served and of the
    champion to every other policy.

    `values` maps a policy to its users' true expected skip (n,), in the same order as `folds` (n,). A segment
    without users has no rows.
    """
    rows, differences = [], []
    for segment, members in SEGMENTS.items():
        inside = np.isin(folds, members)
        n = int(inside.sum())
        if not n:
            continue
        logged, best = float(values[LOGGING][inside].mean()), float(values[ORACLE][inside].mean())
        for policy, of_users in sorted(values.items(), key=lambda item: float(item[1][inside].mean())):
            skip, lo, hi = clustered_mean(of_users[inside], np.ones(n), None, seed=seed, draws=draws)
            seen = variety.get(policy, (None, None)) if segment == "all" else (None, None)
            rows.append(PolicyValue(policy, segment, n, skip, lo, hi, gap_closed(skip, logged, best), *seen))
        for policy in (name for name in (SERVED, CHAMPION) if name in values):
            for versus in (name for name in values if name not in (SERVED, CHAMPION, ORACLE)):
                found = paired_bootstrap(values[policy][inside], values[versus][inside], None, seed=seed, draws=draws)
                differences.append(Difference(policy, versus, segment, n, *found))
    return tuple(rows), tuple(differences)


def _contenders(run_date: dt.date, seed: int) -> list[Contender]:
    tables = ("gold.track_features", "gold.track_embeddings")
    catalogue = night_catalogue(*(ReadPartition.parse(f"{name}/dt={run_date}") for name in tables))
    champion = champion_as_of(ReadPartition.parse("models.registry"), run_date)
    fitted = baselines_as_of(ReadPartition.parse(f"models.baselines/dt=..{run_date}"), run_date)
    found = contenders_of(champion, catalogue, fitted, seed, listed.of_catalogue())
    return found if champion is None else [found[0], *variants_of(found[0]), *found[1:]]


def _rows(name: str, run_date: dt.date, columns: list[str]) -> pa.Table:
    snapshot = lake.snapshot(name)
    rows = None if snapshot is None else _of_day(snapshot, run_date, columns)
    if rows is None or not rows.num_rows:
        raise DataRefused(
            f"{name}/dt={run_date} is empty in {lake.root()}: run `make nightly RUN_DATE={run_date}` first."
        )
    return rows


def _of_day(snapshot: Any, run_date: dt.date, columns: list[str]) -> pa.Table:
    # A plain reader: the JVM's start costs ten times this whole evaluation.
    day = pc.field("dt") == pa.scalar(run_date, pa.date32())
    return snapshot.to_pyarrow_dataset(file_pruning_predicate=f"dt = '{run_date}'").to_table(
        columns=columns, filter=day
    )


def _strings(rows: pa.Table, name: str) -> npt.NDArray[np.str_]:
    return np.asarray(rows[name].to_numpy(zero_copy_only=False), dtype="U")


def _slates(run_date: dt.date) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.str_], tuple[str, ...]]:
    name = "scores.top3_recommendations"
    rows = _rows(name, run_date, ["user_id", "rank", "track_id", "model_id"])
    users, rank, tracks = _strings(rows, "user_id"), rows["rank"].to_numpy(), _strings(rows, "track_id")
    by = np.lexsort((rank, users))
    each, counts = np.unique(users, return_counts=True)
    odd = np.flatnonzero(counts != SLOTS)
    if len(odd):
        raise DataRefused(
            f"{name}/dt={run_date}: user {each[odd[0]]} has {counts[odd[0]]} tracks instead of {SLOTS} "
            f"(and {len(odd) - 1} more users): score the night again."
        )
    return each, tracks[by].reshape(-1, SLOTS), tuple(sorted(set(rows["model_id"].unique().to_pylist())))


def _contexts(run_date: dt.date, users: npt.NDArray[np.str_]) -> pa.Table:
    """The users' rows of gold.last_sessions, in the users' order."""
    rows = _rows("gold.last_sessions", run_date, [*CONTEXT_COLUMNS])
    listed = _strings(rows, "user_id")
    by = np.argsort(listed)
    at = np.minimum(np.searchsorted(listed[by], users), len(by) - 1)
    missing = users[listed[by][at] != users]
    if len(missing):
        raise DataRefused(
            f"gold.last_sessions/dt={run_date} lacks user {missing[0]}, who has recommendations: score the night again."
        )
    return rows.take(pa.array(by[at])).combine_chunks()
