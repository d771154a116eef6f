"""An evaluation against the truth, as tables for a terminal of 80 columns."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from musicbox_lib.evaluation.against_truth import LOGGING, ORACLE, SERVED, Evaluation, PolicyValue
from musicbox_lib.grid import plain_console, shown
from musicbox_lib.policies import listed

HELD_OUT = "held out"
OURS = (SERVED, *(policy.name for policy in listed.of_model()))


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
