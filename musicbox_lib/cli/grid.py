"""Rows for a terminal: as a grid where it is wide enough, else record by record. Nothing is cut, and what the data says
is never taken for markup, an emoji's name or a command to the terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len

if TYPE_CHECKING:
    from rich.console import Console

GAP = 3
"""Characters between two columns."""
# What moves the cursor, breaks the line or turns the direction of writing: a cell with it would not keep its place.
_CONTROL = {number: f"\\x{number:02x}" for number in (*range(32), *range(0x7F, 0xA0))}
_CONTROL |= {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}
_CONTROL |= {number: f"\\u{number:04x}" for number in (0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}


def shown(words: str) -> str:
    r"""The text with its control characters written out (`\n`, `\x1b`), so that a line stays a line."""
    return words.translate(_CONTROL)


def terminal_width() -> int | None:
    """The terminal's width in characters; None where standard output is none, and nothing has to fit."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def grid(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None) -> Iterator[str]:
    """The lines of a table of texts, or of records where it is wider than `width`."""
    names = [shown(head) for head in heads]
    cells = [[shown(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(names, *cells, strict=True)]
    if width is not None and sum(widths) + GAP * (len(widths) - 1) + 2 > width and cells:
        yield from _records(names, cells)
        return
    yield ""
    yield _line(names, widths)
    yield " " + "─" * (sum(widths) + GAP * (len(widths) - 1) + 2)
    for row in cells:
        yield _line(row, widths)
    yield ""


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True))
    return ("  " + (" " * GAP).join(padded)).rstrip()


def _records(names: Sequence[str], cells: Sequence[Sequence[str]]) -> Iterator[str]:
    widest = max(map(cell_len, names))
    for number, row in enumerate(cells, start=1):
        yield f"── record {number} " + "─" * 20
        for name, cell in zip(names, row, strict=True):
            yield f"  {name}{' ' * (widest - cell_len(name))}   {cell}".rstrip()
    yield ""


def plain_console() -> Console:
    """A console that prints texts as they are: no markup, no emoji codes, no colours by content. Into a pipe nothing is
    folded: the width is there for terminals only."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else 10_000
    return Console(markup=False, emoji=False, highlight=False, width=width)
