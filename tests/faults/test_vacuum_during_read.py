"""A reader whose files VACUUM removes in the middle of its work: an error, or every row; never fewer."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import deltalake
import pyarrow as pa
import pytest
import tiny_lake

from musicbox_lib import lake
from musicbox_lib.errors import DataRefused
from musicbox_lib.lake import ReadPartition
from musicbox_lib.machine import environment
from musicbox_lib.sql import ask

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = dt.date(2026, 11, 5)
TABLE = "silver.rejected_events"
FILES, ROWS = 6, 4_000
WHOLE = ReadPartition.parse(f"{TABLE}/dt={DAY}")


def rows(number: int) -> pa.Table:
    """Rows of some width, so that a file is not read at one go."""
    lines = range(number * ROWS, (number + 1) * ROWS)
    columns = {
        "dt": pa.array([DAY] * ROWS, pa.date32()),
        "file": [f"log-{number}.csv"] * ROWS,
        "line": pa.array(lines, pa.int64()),
        "raw_line": [f"{line:x}" * 40 for line in lines],
        "session_id": [f"s{line}" for line in lines],
        "session_position": pa.array([1] * ROWS, pa.int32()),
        "rules": [["parsed"]] * ROWS,
    }
    return pa.table(columns)


def write(files: int) -> None:
    """A table of so many files."""
    for number in range(files):
        deltalake.write_deltalake(lake.path_of(TABLE), rows(number), mode="append", partition_by=["dt"])


def replace_and_vacuum(name: str) -> int:
    """What a careless VACUUM does: the table is rewritten, and the files of the version before it are removed at once.
    Gives how many."""
    held = deltalake.DeltaTable(lake.path_of(name))
    held.optimize.compact()
    gone = held.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    return len(gone)


@pytest.mark.fault("VACUUM during a read", "Spark (lake.read), part of the rows fetched")
def test_spark_never_reads_short(
    spark: SparkSession, lake_root: Path, record_property: Callable[[str, object], None]
) -> None:
    write(FILES)
    assert spark.conf.get("spark.sql.files.ignoreMissingFiles") == "false"
    assert spark.conf.get("spark.sql.files.ignoreCorruptFiles") == "false"
    frame = lake.read(spark, WHOLE)
    assert frame.rdd.getNumPartitions() > 1
    reading = frame.toLocalIterator()
    next(reading)
    assert replace_and_vacuum(TABLE) == FILES
    with pytest.raises(Exception, match="FILE_NOT_EXIST|FileNotFoundException|does not exist"):
        list(reading)
    record_property("figure", "1/1 an error, 0 short")


@pytest.mark.fault("VACUUM during a read", "Spark (lake.read), each of the files removed")
def test_spark_never_reads_short_whichever_file_is_gone(
    spark: SparkSession, lake_root: Path, record_property: Callable[[str, object], None]
) -> None:
    write(FILES)
    loud = 0
    for path in lake.files_of(deltalake.DeltaTable(lake.path_of(TABLE))):
        file = lake.local_path(path)
        frame = lake.read(spark, WHOLE).select("raw_line")
        kept = file.read_bytes()
        file.unlink()
        with pytest.raises(Exception, match="FILE_NOT_EXIST|FileNotFoundException|does not exist"):
            list(frame.toLocalIterator())
        loud += 1
        file.write_bytes(kept)
    record_property("figure", f"{loud}/{FILES} an error, 0 short")
    assert loud == FILES


@pytest.mark.fault("VACUUM during a read", "musicbox sql (DuckDB), before and during the fetch")
def test_duckdb_never_reads_short(
    lake_root: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    write(FILES)
    shown = ask._show_table

    def vacuumed_meanwhile(connection: object, found: object) -> list[str]:
        files = shown(connection, found)  # type: ignore[arg-type]
        replace_and_vacuum(TABLE)
        return files

    query = f"SELECT line, raw_line FROM {TABLE}"
    with monkeypatch.context() as patch:
        patch.setattr(ask, "_show_table", vacuumed_meanwhile)
        with pytest.raises(DataRefused, match="was removed while it was read") as refusal:
            list(ask.ask(query).rows)
    assert "\n" not in str(refusal.value)
    write(FILES)
    expected = sum(1 for _ in ask.ask(query).rows)
    answer = ask.ask(query).rows
    read = [next(answer)]
    replace_and_vacuum(TABLE)
    loud = 0
    try:
        read += answer
    except DataRefused:
        loud = 1
    record_property("figure", f"{1 + loud} of 2 an error, {1 - loud} of 2 whole, 0 short")
    assert loud or len(read) == expected == 2 * FILES * ROWS


@pytest.mark.fault("VACUUM during a read", "Petastorm (the trainer's reader), after its first row group")
def test_petastorm_never_reads_short(lake_root: Path, record_property: Callable[[str, object], None]) -> None:
    name = "training.transitions"
    tiny_lake.write_lake(lake_root)
    held = deltalake.DeltaTable(lake.path_of(name)).to_pyarrow_table()
    for _ in range(2):
        deltalake.write_deltalake(lake.path_of(name), held, mode="append")
    python = str(environment.TRAIN / "bin" / "python")
    program = str(Path(__file__).with_name("read_epoch.py"))
    reading = subprocess.Popen(
        [python, program, str(tiny_lake.DAY)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "MUSICBOX_LAKE": str(lake_root)},
    )
    assert reading.stdout is not None
    while reading.stdout.readline() != "read a group\n":
        assert reading.poll() is None
    assert replace_and_vacuum(name) == 3
    last = reading.communicate("go on\n")[0].splitlines()[-1]
    told = json.loads(last)
    record_property("figure", "1/1 an error, 0 short" if "raised" in told else f"{told['rows']} of {told['held']} rows")
    assert "FileNotFoundError" in told.get("raised", ""), told
