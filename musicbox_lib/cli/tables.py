"""An answer on the terminal: as a table, as CSV or as JSON. What is printed is what the table holds, in UTF-8.

table: the first 200 rows, NULL for null, control characters written out. csv (RFC 4180 but for its line ends): null is
nothing, an empty text "". json: an array with an object a row; of two columns of one name the second is NAME_1. Both
are written row by row, however many there are."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from musicbox_lib.cli.grid import grid, terminal_width
from musicbox_lib.errors import MusicBoxError
from musicbox_lib.sql.ask import Answer, ask
from musicbox_lib.sql.questions import read_questions
from musicbox_lib.sql.values import Writer, json_writer, text_writer

Format = Literal["table", "csv", "json"]

# A terminal is for looking; CSV and JSON give every row.
TABLE_ROWS = 200
NULL = "NULL"
_QUOTED = frozenset(',"\n\r')


def show(answer: Answer, output: Format) -> None:
    """Write the answer to standard output, what the asker should know besides to standard error."""
    for note in answer.notes:
        sys.stderr.write(f"musicbox: {note}\n")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # CSV and JSON are UTF-8 whatever the locale; a terminal that lacks a letter shows its number.
        if output == "table":
            sys.stdout.reconfigure(errors="backslashreplace")
        else:
            sys.stdout.reconfigure(encoding="utf-8")
    for line in {"table": _as_table, "csv": _as_csv, "json": _as_json}[output](answer):
        sys.stdout.write(line + "\n")


def show_file(path: Path, output: Format) -> int:
    """Ask the file's questions one after the other and write each with its answer; one that is refused, for instance
    over a table that is not written yet, stops none of the others. Returns the first refusal's exit code, else 0."""
    code = 0
    for question in read_questions(path):
        # Beside the rows of CSV and JSON the words would be one row more.
        words = sys.stdout if output == "table" else sys.stderr
        words.write(f"{question.words}\n")
        words.flush()
        try:
            show(ask(question.sql), output)
        except MusicBoxError as refusal:
            sys.stdout.flush()
            sys.stderr.write(f"musicbox: {refusal}\n")
            code = code or refusal.exit_code
    return code


def _as_table(answer: Answer) -> Iterator[str]:
    writers = _writers(answer, text_writer)
    rows = [
        [NULL if value is None else write(value) for write, value in zip(writers, row, strict=True)]
        for row in islice(answer.rows, TABLE_ROWS)
    ]
    yield from grid(answer.columns, rows, terminal_width())
    if not rows:
        yield "No rows."
    left = sum(1 for _ in answer.rows)
    if left:
        yield f"… and {left:,} more rows: --format csv gives all."


def _as_csv(answer: Answer) -> Iterator[str]:
    writers = _writers(answer, text_writer)
    yield ",".join(map(_field, answer.columns))
    for row in answer.rows:
        pairs = zip(writers, row, strict=True)
        yield ",".join(["" if value is None else _field(write(value)) for write, value in pairs])


def _writers(answer: Answer, of: Callable[[Any], Writer]) -> list[Writer]:
    return [of(kind) for kind in answer.types or (None,) * len(answer.columns)]


def _field(words: str) -> str:
    """Python's own writer cannot tell null from an empty text before 3.12."""
    if not words or not _QUOTED.isdisjoint(words):
        return '"' + words.replace('"', '""') + '"'
    return words


def _as_json(answer: Answer) -> Iterator[str]:
    names = _distinct(answer.columns)
    renamed = [f"the next {old} {new}" for old, new in zip(answer.columns, names, strict=True) if old != new]
    if renamed:
        sys.stderr.write(f"musicbox: columns of one name: JSON calls {', '.join(renamed)}.\n")
    writers = _writers(answer, json_writer)
    keys = [json_writer()(name) for name in names]
    line = "["
    for number, row in enumerate(answer.rows):
        if number:
            yield f"{line},"
        pairs = [f"{key}: {write(value)}" for key, write, value in zip(keys, writers, row, strict=True)]
        line = f"{'' if number else '['}{{{', '.join(pairs)}}}"
    yield f"{line}]"


def _distinct(columns: tuple[str, ...]) -> list[str]:
    """The names with `_1`, `_2`, … behind those that stood before, none of which is another column's."""
    names: list[str] = []
    for column in columns:
        name, number = column, 0
        while name in names or (number and name in columns):
            number += 1
            name = f"{column}_{number}"
        names.append(name)
    return names
