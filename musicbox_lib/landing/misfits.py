"""Which values of one delivered line do not fit their columns, in plain Python: for the few lines that are shown to
somebody. Which lines a night can read is decided in `landing.lines`, for all of them at once."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from musicbox_lib.tables import Table

LINE = "raw_line"
"""The column of a misfit that is the line's as a whole."""
_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?:NaN|Inf|Infinity)")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


class Misfit(NamedTuple):
    """A value that cannot be read: its column as delivered, the value as it stands there, and what is wrong with it, to
    be read on from the value: `is no whole number`."""

    column: str
    value: str
    why: str


def _is_whole(bits: int) -> Callable[[str], bool]:
    return lambda value: _WHOLE.fullmatch(value) is not None and -(2 ** (bits - 1)) <= int(value) < 2 ** (bits - 1)


def _is_day(value: str) -> bool:
    try:
        return _DAY.fullmatch(value) is not None and dt.date.fromisoformat(value) is not None
    except ValueError:
        return False


READ: dict[str, tuple[Callable[[str], bool], str]] = {
    "int": (_is_whole(32), "is no whole number"),
    "bigint": (_is_whole(64), "is no whole number"),
    "double": (lambda value: _DECIMAL.fullmatch(value) is not None, "is no number"),
    "boolean": (lambda value: value.lower() in {"true", "false"}, "is neither true nor false"),
    "date": (_is_day, "is no day as YYYY-MM-DD"),
}
"""Per declared type: whether a value can be read, and what one that cannot is. A type left out takes every text."""


def values_of(raw_line: str) -> list[str] | None:
    """The values of a line by RFC 4180; None where a quote is not closed, or a value is longer than csv reads."""
    if raw_line.count('"') % 2:
        return None
    try:
        return next(csv.reader(io.StringIO(raw_line, newline="")), [])
    except csv.Error:
        return None


def misfits(raw_line: str, header: Sequence[str], landed: Table) -> list[Misfit]:
    """What of a line does not fit the file's `header`, columns in the types that `landed` declares; empty where all
    of it does. A line whose values are not as many as the header's is one misfit of the column `raw_line`."""
    values = values_of(raw_line)
    if values is None:
        return [Misfit(LINE, raw_line, "opens a quote that it does not close")]
    if len(values) != len(header):
        return [Misfit(LINE, raw_line, f"has {len(values)} values where the header has {len(header)} columns")]
    types = {column.name: column.type for column in landed.columns}
    found = []
    for column, value in zip(header, values, strict=True):
        reads, why = READ.get(types[column], (None, ""))
        if value and reads is not None and not reads(value):
            found.append(Misfit(column, value, why))
    return found
