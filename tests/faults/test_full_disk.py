"""A device that fills up while a table is written: one sentence, exit code 1, the old rows; the next run mends it.

The lake lies on a tmpfs of its own, filled up to so many bytes: a write then breaks off at its data file, at its
commit or at its line in the ledger. Mounting needs root; without it these tests are skipped.
"""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deliveries import DAY, as_csv, deliver, plays, rows_of, run, the_job, versions, words

from musicbox_lib import lake
from musicbox_lib.contract import jobs
from musicbox_lib.lake import WritePartition
from musicbox_lib.orchestration import job
from musicbox_lib.settings import settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MEGABYTES = 16
ROOMS = (0, 4, 8, 12, 16, 24, 32, 48)
SPARK_ROOMS = (0, 32, 64, 96, 128)
"""Kilobytes left; a tmpfs gives pages of four. Spark writes a file per task, and a checksum beside each."""


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A mounted tmpfs with the lake on it; gives the lake."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(place)]
    mounted = subprocess.run(words, check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"mounting a tmpfs is refused here: {mounted.stderr.strip()}")
    monkeypatch.setenv("MUSICBOX_LAKE", str(place / "lake"))
    settings.cache_clear()
    try:
        yield place / "lake"
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        settings.cache_clear()


def fill(root: Path, kilobytes: int) -> Path:
    """Leave so much room on the lake's device."""
    ballast = root.parent / "ballast"
    page = bytes(4096)
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(page)
        except OSError:
            pass
        file.truncate(max(file.tell() - kilobytes * 1024, 0))
    return ballast


def ended(name: str, main: Callable[..., None], given: list[str]) -> tuple[int, str] | None:
    """Exit code of a job under `job.run`; None where it ended well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, *given])
        try:
            job.run(name, main)
        except SystemExit as end:
            return int(str(end.code)), name
    return None


def delivered(sessions: int) -> list[str]:
    return sorted(as_csv([row for at in range(sessions) for row in plays(f"s{at}")]).decode().splitlines()[1:])


def held() -> list[str]:
    return sorted(row["raw_line"] for row in rows_of("bronze.session_events"))


# What any job is told; the write below takes nothing from it.
PLAIN_WORDS = jobs.job("last_sessions").words(day=str(DAY))


@pytest.mark.fault("disk full", "session_events (Spark) on a tmpfs with 0 to 128 kB left")
def test_a_spark_write_meets_a_full_disk(
    spark: SparkSession,
    small_disk: Path,
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
) -> None:
    deliver(small_disk, as_csv([row for at in range(40) for row in plays(f"s{at}")]))
    run("session_events")
    module, mended, refusals = the_job("session_events"), 0, 0
    for step, room in enumerate(SPARK_ROOMS):
        before, now = held(), delivered(41 + step)
        deliver(small_disk, as_csv([row for at in range(41 + step) for row in plays(f"s{at}")]))
        ballast = fill(small_disk, room)
        end = ended("session_events", module.main, words("session_events"))
        if end is not None:
            refusals += 1
            assert end[0] == 1
            assert "no space left on the device that holds" in caplog.records[-1].getMessage()
            assert "\n" not in caplog.records[-1].getMessage()
        assert held() in (before, now)
        assert end is not None or held() == now
        ballast.unlink()
        run("session_events")
        mended += held() == now
    record_property(
        "figure", f"{mended}/{len(SPARK_ROOMS)} recovered ({refusals} refused with a sentence and exit code 1)"
    )
    assert mended == len(SPARK_ROOMS)
    assert refusals > 1


@pytest.mark.fault("disk full", "overwrite_rows (delta-rs) on a tmpfs with 0 to 48 kB left")
def test_a_write_without_spark_meets_a_full_disk(
    spark: SparkSession,
    small_disk: Path,
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
) -> None:
    partition = WritePartition.parse(f"silver.validation_results/dt={DAY}")

    def write(count: int) -> None:
        row = {"dt": DAY, "input": "tracks", "severity": "warn", "about": "a rule", "evaluated": 9, "unexpected": 0}
        row |= {"unexpected_share": 0.0, "success": True, "decision": "go_on"}
        lake.overwrite_rows("tests", [row | {"rule": f"rule {at}"} for at in range(count)], partition)

    def rules() -> int:
        return len(rows_of("silver.validation_results"))

    write(5)
    mended = refusals = 0
    for step, room in enumerate(ROOMS):
        ballast = fill(small_disk, room)
        end = ended("last_sessions", lambda count=6 + step, **_given: write(count), PLAIN_WORDS)
        if end is not None:
            refusals += 1
            assert end[0] == 1
            assert "no space left on the device that holds" in caplog.records[-1].getMessage()
        assert rules() in ((5 + step, 6 + step) if end is not None else (6 + step,))
        ballast.unlink()
        write(6 + step)
        mended += rules() == 6 + step
    record_property("figure", f"{mended}/{len(ROOMS)} recovered ({refusals} refused with a sentence and exit code 1)")
    assert mended == len(ROOMS)
    assert refusals > 1
    assert versions()["silver.validation_results"] >= len(ROOMS)


@pytest.mark.fault("disk full", "musicbox land on a tmpfs without room")
def test_nothing_lands_on_a_full_disk(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from musicbox_lib.cli import app

    file = tmp_path / "log.csv"
    file.write_bytes(as_csv(plays("s")))
    small_disk.mkdir()
    ballast = fill(small_disk, 0)
    monkeypatch.setattr(sys, "argv", ["musicbox", "land", "--log", str(file), "--dt", str(DAY)])
    with pytest.raises(SystemExit) as end:
        app.main()
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("musicbox: ")
    assert "no space left on the device" in said
    assert [path for path in small_disk.rglob("*") if path.is_file()] == []
    ballast.unlink()
    with pytest.raises(SystemExit):
        app.main()
    landed = small_disk / "landing" / "session_logs" / f"dt={dt.date.isoformat(DAY)}" / "log.csv"
    assert landed.read_bytes() == file.read_bytes()
