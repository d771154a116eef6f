"""Model folders that no night, no backfill and no comparison asks for any more."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import dataclass
from pathlib import Path

from musicbox_lib import lake
from musicbox_lib.models.folder import models_folder
from musicbox_lib.models.registry import CANDIDATE, registered
from musicbox_lib.policies.listed import folder_day
from musicbox_lib.settings import settings

NEVER_PROMOTED_DAYS = 30
"""A candidate may still be looked at for a month; its row, with what was measured, stays in models.registry."""
UNREGISTERED_DAYS = 7
"""A folder without a row is what a training left that broke off, or one that is still at work."""
MAKING = ".making-"
"""What a training is still at work on, or broke off."""


@dataclass(frozen=True)
class Unwanted:
    """A folder to go, and why."""

    folder: Path
    why: str


def to_remove(now: dt.datetime) -> list[Unwanted]:
    """The folders that may go, by name. Never a champion's, nor any that was once promoted: they serve backfills."""
    if not models_folder().is_dir():
        return []
    entries = {entry.model_id: entry for entry in registered()}
    rows = _baseline_days()
    newest = max(rows.values(), default=None)
    found = []
    for folder in sorted(path for path in models_folder().iterdir() if path.is_dir() and _is_ours(path.name)):
        age = (now - dt.datetime.fromtimestamp(folder.stat().st_mtime, dt.UTC)).days
        entry, day = entries.get(folder.name), rows.get(folder.name)
        if entry is not None:
            if entry.status == CANDIDATE and not entry.promoted and age > NEVER_PROMOTED_DAYS:
                found.append(Unwanted(folder, f"never promoted, {age} days old"))
        elif day is not None and newest is not None:
            if (newest - day).days >= settings().keep_baselines_days:
                found.append(Unwanted(folder, f"of {day}, the newest baselines are of {newest}"))
        elif age > UNREGISTERED_DAYS:
            found.append(Unwanted(folder, f"no row names it, {age} days old"))
    return found


def _is_ours(name: str) -> bool:
    return name.startswith(MAKING) or folder_day(name) is not None


def _baseline_days() -> dict[str, dt.date]:
    """By folder, the newest day whose rows of models.baselines name it."""
    found = lake.snapshot("models.baselines")
    if found is None:
        return {}
    days: dict[str, dt.date] = {}
    for row in found.to_pyarrow_table(columns=["dt", "folder"]).to_pylist():
        days[row["folder"]] = max(row["dt"], days.get(row["folder"], row["dt"]))
    return days


def remove(found: list[Unwanted]) -> None:
    """Take the folders away: out of sight at once, then file by file."""
    for one in found:
        gone = one.folder.with_name(f"{MAKING}gone-{one.folder.name.lstrip('.')}")
        one.folder.replace(gone)
        shutil.rmtree(gone)
