"""What the run ledger knows about a table's days, read without a JVM."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from musicbox_lib import lake


@dataclass(frozen=True)
class Write:
    """The newest write of one day of a table: when, and what it had read."""

    written_at: dt.datetime
    inputs: Mapping[str, str]


def last_writes(name: str) -> dict[dt.date, Write]:
    """The newest write of every day that the table still holds."""
    found = lake.snapshot(lake.LEDGER)
    if found is None:
        return {}
    lines = found.to_pyarrow_table(filters=[("table", "=", name)], columns=["days", "inputs", "written_at"]).to_pylist()
    writes: dict[dt.date, Write] = {}
    for line in sorted(lines, key=lambda line: line["written_at"]):
        writes |= {day: Write(line["written_at"], dict(line["inputs"] or ())) for day in line["days"] or ()}
    held = set(lake.days_of(name))
    return {day: write for day, write in writes.items() if day in held}
