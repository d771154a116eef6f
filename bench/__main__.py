"""Run the benches: `python -m bench [--name scoring] [--size small|full]`; each prints a table and writes
bench/results/NAME.json. A full run also writes the bench's page in docs/measured, where it has one."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

import bench
from bench import pages
from bench.measured import Row
from musicbox_lib.errors import MusicBoxError
from musicbox_lib.machine import stopping
from musicbox_lib.settings import settings

RESULTS = Path(__file__).parent / "results"
COLUMNS = ("case", "size", "seconds", "rate", "peak_mb", "vs", "ratio")
# Not benches: this module and what they share.
SHARED = {
    "__main__",
    "measured",
    "pages",
    "generated_log",
    "quality_tables",
    "obp_estimates",
    "world_jobs",
    "ingest_case",
    "ingest_duckdb",
}


def names() -> list[str]:
    """Every bench, by its module's name."""
    return sorted(module.name for module in pkgutil.iter_modules(bench.__path__) if module.name not in SHARED)


def run(name: str, size: str) -> list[Row]:
    """Run one bench, print its table, write its rows."""
    rows: list[Row] = importlib.import_module(f"bench.{name}").run(size)
    grid = Table(*COLUMNS, box=box.SIMPLE_HEAD, title=f"{name} ({size})")
    for row in rows:
        grid.add_row(*(_cell(row.get(column)) for column in COLUMNS))
    Console(width=140).print(grid)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n")
    if size == "full" and pages.has_page(name):
        pages.put(pages.MEASURED / f"{name}.md", pages.table_of(rows), pages.recorded())
    return rows


def _cell(value: object) -> str:
    if value is None:
        return ""
    return (
        f"{value:,.3g}"
        if isinstance(value, float) and abs(value) < 100
        else f"{value:,.0f}"
        if isinstance(value, float)
        else str(value)
    )


def main() -> None:
    """Parse the words and run."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--name", choices=names(), help="One bench; all of them if left out.")
    parser.add_argument("--size", choices=("small", "full"), default="small")
    words = parser.parse_args()
    at_work = ["the start"]
    again = f"`make bench{f' NAME={words.name}' if words.name else ''}{' SIZE=full' if words.size == 'full' else ''}`"
    with stopping.stoppable(lambda: f"the bench ({at_work[-1]})", again):
        for name in [words.name] if words.name else names():
            at_work.append(name)
            run(name, words.size)


if __name__ == "__main__":
    try:
        settings()
        main()
    except MusicBoxError as refusal:
        sys.stderr.write(f"musicbox: {refusal}\n")
        sys.exit(refusal.exit_code)
