"""What no evaluation may depend on: how ids are spelled, and what was delivered later."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from deliveries import the_job
from frames import DAY, frame, listeners

from musicbox_lib import lake
from musicbox_lib.evaluation.night import Night, judge_night
from musicbox_lib.features.track_embeddings import track_embeddings
from musicbox_lib.features.track_features import track_features
from musicbox_lib.lake import ReadPartition, WritePartition
from musicbox_lib.reports import policy_comparison, policy_evaluation, skip_rate

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BEFORE = DAY - dt.timedelta(days=1)
UNTRAINED = ("random", "popularity", "logged")
Rows = list[dict[str, Any]]


def plays(n_users: int = 150) -> Rows:
    """Five days of listeners; a track's propensity goes with the track. Skips follow the track a little."""
    rng = np.random.default_rng(3)
    rows = listeners(n_users, 40, seed=3)
    for row in rows:
        number = int(row["track_id"][1:])
        row["propensity"] = 0.01 + 0.03 * (number % 5) / 5
        row["skip_grade"] = int(rng.random() < 0.3 + 0.4 * (number % 3 == 0)) * 3
    return rows


def judge(spark: SparkSession, rows: Rows) -> Night:
    events = frame(spark, "silver.listening_events", rows)
    before = events.where(events.dt < DAY)
    features = track_features(before, frame(spark, "silver.known_tracks", []), BEFORE)
    embeddings = track_embeddings(before, features, BEFORE)
    return judge_night(events, features.toPandas(), embeddings.toPandas(), None, None, DAY)


def spelled(rows: Rows, track: Callable[[str], str], session: Callable[[str], str]) -> Rows:
    return [{**row, "track_id": track(row["track_id"]), "session_id": session(row["session_id"])} for row in rows]


def tables(night: Night) -> dict[tuple[str, ...], dict[str, Any]]:
    """The rows of the three tables that tell of policies which nothing was trained for, by their keys."""
    found = {}
    for name, given in (
        ("policy_evaluation", policy_evaluation.rows(night)),
        ("skip_rate", skip_rate.rows(night)),
        ("policy_comparison", policy_comparison.rows(night)),
    ):
        for row in given:
            key = (name, *(str(row.get(part)) for part in ("policy", "versus", "segment", "measure")))
            if row["policy"] in UNTRAINED or row.get("versus") in UNTRAINED:
                found[key] = {column: value for column, value in row.items() if isinstance(value, float | int | str)}
    return found


def test_no_measure_depends_on_how_tracks_and_sessions_are_called(spark: SparkSession) -> None:
    rows = plays()
    order = np.random.default_rng(9).permutation(40)
    renamed = spelled(rows, lambda track: f"t{order[int(track[1:])]:03d}", lambda session: f"s{hash_of(session)}")
    first, second = tables(judge(spark, rows)), tables(judge(spark, renamed))
    assert {key[0] for key in first} == {"policy_evaluation", "skip_rate", "policy_comparison"}
    assert first.keys() == second.keys()
    for key, row in first.items():
        assert second[key] == pytest.approx(row, abs=1e-9), key
    # The numbers are there to be held against each other.
    assert first["policy_evaluation", "popularity", "None", "all", "skip_rate_dr"]["evidence"] == "ok"
    assert first["policy_evaluation", "popularity", "None", "all", "ndcg_20"]["value"] > 0


def hash_of(session: str) -> str:
    """Another name in another order; a user's sessions are of different days, which keeps their own order."""
    import hashlib

    return hashlib.sha256(session.encode()).hexdigest()[:8]


def test_later_deliveries_change_nothing_in_the_evaluation_of_an_earlier_day(
    spark: SparkSession, lake_root: Path
) -> None:
    rows = plays(60)
    events = frame(spark, "silver.listening_events", rows)
    lake.overwrite(events, WritePartition.parse(f"silver.listening_events/dt=..{DAY}"))
    before = events.where(events.dt < DAY)
    features = track_features(before, frame(spark, "silver.known_tracks", []), BEFORE)
    lake.overwrite(features, WritePartition.parse(f"gold.track_features/dt={BEFORE}"))
    placed = track_embeddings(before, features, BEFORE)
    lake.overwrite(placed, WritePartition.parse(f"gold.track_embeddings/dt={BEFORE}"))
    first = evaluated()
    after = DAY + dt.timedelta(days=1)
    later = [{**row, "dt": after, "session_id": f"later-{row['session_id']}"} for row in rows if row["dt"] == DAY]
    lake.overwrite(
        frame(spark, "silver.listening_events", later), WritePartition.parse(f"silver.listening_events/dt={after}")
    )
    for name, made in (("track_features", features), ("track_embeddings", placed)):
        moved = made.withColumn("dt", made.dt + 2)
        lake.overwrite(moved, WritePartition.parse(f"gold.{name}/dt={after}"))
    assert evaluated() == first
    assert len(first["policy_evaluation"]) > 50


def evaluated() -> dict[str, Rows]:
    """The job of DAY, run; the rows of its three tables."""
    written = ("policy_evaluation", "skip_rate", "policy_comparison")
    the_job("policy_evaluation").main(
        listening_events=ReadPartition.parse(f"silver.listening_events/dt=..{DAY}"),
        track_features=ReadPartition.parse(f"gold.track_features/dt=latest..{BEFORE}"),
        track_embeddings=ReadPartition.parse(f"gold.track_embeddings/dt=latest..{BEFORE}"),
        registry=ReadPartition.parse("models.registry"),
        baselines=ReadPartition.parse(f"models.baselines/dt=..{BEFORE}"),
        **{name: WritePartition.parse(f"reports.{name}/dt={DAY}") for name in written},
    )
    found = {}
    for name in written:
        snapshot = lake.snapshot(f"reports.{name}")
        assert snapshot is not None
        found[name] = sorted(snapshot.to_pyarrow_table().to_pylist(), key=str)
    return found
