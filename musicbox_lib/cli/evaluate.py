"""`musicbox evaluate`: a night's evaluation from the lake, and against the truth where there is one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from musicbox_lib import lake
from musicbox_lib.cli.grid import plain_console, shown
from musicbox_lib.cli.tables import show as show_answer
from musicbox_lib.contract.days import parse_date
from musicbox_lib.errors import DataRefused
from musicbox_lib.evaluation.against_truth import LOGGING, ORACLE, SERVED, evaluate
from musicbox_lib.policies import listed
from musicbox_lib.settings import settings
from musicbox_lib.sql.ask import ask

if TYPE_CHECKING:
    from musicbox_lib.evaluation.against_truth import Evaluation, PolicyValue

TABLE = "reports.policy_evaluation"
NUMBERS = (
    *("skip_rate_dr", "skip_rate_dr_lo", "skip_rate_dr_hi", "skip_rate_snips", "skip_rate_dm"),
    *("hit_rate_20", "ndcg_20"),
)
"""Columns of evaluation_trend that are shown, to four decimals; the table has every digit."""
HELD_OUT = "held out"
OURS = (SERVED, *(policy.name for policy in listed.of_model()))


def show_night(word: str, truth: Path | None) -> None:
    """Print what the night's plays say of each policy, then what the truth says: of the folder named, or of the
    setting's where it is there. Raises UsageError for a word that is no day, DataRefused for a night that nobody
    evaluated, or a folder that was named and holds no truth."""
    day = parse_date(word)
    if day not in lake.days_of(TABLE):
        raise DataRefused(f"{TABLE} has no night {day} in {lake.root()}: run `make nightly RUN_DATE={day}` first.")
    rounded = ", ".join(f"round({name}, 4) AS {name}" for name in NUMBERS)
    query = f"SELECT policy, evidence, {rounded}, round(ess, 1) AS ess FROM evaluation_trend WHERE dt = DATE '{day}'"
    show_answer(ask(query), "table")
    folder = truth or settings().truth
    if truth is None and not folder.exists():
        sys.stdout.write(f"There is no truth in {folder} to hold it against: only a generated world has one.\n")
        return
    show(evaluate(day, folder, seed=settings().seed))


def show(evaluation: Evaluation, console: Console | None = None) -> None:
    """Print every policy's true skip rate, best first, and how much of the gap it closes for all users and for those
    that nothing was fitted on; then what was served and the champion against the log, the control and the best
    baseline."""
    console = console or plain_console()
    of_all = [row for row in evaluation.values if row.segment == "all"]
    held_out = {row.policy: row for row in evaluation.values if row.segment == HELD_OUT}
    console.print(_values(evaluation, of_all, held_out))
    baselines = [row.policy for row in of_all if row.policy not in (*OURS, LOGGING, ORACLE)]
    controls = [policy.name for policy in listed.baselines() if policy.is_control]
    versus = dict.fromkeys((LOGGING, *controls, *baselines[:1]))
    differences = Table(title="Paired over users, with 95 % intervals (below 0: fewer skips)", box=box.SIMPLE_HEAD)
    for name in ("users", "policy", "versus", "difference", "verdict"):
        differences.add_column(name, justify="right" if name == "difference" else "left", no_wrap=True)
    for pair in evaluation.differences:
        if pair.segment in ("all", HELD_OUT) and pair.versus in versus:
            differences.add_row(
                pair.segment,
                pair.policy,
                pair.versus,
                f"{pair.difference:+.3f} [{pair.lo:+.3f}, {pair.hi:+.3f}]",
                "fewer skips" if pair.hi < 0 else "more skips" if pair.lo > 0 else "undecided",
            )
    console.print(differences)


def _values(evaluation: Evaluation, of_all: list[PolicyValue], held_out: dict[str, PolicyValue]) -> Table:
    counted = {row.users for row in of_all} | {row.users for row in held_out.values()}
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"True chance of a skip after the last sessions of {evaluation.run_date} (generated world)",
        caption=f"{' and '.join(f'{n:,}' for n in sorted(counted, reverse=True))} (held-out) users, served by "
        f"{', '.join(map(shown, evaluation.model_ids))}. Gap: 0 as the logging policy, 1 as the oracle, which knows "
        "the mood; held out: the gap for the held-out users alone.",
    )
    for name in ("policy", "skip", "95 %", "gap", "held out", "cover", "ILD"):
        table.add_column(name, justify="left" if name == "policy" else "right", no_wrap=name == "policy")
    for row in of_all:
        own = held_out.get(row.policy)
        table.add_row(
            row.policy,
            f"{row.skip:.3f}",
            f"{row.lo:.2f}-{row.hi:.2f}",
            f"{row.gap_closed:.2f}",
            "" if own is None else f"{own.gap_closed:.2f}",
            "" if row.coverage is None else f"{row.coverage:.2f}",
            "" if row.ild is None else f"{row.ild:.2f}",
            style="bold" if row.policy in OURS else None,
        )
    return table
