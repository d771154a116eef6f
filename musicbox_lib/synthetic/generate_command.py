"""`musicbox generate`: the generation with a progress bar, and what to do next."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from musicbox_lib.errors import UsageError
from musicbox_lib.lake import is_local, local_path, root
from musicbox_lib.synthetic.faults.plant import FAULTS
from musicbox_lib.synthetic.generate import NOTICE, Generated, generate
from musicbox_lib.synthetic.world import World


def local_lake() -> Path:
    """The folder of the lake; raises UsageError for a lake on another file system, which this does not write."""
    if not is_local(root()):
        raise UsageError(
            f"MUSICBOX_LAKE is {root()}: name a local folder with --out, then copy its landing folder there."
        )
    return local_path(root())


def generate_with_progress(
    *,
    users: int,
    tracks: int,
    days: int,
    seed: int,
    from_date: dt.date,
    lake: Path,
    truth: Path,
    world: World,
    faults: Mapping[str, int],
) -> Generated:
    """As `generate`, telling a terminal what happens. Raises as `generate` does."""
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        tasks: dict[str, TaskID] = {}

        def told(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)

        made = generate(
            users=users,
            tracks=tracks,
            days=days,
            seed=seed,
            from_date=from_date,
            lake=lake,
            truth=truth,
            world=world,
            faults=faults,
            progress=told,
        )
    console.print(NOTICE)
    console.print(
        f"{made.users:,} listeners, {made.tracks:,} tracks, {made.sessions:,} sessions, {made.plays:,} plays, "
        f"delivered {made.days[0]} to {made.days[-1]} in {made.lake / 'landing'}; what is true is in {made.truth}, "
        "which only `musicbox evaluate` opens.",
        soft_wrap=True,
        highlight=False,
    )
    if faults:
        console.print(
            f"{sum(faults.values()):,} faults were written on purpose; {made.truth / FAULTS} says where.",
            soft_wrap=True,
        )
    return made
