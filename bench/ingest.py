"""Raw gzip CSV -> silver, rejected and results: rows a second and peak memory as the log grows, beside DuckDB with the
same rules on the same files, beside the same tables without validation, and beside Spark's CSV reader alone."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.measured import Row, against
from musicbox_lib.settings import PROJECT
from musicbox_lib.synthetic.generate import generate

SIZES: dict[str, tuple[int, ...]] = {"small": (1,), "full": (1, 10, 100)}
"""Hundred thousands of rows."""
LISTENERS = 1_500
"""As many as have 100,000 plays."""
DAY, SEED = dt.date(2026, 11, 5), 7001
JVM = "-XX:+UseParallelGC -XX:-DontCompileHugeMethods"
CASES = ("plain_spark", "unvalidated", "duckdb", "musicbox")
# Kinds that DuckDB reads as the suite does, in about 1 % of the rows; lines that are no UTF-8 it leaves out, and quotes
# are no part of how it splits a line here.
FAULTS = {
    **dict.fromkeys(("wrong_type", "out_of_range", "unknown_enum_value", "malformed_id", "nul_byte"), 40),
    **dict.fromkeys(("replacement_character", "exact_duplicate", "conflicting_duplicate", "contradicting_labels"), 40),
    **dict.fromkeys(("gap_in_positions", "two_lengths", "truncated_session", "late_date", "future_date"), 20),
}


def _deliver(folder: Path, times: int) -> Path:
    """A lake with one day's delivery of `times` hundred thousand rows, in files of a million."""
    lake = folder / f"lake-{times}"
    files = max(2, times // 10)
    faults = {kind: count * times for kind, count in FAULTS.items()}
    generate(
        users=LISTENERS * times, tracks=20_000, days=files, seed=SEED, from_date=DAY - dt.timedelta(files - 1),
        lake=lake, truth=folder / f"truth-{times}", faults=faults, workers=2,
    )  # fmt: skip
    logs = lake / "landing" / "session_logs"
    for place in sorted(logs.iterdir()):
        if place.name != f"dt={DAY}":
            (place / "sessions.csv.gz").rename(logs / f"dt={DAY}" / f"{place.name.replace('=', '-')}.csv.gz")
            place.rmdir()
    # What is measured is the log; the track table is the same at every size.
    shutil.rmtree(lake / "landing" / "tracks")
    return lake


def _measured(case: str, delivered: Path, folder: Path) -> dict[str, Any]:
    lake = folder / f"{delivered.name}-{case}"
    lake.mkdir()
    (lake / "landing").symlink_to(delivered / "landing")
    # For minutes of work the whole compiler pays, for long methods too; a night of seconds does without it
    # (docs/decisions/0002).
    environment = {
        **os.environ, "MUSICBOX_LAKE": str(lake), "MUSICBOX_LOCAL_JVM_OPTIONS": JVM,
        "PYTHONPATH": str(PROJECT),
    }  # fmt: skip
    answer = folder / "answer.json"
    ended = subprocess.run(
        [sys.executable, "-m", "bench.ingest_case", case, str(DAY), str(answer)],
        env=environment, cwd=PROJECT, check=False, capture_output=True, text=True,
    )  # fmt: skip
    if ended.returncode:
        raise RuntimeError(f"{case} ended with {ended.returncode}: {ended.stderr[-2000:]}")
    shutil.rmtree(lake)
    found: dict[str, Any] = json.loads(answer.read_text())
    return found


def run(size: str) -> list[Row]:
    """Rows of the bench. Raises RuntimeError where the suite and DuckDB do not reject the same number of rows."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        for times in SIZES[size]:
            delivered = _deliver(Path(name), times)
            found = {case: _measured(case, delivered, Path(name)) for case in CASES}
            ours, theirs = found["musicbox"]["rows"], found["duckdb"]["rows"]
            if (ours["listening_events"], ours["rejected_events"]) != (theirs["silver"], theirs["rejected"]):
                raise RuntimeError(f"DuckDB and the suite do not judge alike: {theirs} and {ours}")
            count = ours["listening_events"] + ours["rejected_events"]
            told = {case: _row(case, count, measured) for case, measured in found.items()}
            rows += [told["plain_spark"], told["unvalidated"], told["duckdb"]]
            rows += [against(told["musicbox"], told[peer]) for peer in ("duckdb", "unvalidated", "plain_spark")]
            shutil.rmtree(delivered)
    return rows


def _row(case: str, count: int, measured: dict[str, Any]) -> Row:
    return {
        "case": case,
        "size": f"{count:,} rows",
        "seconds": measured["seconds"],
        "rate": count / measured["seconds"],
        "peak_mb": measured["peak_mb"],
    }
