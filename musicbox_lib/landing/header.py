"""What the first line of a delivered file may be. Values are taken by the header's names, so a swap is seen."""

from __future__ import annotations

import csv
import difflib

from musicbox_lib.contract.tables import Table
from musicbox_lib.errors import DataRefused

# Columns that a delivery may leave out; any of them may stand after the others, in any order.
OPTIONAL = {
    "landing.session_logs": ("user_id", "propensity"),
    "landing.tracks": ("title", "artist", "genre", "preview_url"),
}


def required_columns(table: Table) -> tuple[str, ...]:
    """The columns that every delivery of the table has, in their order."""
    return tuple(name for name in table.column_names if name not in OPTIONAL.get(table.name, ()))


def read_header(line: str, file: str, table: Table) -> tuple[str, ...]:
    """The column names in a file's first line, held against the contract: every required column at its place, then any
    of the optional ones in any order. Raises DataRefused with the column, its place and what was expected there."""
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
    optional = OPTIONAL.get(table.name, ())
    for place, name in enumerate(names[len(required) :], start=len(required) + 1):
        if name in names[: place - 1]:
            raise DataRefused(
                f"{file}: column {place} is {name!r} and so is column {names.index(name) + 1}: nobody knows which of "
                "them counts; give each column a name of its own, then the ones that the contract knows can be read."
            )
        if name not in optional:
            raise DataRefused(f"{file}: column {place} is {name!r}{_advice(name, names, optional)}")
    return tuple(names)


def _advice(name: str, names: list[str], optional: tuple[str, ...]) -> str:
    """What to do about a column that no table has. Its values may be the only ones: keep the original."""
    left = [column for column in optional if column not in names]
    if not left:
        return " but no further column is known: keep this file as it is and land a copy without that column."
    near = difflib.get_close_matches(name.strip().lower(), left, 1)
    meant = f" If it is {near[0]}, name it so." if near else ""
    return (
        f" but only {', '.join(left)} may stand there, in any order.{meant} Otherwise keep this file as it is and land "
        "a copy without that column."
    )
