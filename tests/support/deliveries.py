"""Small deliveries for tests, and the first two jobs of the night run on them in this process."""

from __future__ import annotations

import datetime as dt
import gzip
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from musicbox_lib import lake
from musicbox_lib.contract import jobs
from musicbox_lib.contract.tables import table
from musicbox_lib.orchestration import job

DAY = dt.date(2026, 11, 5)
LOG = table("landing.session_logs").column_names
OFFICIAL = LOG[:21]
LABELS = {0: (False, False, False, True), 1: (False, False, True, False), 2: (False, True, True, False)}


def play(session: str, position: int, length: int = 10, day: dt.date = DAY) -> dict[str, str]:
    """One delivered row by column, every value as it would stand in the file."""
    skip_1, skip_2, skip_3, not_skipped = LABELS[position % 3]
    values = {
        "session_id": session,
        "session_position": position,
        "session_length": length,
        "track_id_clean": f"t_{position:03d}",
        "skip_1": skip_1,
        "skip_2": skip_2,
        "skip_3": skip_3,
        "not_skipped": not_skipped,
        "context_switch": 0,
        "no_pause_before_play": 1,
        "short_pause_before_play": 0,
        "long_pause_before_play": 0,
        "hist_user_behavior_n_seekfwd": 0,
        "hist_user_behavior_n_seekback": 0,
        "hist_user_behavior_is_shuffle": False,
        "hour_of_day": (7 + position) % 24,
        "date": day,
        "premium": True,
        "context_type": "catalog",
        "hist_user_behavior_reason_start": "fwdbtn",
        "hist_user_behavior_reason_end": "trackdone",
        "user_id": f"u-{session}",
        "propensity": 0.25,
    }
    return {name: str(value) for name, value in values.items()}


def plays(session: str, length: int = 10, day: dt.date = DAY) -> list[dict[str, str]]:
    """A whole session."""
    return [play(session, position, length, day) for position in range(1, length + 1)]


def as_line(row: Mapping[str, str], header: Sequence[str] = LOG) -> str:
    return ",".join(row[name] for name in header)


def as_csv(rows: Sequence[Mapping[str, str] | str], header: Sequence[str] = LOG) -> bytes:
    """Header and rows; a row given as text stands as it is."""
    lines = [",".join(header), *(row if isinstance(row, str) else as_line(row, header) for row in rows)]
    return ("\n".join(lines) + "\n").encode()


def deliver(root: Path, content: bytes, name: str = "log.csv.gz", day: dt.date = DAY) -> Path:
    """Put bytes straight into landing, past `musicbox land`; packed where the name says so."""
    place = root / "landing" / "session_logs" / f"dt={day}" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    # Without a time in the gzip header equal content is equal bytes.
    place.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
    return place


def the_job(name: str) -> ModuleType:
    return job.program(job.path_of(name))


def words(name: str, day: dt.date | str = DAY) -> list[str]:
    """The arguments with which the night calls the job."""
    return jobs.job(name).words(day=str(day))


def run(name: str, day: dt.date = DAY) -> None:
    """Run a job as the night does; its refusal is raised."""
    job.call(the_job(name).main, name, words(name, day))


def refused(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, day: dt.date | str = DAY
) -> tuple[int, str]:
    """Exit code and sentence of a job that refuses."""
    monkeypatch.setattr(sys, "argv", [name, *words(name, day)])
    with pytest.raises(SystemExit) as ended:
        job.run(name, the_job(name).main)
    return int(str(ended.value.code)), caplog.records[-1].getMessage()


def versions() -> dict[str, int]:
    """The version of every table of the lake."""
    from musicbox_lib.contract.tables import tables

    return {name: lake.version_of(name) for name, found in tables().items() if found.format == "delta"}


def rows_of(name: str) -> list[dict[str, Any]]:
    """A table's rows, read without Spark."""
    found = lake.snapshot(name)
    return [] if found is None else found.to_pyarrow_table().to_pylist()
