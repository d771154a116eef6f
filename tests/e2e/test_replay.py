"""Quarantine is emptied once a rule or a file is mended, and days may come in any order."""

from __future__ import annotations

import datetime as dt
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from deliveries import DAY, as_csv, deliver, play, plays, rows_of, run

from musicbox_lib.contract.tables import tables
from musicbox_lib.orchestration import replay as replaying
from musicbox_lib.orchestration.replay import replay
from musicbox_lib.settings import PROJECT, settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

GOOD = [row for number in range(12) for row in plays(f"good-{number}")]


def night(day: dt.date = DAY) -> None:
    run("session_events", day)
    run("listening_events", day)


def silver() -> list[dict[str, Any]]:
    rows = rows_of("silver.listening_events") + rows_of("silver.rejected_events")
    return sorted(
        rows, key=lambda row: (str(row["dt"]), str(row["session_id"]), str(row["session_position"]), str(row))
    )


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The jobs of a replay, without a JVM each."""
    monkeypatch.setattr(replaying, "_run", run)
    yield
    tables.cache_clear()
    settings.cache_clear()


def test_a_mended_rule_and_a_mended_file_empty_the_quarantine(
    spark: SparkSession, lake_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_context = [row | {"context_type": "podcast"} for row in plays("talk")]
    bad_hour = [row | ({"hour_of_day": "31"} if place == 3 else {}) for place, row in enumerate(plays("late"))]
    deliver(lake_root, as_csv([*GOOD, *new_context, *bad_hour]))
    night()
    waiting = Counter(rule for row in rows_of("silver.rejected_events") for rule in row["rules"])
    assert waiting == {"context_type_known": 10, "hour_of_day_range": 1}
    as_it_was = silver()
    unmended = replay(DAY)
    assert (unmended.rows_before, unmended.rows_after, unmended.came_to_silver) == (11, 11, 0)
    assert silver() == as_it_was, "a replay without a mending changes nothing"

    schemas = tmp_path / "schemas"
    shutil.copytree(PROJECT / "schemas", schemas)
    rules = schemas / "3_silver" / "listening_events.yaml"
    rules.write_text(rules.read_text().replace("[user_collection, catalog,", "[podcast, user_collection, catalog,"))
    monkeypatch.setenv("MUSICBOX_SCHEMAS", str(schemas))
    settings.cache_clear()
    tables.cache_clear()
    mended = replay(DAY)
    assert mended.came_to_silver == 10
    assert mended.sentences() == [
        f"{DAY}: 11 rows were in quarantine, 1 are; silver.listening_events has +10 rows of that day.",
        "  context_type_known: 10 -> 0",
    ]

    deliver(lake_root, as_csv([*GOOD, *new_context, *plays("late")]))
    assert replay(DAY).sentences()[1:] == ["  hour_of_day_range: 1 -> 0"]
    once = silver()
    assert len(once) == 140
    assert replay(DAY).came_to_silver == 0
    assert silver() == once


def test_the_first_delivery_counts_in_whatever_order_the_nights_run(
    spark: SparkSession, lake_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, third = (DAY - dt.timedelta(days=back) for back in (2, 1, 0))
    logs = {
        first: as_csv([row for name in ("a", "twice", *"bcdefghij") for row in plays(name, day=first)]),
        second: as_csv([row for name in "klmnopqrst" for row in plays(name, day=second)]),
        third: as_csv([row for name in ("twice", *"uvwxyz01") for row in plays(name, day=third)]),
    }
    for day in (third, first, second):
        deliver(lake_root, logs[day], day=day)
        night(day)
    assert f"judged anew, because an earlier day delivers sessions of theirs: {third}" in caplog.text
    out_of_order = silver()
    rejected = Counter((row["dt"], *row["rules"]) for row in rows_of("silver.rejected_events"))
    assert rejected == {(third, "first_delivery"): 10}
    for day in (first, second, third):
        night(day)
    assert silver() == out_of_order
    # The first delivery is corrected and no longer has the session: the later one comes back from quarantine.
    deliver(lake_root, as_csv([row for name in "abcdefghij" for row in plays(name, day=first)]), day=first)
    assert replay(first).came_to_silver == -10
    assert rows_of("silver.rejected_events") == []
    assert {row["dt"] for row in rows_of("silver.listening_events") if row["session_id"] == "twice"} == {third}


def test_a_session_of_a_thousand_and_one_rows_waits_whole(spark: SparkSession, lake_root: Path) -> None:
    giant = [play("giant", 1 + number % 20, 20) for number in range(1_001)]
    deliver(lake_root, as_csv([row for number in range(600) for row in plays(f"good-{number}")] + giant))
    night()
    rejected = rows_of("silver.rejected_events")
    assert Counter((row["session_id"], *row["rules"]) for row in rejected) == {("giant", "session_size"): 1_001}
    assert len(rows_of("silver.listening_events")) == 6_000
