"""What the first line of a delivered file may be: Spark maps columns by position, so a swap would pass silently."""

from __future__ import annotations

import csv

from musicbox_lib.errors import DataRefused
from musicbox_lib.tables import Table

# Columns that a delivery may leave out; any of them may stand after the others, in this order.
OPTIONAL = {
    "landing.session_logs": ("user_id", "propensity"),
    "landing.tracks": ("title", "artist", "genre", "preview_url"),
}


def required_columns(table: Table) -> tuple[str, ...]:
    """The columns that every delivery of the table has, in their order."""
    return tuple(name for name in table.column_names if name not in OPTIONAL.get(table.name, ()))


def read_header(line: str, file: str, table: Table) -> tuple[str, ...]:
    """The column names in a file's first line, held against the contract: every required column at its place, then any
    of the optional ones in their order. Raises DataRefused with the column, its place and what was expected there."""
    try:
        names = next(csv.reader([line.removeprefix("\ufeff").rstrip("\r\n")], strict=True), [])
    except csv.Error as flaw:
        raise DataRefused(f"{file}: the header cannot be read ({flaw}): deliver the file anew.") from None
    required = required_columns(table)
    for place, expected in enumerate(required):
        found = names[place] if place < len(names) else None
        if found == expected:
            continue
        where = f"{file}: column {place + 1} should be {expected}"
        if found is None:
            raise DataRefused(f"{where} but the header ends after {len(names)}: deliver the file with all of them.")
        if expected in names[place:]:
            at = names.index(expected, place) + 1
            why = f"{found!r} stands there and {expected} is column {at}: put the columns in the official order."
        else:
            why = f"{found!r} stands there and {expected} is missing: deliver the file with the official header."
        raise DataRefused(f"{where} but {why}")
    left = list(OPTIONAL.get(table.name, ()))
    for place, found in enumerate(names[len(required) :], start=len(required) + 1):
        if found not in left:
            may = f"only {', '.join(left)} may stand there" if left else "nothing may stand there"
            raise DataRefused(f"{file}: column {place} is {found!r} but {may}: take the column out of the file.")
        left = left[left.index(found) + 1 :]
    return tuple(names)
