"""Sessions that several days deliver in parts, and what a lake makes of them."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from deliveries import DAY, as_csv, deliver, play, plays, rows_of, run

DAYS = [DAY - dt.timedelta(days=back) for back in (2, 1, 0)]
D1, D2, D3 = DAYS
Row = dict[str, Any]
TABLES = ("silver.listening_events", "silver.superseded_events", "silver.rejected_events", "silver.validation_results")


def part(session: str, first: int, last: int, length: int, **changed: str) -> list[dict[str, str]]:
    """The plays first..last of a session that says it has `length`, heard on the first day."""
    return [play(session, position, length, D1) | changed for position in range(first, last + 1)]


def with_others(day: dt.date, rows: Iterable[Mapping[str, str]], whole: int = 25) -> bytes:
    """A day's log: the rows, and so many whole sessions of the day that no night stops over a fifth of bad rows."""
    others = [row for at in range(whole) for row in plays(f"other-{day}-{at}", day=day)]
    return as_csv([*rows, *others])


def night(root: Path, day: dt.date, content: bytes | None = None) -> None:
    """Deliver (None: what lies there already) and judge a day."""
    if content is not None:
        deliver(root, content, day=day)
    run("session_events", day)
    run("listening_events", day)


def plays_of(name: str, session: str) -> list[Row]:
    """A session's rows in a table, in order."""
    rows = [row for row in rows_of(name) if row["session_id"] == session]
    return sorted(rows, key=lambda row: (row["dt"], row["session_position"]))


def where(name: str, session: str) -> dict[dt.date, list[int]]:
    """Day -> the positions of the session that the table has there."""
    told: dict[dt.date, list[int]] = {}
    for row in plays_of(name, session):
        told.setdefault(row["dt"], []).append(row["session_position"])
    return told


def content() -> dict[str, list[str]]:
    """Every row of the tables that a night writes."""
    return {name: sorted(str(sorted(row.items())) for row in rows_of(name)) for name in TABLES}


def unaccounted() -> dict[dt.date, int]:
    """Per day, the delivered rows that are neither valid, superseded nor rejected; days without one are left out."""
    rows = Counter(row["dt"] for row in rows_of("bronze.session_events"))
    for name in ("silver.listening_events", "silver.superseded_events"):
        rows.subtract(row["dt"] for row in rows_of(name) if row["delivered_on"] == row["dt"])
    rows.subtract(row["dt"] for row in rows_of("silver.rejected_events"))
    return {day: count for day, count in rows.items() if count}


def doubled() -> list[tuple[str, int]]:
    """Places of a session that silver.listening_events holds more than once."""
    grain = Counter((row["session_id"], row["session_position"]) for row in rows_of("silver.listening_events"))
    return [place for place, count in grain.items() if count > 1]
