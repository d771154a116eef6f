"""Words for parts of tables: what a job reads and what it replaces."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from musicbox_lib.contract.days import parse_date
from musicbox_lib.contract.tables import table
from musicbox_lib.errors import UsageError

if TYPE_CHECKING:
    from musicbox_lib.contract.tables import Table


@dataclass(frozen=True)
class _Partition:
    table: Table
    first: dt.date | None
    last: dt.date | None

    def __str__(self) -> str:
        if not self.table.partition:
            return self.table.name
        if self.first is None and self.last is None:
            return f"{self.table.name}/*"
        if self.first == self.last:
            return f"{self.table.name}/dt={self.last}"
        return f"{self.table.name}/dt={self.first or ''}..{self.last}"

    @property
    def days(self) -> str:
        """The partition as a condition on `dt`."""
        if self.first == self.last and self.last is not None:
            return f"dt = '{self.last}'"
        bounds = [f"dt >= '{self.first}'"] if self.first else []
        bounds += [f"dt <= '{self.last}'"] if self.last else []
        return " AND ".join(bounds) or "true"

    @property
    def run_date(self) -> dt.date:
        """The last day of the partition, which a job takes as its run date."""
        if self.last is None:
            raise UsageError(f"{self} names no last day: a job needs one.")
        return self.last


def _split(word: str) -> tuple[Table, str]:
    name, _, days = word.partition("/")
    found = table(name)
    if bool(days) != bool(found.partition):
        raise UsageError(
            f"{word!r} must name a day, as in {name}/dt=2026-11-05."
            if found.partition
            else f"{word!r}: {name} has no partitions, write {name}."
        )
    return found, days


@dataclass(frozen=True)
class ReadPartition(_Partition):
    """What a job reads: `gold.track_features/dt=2026-11-05`, `…/dt=2026-11-01..2026-11-05`, `…/dt=..2026-11-05`
    (everything known at that day), `…/dt=latest..2026-11-05` (the newest partition not after it) or, asked
    for expressly, the whole table `…/*`."""

    latest: bool = False

    @classmethod
    def parse(cls, word: str) -> ReadPartition:
        """The partition that a command-line word names; raises UsageError for any other word."""
        found, days = _split(word)
        if not days or days == "*":
            return cls(found, None, None)
        if not days.startswith("dt="):
            raise UsageError(f"{word!r} must name a day, as in {found.name}/dt=2026-11-05.")
        first, dots, last = days.removeprefix("dt=").partition("..")
        if not dots:
            return cls(found, parse_date(first), parse_date(first))
        if first == "latest":
            return cls(found, None, parse_date(last), latest=True)
        return cls(found, parse_date(first) if first else None, parse_date(last))


@dataclass(frozen=True)
class WritePartition(_Partition):
    """What a job replaces: one day `gold.track_features/dt=2026-11-05`, a range of days for an ingest of
    several deliveries, or a table without partitions."""

    @classmethod
    def parse(cls, word: str) -> WritePartition:
        """The partition that a command-line word names; raises UsageError for any other word."""
        found, days = _split(word)
        if not days:
            return cls(found, None, None)
        if not days.startswith("dt="):
            raise UsageError(f"{word!r} must name the day to replace, as in {found.name}/dt=2026-11-05.")
        first, dots, last = days.removeprefix("dt=").partition("..")
        if not dots:
            return cls(found, parse_date(first), parse_date(first))
        return cls(found, parse_date(first) if first else None, parse_date(last))


def replaced(partition: WritePartition, days: list[dt.date] | None) -> str:
    """What a write replaces, as a condition on `dt`."""
    if days is None:
        return partition.days
    return "dt IN ({})".format(", ".join(f"'{day}'" for day in days)) if days else "false"
