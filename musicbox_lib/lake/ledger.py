"""The run ledger: what wrote which days of a table, and what it had read. Without a JVM."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from musicbox_lib.contract.tables import table
from musicbox_lib.lake.layout import create
from musicbox_lib.lake.places import path_of, root, table_lock
from musicbox_lib.lake.snapshots import days_of, snapshot
from musicbox_lib.machine import full_disk
from musicbox_lib.settings import PROJECT, settings

if TYPE_CHECKING:
    import deltalake

    from musicbox_lib.lake.partitions import WritePartition

RESTORE = "restore"
"""The job of a ledger line that a restore wrote."""
RESTORED_VERSION = "restored_version"
"""What its inputs name."""
FORGET = "forget_user"
"""The job of the lines before which nothing is restored: a user asked to be forgotten."""
LEDGER = "ops.run_ledger"


@dataclass(frozen=True)
class Write:
    """The newest write of one day of a table: when it came to stand as it is, and what it had read."""

    written_at: dt.datetime
    inputs: Mapping[str, str]


def lines(name: str) -> list[dict[str, Any]]:
    """The ledger's lines of a table, oldest first; `inputs` as a mapping."""
    found = snapshot(LEDGER)
    if found is None:
        return []
    rows = found.to_pyarrow_table(filters=[("table", "=", name)]).to_pylist()
    ordered = sorted(rows, key=lambda row: row["written_at"])
    return [{**row, "inputs": dict(row["inputs"] or ()), "days": row["days"] or []} for row in ordered]


def last_writes(name: str) -> dict[dt.date, Write]:
    """The newest write of every day that the table still holds.

    A restore is a write of the days that it changed: they stand since then as the restored version had them, and had
    read what its writes had read. What was written in between counts no more.
    """
    states: list[tuple[int, dict[dt.date, Write]]] = [(-1, {})]
    for line in lines(name):
        before = states[-1][1]
        if line["job"] == RESTORE:
            version = int(line["inputs"][RESTORED_VERSION])
            # Newest first: a table that was removed and made anew counts its versions from 0 again.
            then = next(state for at, state in reversed(states) if at <= version)
            changed = {day: Write(line["written_at"], then[day].inputs) for day in line["days"] if day in then}
            now = {day: write for day, write in before.items() if day not in line["days"]} | changed
        else:
            now = before | {day: Write(line["written_at"], line["inputs"]) for day in line["days"]}
        states.append((line["version"], now))
    held = set(days_of(name))
    return {day: write for day, write in states[-1][1].items() if day in held}


@lru_cache
def code_version() -> str:
    """What wrote a row: the setting, else git's short commit, else the package version."""
    if settings().code_version:
        return settings().code_version
    asked = subprocess.run(
        ["git", "-C", str(PROJECT), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    if asked.returncode == 0:
        return asked.stdout.strip()
    from importlib.metadata import version

    return version("musicbox")


@lru_cache
def run_id() -> str:
    """The run that this process's writes belong to."""
    return settings().run_id or f"manual__{uuid.uuid4()}"


def enter_upkeep(job: str, partition: WritePartition, version: int, inputs: Mapping[str, str]) -> None:
    """A ledger line for a commit that changed a table's files and none of its rows: it names no day."""
    enter(job, partition, version, 0, [], inputs)


def commit_note(job: str) -> str:
    return json.dumps({"run_id": run_id(), "job": job, "code_version": code_version()})


def noted(job: str) -> deltalake.CommitProperties:
    """The note, as a commit without Spark carries it."""
    import deltalake

    return deltalake.CommitProperties(custom_metadata={"userMetadata": commit_note(job)})


def enter(
    job: str,
    partition: WritePartition,
    version: int,
    rows: int,
    days: list[dt.date] | None,
    inputs: Mapping[str, str],
) -> None:
    """One line in the run ledger."""
    import deltalake
    import pyarrow as pa

    ledger = table(LEDGER)
    entry = {
        "run_id": run_id(),
        "job": job,
        "table": partition.table.name,
        "version": version,
        "days": days if days is not None else ([partition.last] if partition.last else []),
        "rows": rows,
        "inputs": list(inputs.items()),
        "code_version": code_version(),
        "written_at": dt.datetime.now(dt.UTC),
    }
    with table_lock(LEDGER), full_disk.named(LEDGER, root()):
        create(ledger)
        line = pa.Table.from_pylist(
            [entry], schema=pa.schema(deltalake.DeltaTable(path_of(LEDGER)).schema().to_arrow())
        )
        deltalake.write_deltalake(path_of(LEDGER), line, mode="append")
