"""The real log, damaged at random: rows in = silver + rejected, always."""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deliveries import deliver, rows_of, run
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from lake_content import the_lake
from mutations import mutated, rows_in

from musicbox_lib import lake
from musicbox_lib import settings as settings_module
from musicbox_lib.errors import DataRefused
from musicbox_lib.lake import ReadPartition

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = dt.date(2018, 7, 15)
PROPERTY = settings(
    deadline=None,
    database=None,
    derandomize=True,
    # A smaller seed is no simpler damage.
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
SEEDS = st.integers(min_value=0, max_value=2**32 - 1)


def real_log() -> bytes:
    return gzip.decompress(settings_module.settings().mssd_log.read_bytes())


def split(spark: SparkSession) -> tuple[int, int]:
    """Rows of silver and of quarantine; where the night stops for too many rejected ones, as it would split them."""
    from musicbox_lib.landing import session_users
    from musicbox_lib.validation import session_logs as rules
    from musicbox_lib.validation.session_facts import with_deliveries

    try:
        run("listening_events", DAY)
    except DataRefused as stop:
        assert "the night stops" in str(stop)
        events = lake.read(spark, ReadPartition.parse(f"bronze.session_events/dt=..{DAY}"))
        events = session_users.with_user(events, session_users.known(session_users.delivered(spark)[0]))
        nothing = spark.createDataFrame([], "session_id string, dt date")
        sessions = with_deliveries(rules.sessions_of(events), nothing)
        flagged = rules.flag(rules.looked_at(events, sessions))
        silver = rules.as_listening_events(events, sessions, flagged)
        return silver.count(), rules.as_rejected_events(flagged).count()
    rejected = rows_of("silver.rejected_events")
    assert all(row["rules"] for row in rejected)
    return len(rows_of("silver.listening_events")), len(rejected)


def holds(spark: SparkSession, folder: Path, log: bytes, mutations: int) -> Callable[[int], int]:
    """The property of one seed; gives the rows."""

    def check(number: int) -> int:
        damaged = mutated(log, mutations, number)
        with the_lake(folder / str(number)) as root:
            deliver(root, damaged, day=DAY)
            run("session_events", DAY)
            delivered = rows_in(damaged)
            bronze = rows_of("bronze.session_events")
            assert len(bronze) == delivered, f"{number}: {delivered} rows in, {len(bronze)} in bronze"
            silver, rejected = split(spark)
            assert silver + rejected == delivered, f"{number}: {delivered} in, {silver} + {rejected} out"
        return delivered

    return check


def tried(check: Callable[[int], int], examples: int) -> list[int]:
    """Run the property on so many seeds; the rows of each."""
    rows = []

    @seed(7005)
    @settings(PROPERTY, max_examples=examples)
    @given(SEEDS)
    def for_all(number: int) -> None:
        rows.append(check(number))

    for_all()
    return rows


@pytest.mark.mssd
@pytest.mark.fault("mutations of the real log", "100 mutations of a cut of 2,000 rows: in = silver + rejected")
def test_a_damaged_cut_of_the_log(
    spark: SparkSession, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    cut = b"".join(real_log().splitlines(keepends=True)[:2001])
    rows = tried(holds(spark, tmp_path, cut, 100), 1)
    record_property("figure", f"{len(rows)}/1, {sum(rows):,} rows")
    assert len(rows) == 1


@pytest.mark.slow
@pytest.mark.mssd
@pytest.mark.fault(
    "mutations of the real log", "10,000 mutations, 500 in each of 20 whole logs: in = silver + rejected"
)
def test_ten_thousand_mutations(
    spark: SparkSession, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    rows = tried(holds(spark, tmp_path, real_log(), 500), 20)
    record_property("figure", f"{len(rows)}/20, {sum(rows):,} rows in = silver + rejected")
    assert len(rows) == 20
