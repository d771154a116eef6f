"""What the run ledger knows about a table's days, read without a JVM."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from musicbox_lib import lake

RESTORE = "restore"
"""The job of a ledger line that a restore wrote."""
RESTORED_VERSION = "restored_version"
"""What its inputs name."""
FORGET = "forget_user"
"""The job of the lines before which nothing is restored: a user asked to be forgotten."""


@dataclass(frozen=True)
class Write:
    """The newest write of one day of a table: when it came to stand as it is, and what it had read."""

    written_at: dt.datetime
    inputs: Mapping[str, str]


def lines(name: str) -> list[dict[str, Any]]:
    """The ledger's lines of a table, oldest first; `inputs` as a mapping."""
    found = lake.snapshot(lake.LEDGER)
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
    held = set(lake.days_of(name))
    return {day: write for day, write in states[-1][1].items() if day in held}
