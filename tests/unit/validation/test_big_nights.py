"""A night that is too big to be looked at as a whole gives the same rows as one that is not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deliveries import as_csv, deliver, plays, rows_of, run
from lake_content import table_content, the_lake

from musicbox_lib.validation import verdicts

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

UNLABELLED = {"skip_1": "", "skip_2": "", "skip_3": "", "not_skipped": ""}


def delivered() -> bytes:
    """100 sessions: every fifth has a play without a label, which only warns, every tenth one from a wrong hour."""
    rows = []
    for number in range(100):
        session = plays(f"session-{number:03d}")
        if number % 5 == 0:
            session[7] |= UNLABELLED
        if number % 10 == 0:
            session[3] |= {"hour_of_day": "24"}
        rows += session
    return as_csv(rows)


def test_a_sample_and_joins_without_broadcast_change_nothing(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with the_lake(tmp_path / "lake"):
        deliver(tmp_path / "lake", delivered())
        run("session_events")
        run("listening_events")
        as_a_whole = table_content()
        told = {row["rule"]: row for row in rows_of("silver.validation_results")}
        assert told["labelled"]["unexpected"] == 20
        assert told["hour_of_day_range"]["unexpected"] == 10
    monkeypatch.setenv("MUSICBOX_SUITE_ROWS", "100")
    monkeypatch.setattr(verdicts, "FEW", 5)
    with the_lake(tmp_path / "lake"):
        run("listening_events")
        assert table_content() == as_a_whole


def test_a_sample_that_great_expectations_counts_otherwise_stops_the_night(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from musicbox_lib.errors import MusicBoxError

    monkeypatch.setenv("MUSICBOX_SUITE_ROWS", "100")
    with the_lake(tmp_path / "lake"):
        deliver(tmp_path / "lake", delivered())
        run("session_events")
        monkeypatch.setattr(verdicts, "_unseen", lambda others, sums: {"labelled": 0})
        with pytest.raises(MusicBoxError, match="labelled: the split counts 20 rows"):
            run("listening_events")
        assert rows_of("silver.listening_events") == []
