"""A table's metadata as a plain reader sees it, without a JVM."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING
from urllib.parse import unquote

from musicbox_lib.lake.places import is_local, path_of

if TYPE_CHECKING:
    import deltalake

    from musicbox_lib.lake.partitions import ReadPartition


def snapshot(name: str) -> deltalake.DeltaTable | None:
    """The table's latest snapshot as a plain reader sees it, opened without a JVM; None where it has not been
    written. Metadata goes this way because it is 100 times faster: 20 ms against 2 s on two busy cores."""
    import deltalake

    path = path_of(name)
    return deltalake.DeltaTable(path) if deltalake.DeltaTable.is_deltatable(path) else None


def files_of(found: deltalake.DeltaTable) -> list[str]:
    """A snapshot's files as file systems know them: delta-rs gives them as parts of a URL, a space as %20."""
    return [unquote(uri) if is_local(uri) else uri for uri in found.file_uris()]


def version_of(name: str) -> int:
    """The table's current version; -1 where it has not been written."""
    found = snapshot(name)
    return -1 if found is None else int(found.version())


def versions_of(*partitions: ReadPartition) -> dict[str, str]:
    """The current version of each partition's table, by name, as the ledger records what a write had read."""
    return {partition.table.name: str(version_of(partition.table.name)) for partition in partitions}


def days_of(name: str) -> list[dt.date]:
    """The days a table holds, oldest first; empty where it has not been written."""
    found = snapshot(name)
    return [] if found is None else sorted({dt.date.fromisoformat(part["dt"]) for part in found.partitions()})


def rows_in(delta: deltalake.DeltaTable, days: list[dt.date]) -> int:
    """The rows of those days, or of a table without partitions, as the log counts them."""
    counts = rows_by_day(delta)
    return sum(counts.get(day, 0) for day in (*map(str, days), ""))


def rows_by_day(delta: deltalake.DeltaTable) -> dict[str, int]:
    """The rows of each day (`2026-11-05`; '' in a table without partitions), as the log counts them."""
    import pyarrow as pa

    counts: dict[str, int] = {}
    for file in pa.table(delta.get_add_actions(flatten=True)).to_pylist():
        day = str(file.get("partition.dt", ""))
        counts[day] = counts.get(day, 0) + (file["num_records"] or 0)
    return counts
