"""What a killed writer can leave behind does not stop the next run, and nobody reads it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deliveries import DAY, as_csv, deliver, plays, run
from lake_content import model_content, table_content

from musicbox_lib import lake
from musicbox_lib.errors import DataRefused
from musicbox_lib.lake import ReadPartition, WritePartition
from musicbox_lib.settings import settings
from musicbox_lib.training.registration import register

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

HOLDER = """
import sys
from musicbox_lib import lake
with lake.table_lock("gold.track_features"):
    sys.stdout.write("held\\n")
    sys.stdout.flush()
    sys.stdin.read()
"""
LEFT = {
    "landing/session_logs/dt=2026-11-05/.landing-k3j2": b"half a file",
    "bronze/session_events/dt=2026-11-05/part-00000-dead.c000.snappy.parquet": b"PAR1 half a file",
    "bronze/session_events/dt=2026-11-05/.part-00000-dead.c000.snappy.parquet.crc": b"crc",
    "bronze/session_events/_delta_log/.00000000000000000002.json.5f1c.tmp": b'{"add":',
    "bronze/session_events/_delta_log/00000000000000000002.json#1": b'{"add":',
    "models/.making-x1/manifest.json": b'{"model_id": "half',
    "models/.making-x1.replaced/manifest.json": b"{}",
    "reports/html/dt=2026-11-05/index.4711": b"<html>half",
    ".locks/bronze.session_events.lock": b"4711",
}
"""Path below the lake, and content: data without a commit, commits without a name, half made folders, a lock."""


@pytest.mark.fault("what a kill leaves", "temporary files, orphans of Delta, half made model folders: the next run")
def test_leftovers_are_read_by_nobody(
    spark: SparkSession, lake_root: Path, record_property: Callable[[str, object], None]
) -> None:
    deliver(lake_root, as_csv([row for at in range(5) for row in plays(f"s{at}")]))
    run("session_events")
    before = table_content()
    for path, content in LEFT.items():
        place = lake_root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    assert table_content() == before
    run("session_events")
    assert table_content() == before
    assert model_content() == {}
    with pytest.raises(DataRefused, match="no model was trained"):
        register(
            DAY,
            ReadPartition.parse(f"silver.listening_events/dt=..{DAY}"),
            WritePartition.parse("models.registry"),
            None,
        )
    record_property("figure", f"{len(LEFT)}/{len(LEFT)} harmless")


@pytest.mark.fault("what a kill leaves", "the table's lock of a killed process")
def test_the_lock_of_a_killed_process_is_free(lake_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSICBOX_LOCK_SECONDS", "5")
    settings.cache_clear()
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdin is not None
    assert holder.stdout.readline() == b"held\n"
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    holder.stdin.close()
    with lake.table_lock("gold.track_features"):
        assert (lake_root / ".locks" / "gold.track_features.lock").exists()
