"""Which days of a range a backfill runs, and which lake the demo fills."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from musicbox_lib.cli import demo
from musicbox_lib.errors import Conflict, DataRefused, UsageError
from musicbox_lib.landing import deliveries


def test_days_with_and_without_a_delivery(lake_root: Path) -> None:
    logs = lake_root / "landing" / "session_logs"
    for name in ("dt=2026-11-01/sessions.csv.gz", "dt=2026-11-03/.sessions.csv.part", "dt=2026-11-04/a.csv"):
        (logs / name).parent.mkdir(parents=True, exist_ok=True)
        (logs / name).touch()
    (logs / "dt=2026-11-02").mkdir()
    days, empty = deliveries.plan("2026-11-01", "2026-11-05")
    assert days == [dt.date(2026, 11, 1), dt.date(2026, 11, 4)]
    # An empty folder, a file still being written, no folder at all.
    assert empty == [dt.date(2026, 11, 2), dt.date(2026, 11, 3), dt.date(2026, 11, 5)]


def test_a_day_without_a_delivery_is_one_sentence(lake_root: Path) -> None:
    with pytest.raises(DataRefused, match=r"^there is no delivery for 2026-11-05 .* --dt 2026-11-05`\.$"):
        deliveries.require_delivery(dt.date(2026, 11, 5))


def test_an_impossible_range_is_refused(lake_root: Path) -> None:
    with pytest.raises(UsageError, match="swap them"):
        deliveries.plan("2026-11-05", "2026-11-01")


def test_the_demo_fills_an_empty_lake_or_its_own(lake_root: Path) -> None:
    assert demo.free_lake() == lake_root
    (lake_root / "silver").mkdir()
    assert demo.free_lake() == lake_root


def test_the_demo_leaves_other_data_alone(lake_root: Path) -> None:
    (lake_root / "silver").mkdir(parents=True)
    with pytest.raises(Conflict, match="holds data that the demo did not make"):
        demo.free_lake()
    assert [file.name for file in lake_root.iterdir()] == ["silver"]
