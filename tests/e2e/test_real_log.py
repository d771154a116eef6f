"""The real listening log, the whole way: no users, no track table, no propensities."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deliveries import rows_of
from rendered import run_dag

from musicbox_lib.landing.land import land
from musicbox_lib.settings import settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Keras 3.15 hands its variables to numpy 2 in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

DAY = dt.date(2018, 7, 15)


@pytest.mark.mssd
@pytest.mark.slow
def test_the_real_log_is_trained_on_scored_and_reported(spark: SparkSession, lake_root: Path) -> None:
    land(DAY, settings().mssd_log, None)
    run_dag("musicbox_training", DAY)
    run_dag("musicbox_nightly", DAY)
    silver = rows_of("silver.listening_events")
    rejected = rows_of("silver.rejected_events")
    assert len(silver) + len(rejected) == 67_185
    assert all(row["rules"] for row in rejected)
    last = {row["user_id"]: row for row in rows_of("gold.last_sessions")}
    assert set(last) == {row["session_id"] for row in silver}
    slates: dict[str, set[str]] = {user: set() for user in last}
    ranks = Counter(row["rank"] for row in rows_of("scores.top3_recommendations"))
    for row in rows_of("scores.top3_recommendations"):
        slates[row["user_id"]].add(row["track_id"])
    assert ranks == dict.fromkeys((1, 2, 3), len(last))
    for user, slate in slates.items():
        assert len(slate) == 3
        assert not slate & set(last[user]["track_ids"][-last[user]["n_in_session"] :])
    evidence = {row["policy"]: row["evidence"] for row in rows_of("reports.skip_rate") if row["segment"] == "all"}
    assert evidence.pop("logged") == "ok"
    assert set(evidence.values()) <= {"no_propensity", "no_history"}
    assert all(row["audio"] is None for row in rows_of("gold.track_features"))
