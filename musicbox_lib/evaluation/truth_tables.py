"""An evaluation against the truth, as tables for a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from musicbox_lib.evaluation.against_truth import Evaluation, PolicyValue


def show(evaluation: Evaluation, console: Console | None = None) -> None:
    """Print the policies' true skip rates by segment, then the paired differences of what was served and of the
    champion."""
    console = console or Console()
    values = Table(
        title=f"True expected skip rate after the last sessions of {evaluation.run_date} (generated world)",
        caption=f"served by {', '.join(evaluation.model_ids)}; gap closed: 0 as the logging policy, 1 as the oracle",
    )
    for name in ("segment", "policy", "users", "skip", "95 %", "gap closed", "coverage", "ILD"):
        values.add_column(name, justify="left" if name in ("segment", "policy") else "right", no_wrap=True)
    before = ""
    for row in evaluation.values:
        if before and before != row.segment:
            values.add_section()
        before = row.segment
        values.add_row(*_cells(row))
    console.print(values)
    differences = Table(title="Differences, paired over users (below 0: fewer skips)")
    for name in ("segment", "policy", "versus", "difference", "95 %", "verdict"):
        differences.add_column(name, justify="right" if name in ("difference", "95 %") else "left", no_wrap=True)
    for pair in evaluation.differences:
        differences.add_row(
            pair.segment,
            pair.policy,
            pair.versus,
            f"{pair.difference:+.3f}",
            f"{pair.lo:+.3f} to {pair.hi:+.3f}",
            "fewer skips" if pair.hi < 0 else "more skips" if pair.lo > 0 else "not told apart",
        )
    console.print(differences)


def _cells(row: PolicyValue) -> tuple[str, ...]:
    return (
        row.segment,
        row.policy,
        f"{row.users:,}",
        f"{row.skip:.3f}",
        f"{row.lo:.3f} to {row.hi:.3f}",
        f"{row.gap_closed:.2f}",
        "" if row.coverage is None else f"{row.coverage:.2f}",
        "" if row.ild is None else f"{row.ild:.2f}",
    )
