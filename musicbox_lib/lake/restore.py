"""`musicbox restore`: a table's earlier version back, in one new commit, without a JVM (docs/decisions/0017)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from musicbox_lib.contract.tables import table, tables
from musicbox_lib.errors import DataRefused, UsageError
from musicbox_lib.lake import ledger, write
from musicbox_lib.lake.places import is_local, local_path, path_of, root
from musicbox_lib.lake.snapshots import files_of, rows_in, snapshot

if TYPE_CHECKING:
    import deltalake

SHOWN = 20
"""Versions that a list shows: three weeks of nights."""
Files = dict[str, set[str]]


@dataclass(frozen=True)
class Version:
    """One commit of a table, as its log and the run ledger tell of it."""

    version: int
    written_at: dt.datetime
    job: str
    run_id: str
    days: list[dt.date]
    rows: int | None


@dataclass(frozen=True)
class Plan:
    """What a restore would do: the version back, the days that change, the rows that they will have."""

    name: str
    present: int
    version: int
    changes: bool
    days: list[dt.date]
    rows: int

    def __str__(self) -> str:
        if not self.changes:
            return f"{self.name} stands as version {self.version} had it: there is nothing to restore."
        return (
            f"{self.name}: version {self.version} in the place of {self.present}. "
            f"Days that change: {days_in_words(self.days) if self.days else 'all'}, with {self.rows:,} rows then."
        )


def versions(name: str) -> list[Version]:
    """The table's newest versions, the present one first; a commit that is not in the ledger names its operation."""
    known = {line["version"]: line for line in ledger.lines(name)}
    found = []
    for commit in _table(name).history(SHOWN):
        at = dt.datetime.fromtimestamp(commit["timestamp"] / 1000, dt.UTC)
        line = known.get(
            commit["version"], {"job": commit["operation"].lower(), "run_id": "", "days": [], "rows": None}
        )
        found.append(Version(commit["version"], at, line["job"], line["run_id"], line["days"], line["rows"]))
    return found


def days_in_words(days: list[dt.date]) -> str:
    return f"{days[0]}" if len(days) == 1 else f"{min(days)} to {max(days)} ({len(days)})" if days else "-"


def plan(name: str, version: int | None) -> Plan:
    """What restoring that version would do; without one, the newest earlier version whose files are others.

    Raises DataRefused for a version that is not there, whose files were vacuumed or that is older than a user's wish
    to be forgotten."""
    delta = _table(name)
    present = int(delta.version())
    wanted = _before(delta, name, present) if version is None else _at(name, version, present)
    number = int(wanted.version())
    _refuse_forgotten(name, number)
    missing = [path for path in files_of(wanted) if is_local(path) and not local_path(path).exists()]
    if missing:
        raise DataRefused(
            f"{name}: {len(missing)} of the {len(wanted.file_uris())} files of version {number} were vacuumed; nothing "
            f"was changed: `musicbox restore {name} --list` shows newer versions."
        )
    then, now = _files(wanted), _files(delta)
    changed = sorted(day for day in then.keys() | now.keys() if then.get(day) != now.get(day))
    days = [dt.date.fromisoformat(day) for day in changed if day]
    return Plan(name, present, number, bool(changed), days, rows_in(wanted, days) if changed else 0)


def restore(planned: Plan) -> int:
    """Do it; gives the version of the new commit."""
    inputs = {ledger.RESTORED_VERSION: str(planned.version)}
    return write.restore(ledger.RESTORE, planned.name, planned.present, planned.version, planned.days, inputs)


def _table(name: str) -> deltalake.DeltaTable:
    if table(name).format != "delta":
        kept = ", ".join(one.name for one in tables().values() if one.format == "delta")
        raise UsageError(f"{name} is a folder of delivered files, which has no versions: the tables are {kept}.")
    if name == ledger.LEDGER:
        raise UsageError(f"{name} is append only, also for a restore: name another table.")
    found = snapshot(name)
    if found is None:
        raise DataRefused(f"{name} has not been written yet in {root()}: there is nothing to restore.")
    return found


def _at(name: str, version: int, present: int) -> deltalake.DeltaTable:
    import deltalake

    if version < 0 or version > present:
        raise DataRefused(f"{name} has no version {version}, the newest is {present}; nothing was changed.")
    try:
        return deltalake.DeltaTable(path_of(name), version=version)
    except deltalake.exceptions.DeltaError:
        raise DataRefused(
            f"{name}: version {version} stands in its log no more; nothing was changed: "
            f"`musicbox restore {name} --list` shows those that do."
        ) from None


def _before(delta: deltalake.DeltaTable, name: str, present: int) -> deltalake.DeltaTable:
    for wanted in _earlier(name, present):
        if _files(wanted) != _files(delta):
            return wanted
    raise DataRefused(f"{name} has no earlier version that differs from the present {present}; nothing was changed.")


def _earlier(name: str, present: int) -> Iterator[deltalake.DeltaTable]:
    for version in range(present - 1, max(present - SHOWN, -1) - 1, -1):
        if version >= 0:
            yield _at(name, version, present)


def _files(delta: deltalake.DeltaTable) -> Files:
    """The files of each day; of '' in a table without partitions."""
    import pyarrow as pa

    found: Files = {}
    for file in pa.table(delta.get_add_actions(flatten=True)).to_pylist():
        found.setdefault(str(file.get("partition.dt", "")), set()).add(file["path"])
    return found


def _refuse_forgotten(name: str, version: int) -> None:
    forgotten = [line["version"] for line in ledger.lines(name) if line["job"] == ledger.FORGET]
    if forgotten and version < max(forgotten):
        raise DataRefused(
            f"{name}: version {version} is older than {max(forgotten)}, which a user was deleted in; nothing was "
            "changed: what was forgotten does not come back. Run the night again instead."
        )
