"""An answer on the terminal: as a table, as CSV or as JSON."""

from __future__ import annotations

import csv
import json
import sys
from itertools import islice
from pathlib import Path
from typing import Literal

from musicbox_lib.errors import MusicBoxError
from musicbox_lib.sql import Answer, ask
from musicbox_lib.sql_questions import read_questions

Format = Literal["table", "csv", "json"]

# A terminal is for looking; CSV and JSON give every row.
TABLE_ROWS = 200


def show(answer: Answer, output: Format) -> None:
    """Write the answer to standard output."""
    {"table": _as_table, "csv": _as_csv, "json": _as_json}[output](answer)


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
            sys.stderr.write(f"musicbox: {refusal}\n")
            code = code or refusal.exit_code
    return code


def _as_table(answer: Answer) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    # Into a pipe nothing is cut off: the width is there for terminals only.
    console = Console() if sys.stdout.isatty() else Console(width=10_000)
    grid = Table(*answer.columns, box=box.SIMPLE_HEAD)
    for row in islice(answer.rows, TABLE_ROWS):
        grid.add_row(*(_cell(value) for value in row))
    console.print(grid, soft_wrap=False)
    left = sum(1 for _ in answer.rows)
    if left:
        console.print(f"… and {left} more rows: --format csv gives all.")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _as_csv(answer: Answer) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(answer.columns)
    writer.writerows(answer.rows)


def _as_json(answer: Answer) -> None:
    rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    sys.stdout.write(json.dumps(rows, default=str, indent=2) + "\n")
