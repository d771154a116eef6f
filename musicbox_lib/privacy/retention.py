"""Which days each stage keeps, counted back from a table's own newest day: a lake that nobody feeds loses nothing by
waiting, and the same step twice removes nothing more."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from musicbox_lib import lake
from musicbox_lib.contract.tables import table
from musicbox_lib.errors import UsageError
from musicbox_lib.lake import ledger
from musicbox_lib.landing import ingest, local_files
from musicbox_lib.landing.local_files import LandedFile
from musicbox_lib.settings import Settings, settings

if TYPE_CHECKING:
    import pyarrow as pa

JOB = "retention"
LANDING = "landing.session_logs"
STAGES: dict[str, tuple[str, ...]] = {
    "bronze": ("bronze.session_events",),
    "silver": (
        "silver.listening_events",
        "silver.superseded_events",
        "silver.rejected_events",
        "silver.validation_examples",
    ),
    "gold": ("gold.track_features", "gold.track_embeddings", "gold.last_sessions"),
    "training": ("training.transitions",),
}
"""What has an age. Everything else is kept: track tables are read whole by every night, validation results and reports
are the history that a new night is held against, models and scores are small."""
VALID, SUPERSEDED = "silver.listening_events", "silver.superseded_events"
NEEDED = 2
"""Newest days that stay whatever their age: a night reads the gold of its own day and of the one before."""


@dataclass(frozen=True)
class Past:
    """Days of a table, or files of landing, that are past their time."""

    name: str
    days: tuple[dt.date, ...]
    files: tuple[LandedFile, ...] = ()


def limits(of: Settings) -> dict[str, int | None]:
    """Days by stage, None for all. Raises UsageError for limits by which a later stage would lose what an earlier one
    still holds, or a night what it reads."""
    found = {
        "landing": of.keep_landing_days,
        "bronze": of.keep_bronze_days,
        "silver": of.keep_silver_days,
        "gold": of.keep_gold_days,
        "training": of.keep_training_days,
    }
    for stage, days in found.items():
        if days is not None and days < 1:
            raise UsageError(f"MUSICBOX_KEEP_{stage.upper()}_DAYS is {days}: set it to 1 or more, or unset it.")
    for earlier, later, why in (
        ("landing", "bronze", "a night ingests again what landing holds and bronze does not"),
        ("bronze", "silver", "a night judges again what bronze holds and silver does not"),
    ):
        first, second = found[earlier], found[later]
        if second is not None and (first is None or first > second):
            raise UsageError(
                f"{later} would keep {second} days and {earlier} {first or 'all'}, but {why}: set "
                f"MUSICBOX_KEEP_{earlier.upper()}_DAYS to {second} or less."
            )
    read = max(of.active_days, of.training_days)
    if found["silver"] is not None and found["silver"] < read:
        raise UsageError(
            f"silver would keep {found['silver']} days but nights and trainings read {read} (MUSICBOX_ACTIVE_DAYS, "
            f"MUSICBOX_TRAINING_DAYS): set MUSICBOX_KEEP_SILVER_DAYS to {read} or more."
        )
    return found


def past(days: Iterable[dt.date], keep: int | None) -> list[dt.date]:
    """The days that a limit leaves behind, oldest first; never the NEEDED newest."""
    known = sorted(set(days))
    if keep is None or len(known) <= NEEDED:
        return []
    first_kept = known[-1] - dt.timedelta(days=keep - 1)
    return [day for day in known[:-NEEDED] if day < first_kept]


def to_remove() -> list[Past]:
    """What is past its time now, landing first: what it no longer holds no night can ingest again."""
    keep = limits(settings())
    found = [_of_landing(keep["landing"])] if keep["landing"] is not None else []
    found += [Past(name, tuple(_days_past(name, keep[stage]))) for stage in STAGES for name in STAGES[stage]]
    return [one for one in found if one.days]


def _days_past(name: str, keep: int | None) -> list[dt.date]:
    """The days of a table that its limit leaves behind. Those of superseded plays go with the valid plays of as long
    ago: there may be none for weeks, and their own newest day says little."""
    if name != SUPERSEDED:
        return past(lake.days_of(name), keep)
    days = lake.days_of(VALID)
    gone = past(days, keep)
    kept = set(days) - set(gone)
    return [day for day in lake.days_of(name) if gone and day < min(kept)]


def _of_landing(keep: int | None) -> Past:
    """Counted from bronze's newest day, and only files that bronze holds as they are: what no night has read stays."""
    held = ledger.last_writes("bronze.session_events")
    if not held:
        return Past(LANDING, ())
    logs = local_files.session_logs()
    old = set(past(held, keep))
    known = {
        log: ingest.delivered_on(log.day, held[log.day].inputs).get(log.path, "") for log in logs if log.day in old
    }
    files = tuple(log for log, mark in known.items() if mark.startswith(log.fingerprint))
    files += tuple(file for file in local_files.replaced_files() if file.day in old)
    return Past(LANDING, tuple(sorted({log.day for log in files})), files)


def remove(found: Sequence[Past]) -> dict[str, int]:
    """Take it away; by name, how many rows (files in landing) went. The ledger says for each table why."""
    gone = {}
    for one in found:
        if one.name == LANDING:
            gone[one.name] = _unlinked(one.files)
            continue
        keep = limits(settings())[table(one.name).stage]
        partition = lake.WritePartition(table(one.name), one.days[0], one.days[-1])
        done = lake.rewrite(JOB, _none_of, partition, {"keep_days": str(keep)}, list(one.days))
        gone[one.name] = done.rows_removed
    return gone


def _unlinked(files: Iterable[LandedFile]) -> int:
    count = 0
    for file in files:
        file.place.unlink()
        count += 1
        folder = file.place.parent
        if folder.name.startswith("dt=") and not any(folder.iterdir()):
            folder.rmdir()
    return count


def _none_of(batch: pa.RecordBatch) -> pa.BooleanArray:
    import pyarrow as pa

    return pa.array([False] * batch.num_rows, pa.bool_())
