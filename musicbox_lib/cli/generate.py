"""`musicbox generate`: the generation with a progress bar, and what to do next."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from musicbox_lib.cli.grid import plain_console
from musicbox_lib.contract.tables import tables
from musicbox_lib.errors import Conflict, UsageError
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


def _refuse_filled_lake(folder: Path) -> None:
    delivered = next((folder / "landing").glob("*/**/*.csv*"), None)
    written = [entry.name for entry in tables().values() if (folder / entry.stage / entry.noun / "_delta_log").exists()]
    if delivered is None and not written:
        return
    held = f"{len(written)} tables" if written else f"deliveries ({delivered})"
    raise Conflict(
        f"{folder} already holds {held}; nothing was written: name another lake with --out, or say --overwrite to "
        "write the same world's deliveries again."
    )


def _refuse_other_truth(folder: Path, world: World, numbers: Mapping[str, object]) -> None:
    file = folder / "world.json"
    if not file.is_file():
        return
    held = json.loads(file.read_text())
    if held["world"] == json.loads(json.dumps(world.as_dict())) and all(
        held[name] == numbers[name] for name in numbers
    ):
        return
    raise Conflict(
        f"{folder} holds what is true of another world ({held['users']:,} listeners, {held['tracks']:,} tracks, seed "
        f"{held['seed']}); nothing was written: name another folder with --truth, or say --overwrite to lose it."
    )


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
    overwrite: bool = False,
) -> Generated:
    """As `generate`, telling a terminal what happens. Raises as `generate` does, and Conflict where the lake is filled
    or the truth is another world's, unless `overwrite` is set."""
    if not overwrite:
        _refuse_filled_lake(lake)
        _refuse_other_truth(
            truth, world, {"users": users, "tracks": tracks, "days": days, "seed": seed, "from_date": str(from_date)}
        )
    console = plain_console()
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
    )
    if faults:
        console.print(
            f"{sum(faults.values()):,} faults were written on purpose; {made.truth / FAULTS} says where.",
            soft_wrap=True,
        )
    return made
