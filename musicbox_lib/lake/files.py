"""A table's files apart from its rows: packed into fewer (OPTIMIZE), and taken away once replaced (VACUUM)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from musicbox_lib.contract.tables import table
from musicbox_lib.errors import UsageError
from musicbox_lib.lake.layout import NO_STATISTICS
from musicbox_lib.lake.ledger import enter_upkeep
from musicbox_lib.lake.partitions import WritePartition
from musicbox_lib.lake.places import is_local, local_path, path_of, table_lock
from musicbox_lib.lake.snapshots import snapshot, version_of

if TYPE_CHECKING:
    import deltalake

SHORTEST_RETENTION = 7
"""Days. A reader that opened its snapshot before a write still reads the replaced files: a night takes minutes, a week
is Delta's own default and what RESTORE is promised."""
MANY_FILES = 8
"""Small files in one partition that are worth a commit: a night writes one to four a day, the ledger one a write."""
SMALL = 16 << 20
"""Bytes below which a file is small: a sixth of what delta-rs packs into one."""


def retention_days(days: int) -> int:
    """The retention in days; raises UsageError for one that is too short."""
    if days < SHORTEST_RETENTION:
        raise UsageError(
            f"MUSICBOX_VACUUM_DAYS is {days} but replaced files stay at least {SHORTEST_RETENTION} days, for readers "
            f"that have them open and for RESTORE: set it to {SHORTEST_RETENTION} or more."
        )
    return days


def small_files(name: str) -> dict[str, int]:
    """How many small files each partition has (`dt=2026-11-05`, or an empty word for a table without partitions), of
    the partitions that have at least MANY_FILES."""
    found = snapshot(name)
    if found is None:
        return {}
    actions = found.get_add_actions(flatten=True)
    sizes = actions["size_bytes"].to_pylist()
    days = actions["partition.dt"].to_pylist() if table(name).partition else [""] * len(sizes)
    counts: dict[str, int] = {}
    for day, size in zip(days, sizes, strict=True):
        if size < SMALL:
            counts[str(day)] = counts.get(str(day), 0) + 1
    return {day: count for day, count in sorted(counts.items()) if count >= MANY_FILES}


def optimize(name: str) -> tuple[int, int]:
    """Pack a table's many small files into few, the same rows in one commit each partition; (files before, after)."""
    found = table(name)
    before = after = 0
    with table_lock(name):
        for day in small_files(name):
            held = _opened(name)
            told = held.optimize.compact(partition_filters=[("dt", "=", day)] if found.partition else None)
            before, after = before + told["numFilesRemoved"], after + told["numFilesAdded"]
        version = version_of(name)
    if before:
        note = {"files_before": str(before), "files_after": str(after)}
        enter_upkeep("optimize", WritePartition(found, None, None), version, note)
    return before, after


def old_files(name: str, days: float) -> list[str]:
    """What `vacuum` would take away: files that no row of the table is in, replaced or left over longer ago than
    that."""
    found = snapshot(name)
    if found is None:
        return []
    hours = int(days * 24)
    told = found.vacuum(retention_hours=hours, dry_run=True, enforce_retention_duration=False, full=True)
    # The log goes on naming files that an earlier VACUUM took.
    return [file for file in told if not is_local(path_of(name)) or _place(name, file).exists()]


def vacuum(name: str, days: float) -> int:
    """Take away the files of `old_files`; how many went. No row changes, but versions older than that cannot be read
    any more. Callers hold `days` against `retention_days`."""
    with table_lock(name):
        gone = old_files(name, days)
        if gone:
            hours = int(days * 24)
            _opened(name).vacuum(retention_hours=hours, dry_run=False, enforce_retention_duration=False, full=True)
    return len(gone)


def last_log_with(name: str, words: Iterable[str]) -> int:
    """The newest version whose log entry holds one of the words, as entries written before statistics were withheld
    may; -1 where none does."""
    # Delta cuts the values of statistics after 32 characters.
    wanted = re.compile(b"|".join(sorted(re.escape(word[:32].encode()) for word in words)))
    return max((version for version, file in _log(name) if wanted.search(_text(file))), default=-1)


def cut_log(name: str, version: int) -> None:
    """Take the log up to a version away, behind a checkpoint that stands for it. Older versions cannot be read then."""
    with table_lock(name):
        held = _opened(name)
        if held.version() <= version:
            # A log cannot end where it is cut: an entry that changes nothing comes after.
            held.alter.set_table_properties(dict(NO_STATISTICS))
        held.create_checkpoint()
        for number, file in _log(name):
            if number <= version:
                file.unlink()


def _log(name: str) -> list[tuple[int, Path]]:
    folder = local_path(path_of(name)) / "_delta_log"
    return [(int(file.name[:20]), file) for file in sorted(folder.glob("[0-9]" * 20 + ".*")) if file.is_file()]


def _text(file: Path) -> bytes:
    if file.suffix != ".parquet":
        return file.read_bytes()
    from pyarrow import parquet

    with parquet.ParquetFile(file) as opened:
        return str(opened.read().to_pylist()).encode()


def _place(name: str, file: str) -> Path:
    return local_path(path_of(name)) / file


def _opened(name: str) -> deltalake.DeltaTable:
    import deltalake

    return deltalake.DeltaTable(path_of(name))
