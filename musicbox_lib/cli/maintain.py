"""`musicbox maintain STEP`: one step of the weekly upkeep, each safe to run again, and what it shows."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable
from typing import Any, Literal

from musicbox_lib import lake
from musicbox_lib.cli.tables import show
from musicbox_lib.contract.tables import tables
from musicbox_lib.lake import files as lake_files
from musicbox_lib.models import old_folders
from musicbox_lib.privacy import receipts, retention
from musicbox_lib.settings import settings
from musicbox_lib.sql.ask import Answer

_NOTHING_SMALL = "No table has small files to pack."
Step = Literal["retention", "registry", "optimize", "vacuum"]


def show_step(step: Step) -> None:
    """Do a step and print what it did; raises UsageError for settings that make no sense, Conflict for a held table."""
    STEPS[step][0]()


def show_plan(step: Step) -> None:
    """Print what the step would do. Changes nothing."""
    STEPS[step][1]()


def _print(columns: tuple[str, ...], rows: list[tuple[Any, ...]], nothing: str) -> None:
    if not rows:
        sys.stdout.write(f"{nothing}\n")
        return
    show(Answer(columns, iter(rows)), "table")


def _written() -> list[str]:
    return [one.name for one in tables().values() if one.format == "delta" and lake.snapshot(one.name) is not None]


def _retention_plan() -> None:
    _show_days(retention.to_remove(), {})


def _retention() -> None:
    found = retention.to_remove()
    _show_days(found, retention.remove(found))


def _show_days(found: list[retention.Past], gone: dict[str, int]) -> None:
    rows = [(one.name, len(one.days), one.days[0], one.days[-1], gone.get(one.name, "-")) for one in found]
    nothing = "No day is past its time: nothing to remove."
    _print(("past their time", "days", "from", "to", "rows or files removed"), rows, nothing)


def _registry_plan() -> None:
    _show_folders(old_folders.to_remove(dt.datetime.now(dt.UTC)))


def _registry() -> None:
    found = old_folders.to_remove(dt.datetime.now(dt.UTC))
    old_folders.remove(found)
    _show_folders(found)


def _show_folders(found: list[old_folders.Unwanted]) -> None:
    rows = [(one.folder.name, one.why) for one in found]
    _print(("model folder", "why it goes"), rows, "Every model folder is asked for: nothing to remove.")


def _optimize_plan() -> None:
    small = {name: lake_files.small_files(name) for name in _written()}
    rows = [(name, len(days), sum(days.values())) for name, days in small.items() if days]
    _print(("table", "partitions", "small files"), rows, _NOTHING_SMALL)


def _optimize() -> None:
    done = {name: lake_files.optimize(name) for name in _written()}
    rows = [(name, before, after) for name, (before, after) in done.items() if before]
    _print(("table", "files before", "files after"), rows, _NOTHING_SMALL)


def _vacuum_plan() -> None:
    days = lake_files.retention_days(settings().vacuum_days)
    old = {name: len(lake_files.old_files(name, days)) for name in _written()}
    rows = [(name, count) for name, count in old.items() if count]
    _print((f"table, files replaced {days} days ago", "files"), rows, _nothing_old(days))


def _vacuum() -> None:
    days = lake_files.retention_days(settings().vacuum_days)
    gone = {name: lake_files.vacuum(name, days) for name in _written()}
    completed: list[tuple[str, int]] = []
    for receipt in receipts.all_receipts() if lake.is_local(lake.root()) else ():
        if receipt.completed is None:
            receipt.settle(days, dt.datetime.now(dt.UTC))
            completed += [(f"receipt {receipt.number} completed", 0)] if receipt.completed else []
    _print(
        (f"table, files replaced {days} days ago", "files removed"),
        [(name, count) for name, count in gone.items() if count] + completed,
        _nothing_old(days),
    )


def _nothing_old(days: int) -> str:
    return f"No file was replaced {days} days ago or earlier: nothing to remove."


STEPS: dict[Step, tuple[Callable[[], None], Callable[[], None]]] = {
    "retention": (_retention, _retention_plan),
    "registry": (_registry, _registry_plan),
    "optimize": (_optimize, _optimize_plan),
    "vacuum": (_vacuum, _vacuum_plan),
}
"""Each step and its dry run, in the order of the week: what retention takes from a table, VACUUM takes from the disk a
week later."""
