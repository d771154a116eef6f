"""Which values of one delivered line do not fit their columns, in plain Python: for the few lines that are shown to
somebody. Which lines a night can read is decided in `landing.lines`, for all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from musicbox_lib.contract.tables import Table
from musicbox_lib.landing import records, spellings

LINE = "raw_line"
"""The column of a misfit that is the line's as a whole."""


class Misfit(NamedTuple):
    """A value that cannot be read: its column as delivered, the value as it stands there, and what is wrong with it, to
    be read on from the value: `is no whole number`."""

    column: str
    value: str
    why: str


WHY = {
    "int": "is no whole number",
    "bigint": "is no whole number",
    "double": "is no number",
    "boolean": "is neither true nor false",
    "date": "is no day as YYYY-MM-DD",
}
"""What a value is that cannot be read, by declared type (`spellings.fits`)."""


def misfits(raw_line: str, header: Sequence[str], landed: Table) -> list[Misfit]:
    """What of a line does not fit the file's `header`, columns in the types that `landed` declares; empty where all
    of it does. A line whose values are not as many as the header's is one misfit of the column `raw_line`."""
    values = records.values_of(raw_line)
    if values is None:
        return [Misfit(LINE, raw_line, _why_torn(raw_line))]
    if len(values) != len(header):
        return [Misfit(LINE, raw_line, f"has {len(values)} values where the header has {len(header)} columns")]
    columns = {column.name: column for column in landed.columns}
    return [
        Misfit(name, value, WHY.get(columns[name].type, "cannot be read"))
        for name, value in zip(header, values, strict=True)
        if not spellings.fits(value, columns[name])
    ]


def _why_torn(raw_line: str) -> str:
    is_open = raw_line.count('"') % 2
    return "opens a quote that it does not close" if is_open else "has a quote inside a value, which RFC 4180 doubles"
