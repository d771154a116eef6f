"""The served slates held against the generated truth: true expected skip rates, and how much of the gap they close."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from musicbox_lib import lake
from musicbox_lib.errors import DataRefused
from musicbox_lib.evaluation.bootstrap import clustered_mean, paired_bootstrap
from musicbox_lib.synthetic.truth import Truth

Floats = npt.NDArray[np.float64]

CHAMPION, POPULARITY, RANDOM, LOGGING, ORACLE = "champion", "popularity", "random", "logging policy", "oracle"
SLOTS = 3
DRAWS = 2000
# The folds of gold.last_sessions: 0 to 7 train, 8 chooses the model, 9 is never fitted.
SEGMENTS = {"all": range(10), "validation": range(8, 9), "held out": range(9, 10)}


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
    """(V_log - V) / (V_log - V_oracle): 0 as the logging policy, 1 as the oracle that knows the mood."""


@dataclass(frozen=True)
class Difference:
    """How much lower (negative) the champion's skip rate is than another policy's, paired over users."""

    versus: str
    segment: str
    users: int
    difference: float
    lo: float
    hi: float


@dataclass(frozen=True)
class Evaluation:
    """What the truth says of the slates of one night."""

    run_date: dt.date
    model_ids: tuple[str, ...]
    values: tuple[PolicyValue, ...]
    differences: tuple[Difference, ...]


def evaluate(run_date: dt.date, truth_folder: Path, *, seed: int, draws: int = DRAWS) -> Evaluation:
    """Hold the slates of a night against the truth.

    Each value is the true chance of skip_2 of a slate's tracks as the next play after the user's last session,
    averaged over the three tracks and then over users. Raises DataRefused where the night has no slates, a user has
    not exactly three tracks, or the truth is of another world.
    """
    users, slates, model_ids = _slates(run_date)
    folds = _folds(run_date, users)
    truth = Truth(truth_folder)
    popular = truth.popularity_slate(users, run_date, _plays(run_date), SLOTS)
    values = {
        CHAMPION: truth.slate_value(users, slates, run_date),
        POPULARITY: truth.slate_value(users, popular, run_date),
        RANDOM: truth.random_value(users, run_date),
        LOGGING: truth.logging_value(users, run_date),
        ORACLE: truth.oracle_value(users, run_date, SLOTS),
    }
    return Evaluation(run_date, model_ids, *compare(values, folds, seed=seed, draws=draws))


def compare(
    values: dict[str, Floats], folds: npt.NDArray[np.int64], *, seed: int, draws: int = DRAWS
) -> tuple[tuple[PolicyValue, ...], tuple[Difference, ...]]:
    """Mean values by policy and segment, and the champion's paired differences to popularity and the logging policy.

    `values` maps a policy to its users' true expected skip (n,), in the same order as `folds` (n,). A segment
    without users has no rows.
    """
    rows, differences = [], []
    for segment, members in SEGMENTS.items():
        inside = np.isin(folds, list(members))
        n = int(inside.sum())
        if not n:
            continue
        logged, best = values[LOGGING][inside].mean(), values[ORACLE][inside].mean()
        for policy, of_users in values.items():
            skip, lo, hi = clustered_mean(of_users[inside], np.ones(n), None, seed=seed, draws=draws)
            rows.append(PolicyValue(policy, segment, n, skip, lo, hi, float((logged - skip) / (logged - best))))
        for versus in (POPULARITY, LOGGING):
            found = paired_bootstrap(values[CHAMPION][inside], values[versus][inside], None, seed=seed, draws=draws)
            differences.append(Difference(versus, segment, n, *found))
    return tuple(rows), tuple(differences)


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


def _folds(run_date: dt.date, users: npt.NDArray[np.str_]) -> npt.NDArray[np.int64]:
    rows = _rows("gold.last_sessions", run_date, ["user_id", "fold"])
    listed, folds = _strings(rows, "user_id"), rows["fold"].to_numpy()
    by = np.argsort(listed)
    at = np.minimum(np.searchsorted(listed[by], users), len(by) - 1)
    missing = users[listed[by][at] != users]
    if len(missing):
        raise DataRefused(
            f"gold.last_sessions/dt={run_date} lacks user {missing[0]}, who has recommendations: score the night again."
        )
    return np.asarray(folds[by][at], np.int64)


def _plays(run_date: dt.date) -> dict[str, int]:
    rows = _rows("gold.track_features", run_date, ["track_id", "plays"])
    return dict(zip(rows["track_id"].to_pylist(), rows["plays"].to_pylist(), strict=True))
