"""Measured tables in the docs. A page of docs/measured has one part between two marks, which a run at full size writes
anew: what was measured, when, with which version and on which machine."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from bench.measured import Row
from musicbox_lib.settings import PROJECT

MEASURED = PROJECT / "docs" / "measured"
START, END = "<!-- measured -->", "<!-- /measured -->"
ADDITIONS = 20_000_000


def has_page(name: str) -> bool:
    """Whether a bench has a page to write its table to."""
    page = MEASURED / f"{name}.md"
    return page.is_file() and START in page.read_text()


def put(page: Path, table: str, recorded: str) -> None:
    """Replace what stands between the page's marks. Raises ValueError for a page without them."""
    before, start, rest = page.read_text().partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"{page} has no part between {START} and {END}: add the two lines where the table belongs.")
    page.write_text(f"{before}{START}\n{recorded}\n\n{table.strip()}\n{END}{after}")


def recorded() -> str:
    """When, which version, which machine, as one sentence. A loop of additions says how fast it was at that time."""
    version = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=PROJECT, capture_output=True, text=True, check=False
    ).stdout.strip()
    started = time.perf_counter()
    total = 0
    for _ in range(ADDITIONS):
        total += 1
    seconds = time.perf_counter() - started
    return (
        f"Recorded on {dt.datetime.now(dt.UTC).date()}, version {version or 'unknown'}, {_processor()}, "
        f"{os.cpu_count()} cores; {total // 1_000_000} million additions in a Python loop took {seconds:.1f} s."
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "an unknown processor"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "a processor")


def table_of(rows: Sequence[Row]) -> str:
    """Rows of a bench as a Markdown table."""
    lines = ["| case | size | seconds | per second | peak MB | beside | ratio |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        cells = (
            row["case"], row["size"], f"{row['seconds']:,.3g}", f"{row['rate']:,.0f}", f"{row['peak_mb']:,.0f}",
            row.get("vs", ""), f"{row['ratio']:.2f}" if "ratio" in row else "",
        )  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)
