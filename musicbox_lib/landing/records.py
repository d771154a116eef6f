"""What a record of a delivered CSV is (RFC 4180): its lines, whether its quotes are right, its values.

The same definition twice: here for a process without a JVM, as Spark columns in `landing/torn.py`. A test holds them
equal on random files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

MOST_LINES = 100
"""Lines of the longest record. Anything longer is a quote that nobody closed."""
# Possessive: it neither goes back nor recurses, so a value of 3 MB costs one walk over it. Java reads the same pattern.
CELL = r'(?:"(?:[^"]++|"")*+"|[^",]*+)'
WELL_FORMED = rf"{CELL}(?:,{CELL})*+"
QUOTED = r'"[^"]*+"'
_WELL_FORMED, _QUOTED, _CELL = re.compile(WELL_FORMED), re.compile(QUOTED), re.compile(rf"({CELL})(?:,|\Z)")


def is_well_formed(text: str) -> bool:
    """Whether quotes stand around whole values only, and doubled inside them."""
    return '"' not in text or _WELL_FORMED.fullmatch(text) is not None


def width_of(text: str) -> int:
    """How many values a well-formed record has."""
    bare = _QUOTED.sub("", text) if '"' in text else text
    return bare.count(",") + 1


def values_of(text: str) -> list[str] | None:
    """A record's values, unquoted; None where its quotes are not well-formed."""
    if '"' not in text:
        return text.split(",")
    if not is_well_formed(text):
        return None
    cells = []
    at = 0
    while (found := _CELL.match(text, at)) is not None:
        cell = found.group(1)
        cells.append(cell[1:-1].replace('""', '"') if cell.startswith('"') else cell)
        at = found.end()
        if found.group().endswith(",") and at <= len(text):
            continue
        break
    return cells


class Record(NamedTuple):
    """A record of a file: the number of its first line, its text without what ends it, its lines with their endings."""

    number: int
    text: str
    lines: list[str]


def ending_of(head: str) -> str:
    """What ends the first line of a text; a line feed where nothing does."""
    ended = re.search(r"\r\n|\r|\n", head)
    return ended.group() if ended else "\n"


def _without_ending(line: str, ending: str) -> str:
    """A line without what ends it in a file whose header ends with `ending`: after a header that ends with a line feed
    alone a carriage return belongs to the value."""
    if ending == "\r\n" and line.endswith("\r\n"):
        return line[:-2]
    return line.removesuffix("\r" if ending == "\r" else "\n")


def records_of(lines: Iterable[str], width: int) -> Iterator[Record]:
    """A file's records, its lines given as `local_files.opened` cuts them, for a header of `width` columns; the header
    is the first.

    A line with an odd number of quotes opens a record, the next such line closes it. A line that is by itself a
    well-formed row of `width` values always stands alone, and so does every line of a record that is not closed before
    the next of those or has more than MOST_LINES lines: one stray quote never takes a sound row along.
    """
    opened: list[str] = []
    first, is_open, ending = 0, False, "\n"

    def alone() -> Iterator[Record]:
        return (Record(first + at, _without_ending(left, ending), [left]) for at, left in enumerate(opened))

    for number, line in enumerate(lines, start=1):
        if number == 1:
            ending = ending_of(line)
        text = _without_ending(line, ending)
        is_odd = text.count('"') % 2 == 1
        if number == 1 or (not is_odd and is_well_formed(text) and width_of(text) == width):
            yield from alone()
            opened, is_open = [], False
            yield Record(number, text, [line])
            continue
        if not is_open and not is_odd:
            yield Record(number, text, [line])
            continue
        if not is_open:
            first = number
        is_closed = is_open and is_odd
        is_open = not is_closed
        if number - first >= MOST_LINES:
            yield from alone()
            opened = []
            yield Record(number, text, [line])
        elif is_closed:
            yield Record(first, "".join([*opened, text]), [*opened, line])
            opened = []
        else:
            opened.append(line)
    yield from alone()
