"""`musicbox forget-user`: every row, line and session of one user out of the lake, and a receipt in.

What is made from others goes first and landing last, bronze just before silver: whatever a killed run leaves behind can
still be found from what it left, so running it again completes it. silver's ledger line comes after bronze's, and
bronze's carries the fingerprints of the landing files as they will be: the next night finds nothing new.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from musicbox_lib import lake
from musicbox_lib.contract.tables import table
from musicbox_lib.errors import Conflict, DataRefused, UsageError
from musicbox_lib.lake import files as lake_files
from musicbox_lib.lake import ledger
from musicbox_lib.landing import ingest, local_files, pseudonyms
from musicbox_lib.policies.listed import folder_day
from musicbox_lib.privacy import landed, receipts
from musicbox_lib.privacy.landed import Copies, Log
from musicbox_lib.privacy.receipts import Receipt
from musicbox_lib.privacy.traces import BRONZE, REJECTED, Traces, about_users, find_sessions, is_theirs, rows_by_day

if TYPE_CHECKING:
    import pyarrow as pa

LAST = (REJECTED, BRONZE, "silver.listening_events")


@dataclass(frozen=True)
class Found:
    """What of a user is in the lake."""

    traces: Traces
    tables: dict[str, dict[dt.date, int]]
    """Rows by table and day, in the order in which they go."""
    logs: dict[Log, int]
    """Lines by landed file."""

    def __bool__(self) -> bool:
        return bool(self.tables or self.logs)


def look(user_id: str, sessions: Iterable[str] = ()) -> Found:
    """Find a user, by delivered id or by pseudonym, and whatever is of these sessions. Changes nothing."""
    if not user_id.strip():
        raise UsageError("an empty word is no user: name one.")
    traces = Traces(set(pseudonyms.names_of(user_id)), set(sessions))
    logs = landed.logs()
    landed.find_sessions(logs, traces)
    find_sessions(traces)
    lines = {log: count for log in logs if (count := landed.count(log, traces))}
    names = [one.name for one in reversed(about_users()) if one.name not in LAST]
    # Bronze and quarantine first: they know lines that landing may no longer have, of which there may be examples.
    counted = {name: rows_by_day(table(name), traces) for name in (*LAST, *names)}
    tables = {name: counted[name] for name in (*names, *LAST) if counted[name]}
    return Found(traces, tables, lines)


def forget(user_id: str, vacuum_days: int) -> tuple[Receipt, Found]:
    """Take a user out of the lake and write the receipt; run again, it completes what was pending.

    Raises DataRefused for a user of whom there is neither a row nor a receipt, Conflict where a job that ran meanwhile
    brought rows back. `vacuum_days` is how long replaced files stay.
    """
    with lake.table_lock("ops.receipts"):
        local_files.sweep()
        found, receipt = look(user_id), receipts.receipt_of(user_id)
        if not found and receipt is None:
            raise unknown(user_id)
        if found:
            if receipt is None or receipt.removed is not None:
                receipt = receipts.new_receipt(user_id, dt.datetime.now(dt.UTC))
            receipt.models = sorted({*receipt.models, *_made_with(found)})
            receipt.logs |= _logs_that_name(found)
            receipt.save()
            _remove(found, receipt)
            if again := look(user_id, found.traces.sessions):
                where = ", ".join([*again.tables, *(log.landed.path for log in again.logs)])
                raise Conflict(f"a job that ran meanwhile wrote the user again to {where}: run this again after it.")
        assert receipt is not None
        if receipt.removed is None:
            receipt.removed = dt.datetime.now(dt.UTC).isoformat()
            receipt.save()
        for one in about_users():
            lake_files.vacuum(one.name, vacuum_days)
        receipt.settle(vacuum_days, dt.datetime.now(dt.UTC))
        return receipt, found


def unknown(user_id: str) -> DataRefused:
    """The refusal of a user whom nobody delivered."""
    return DataRefused(f"there is no user {user_id!r} in {lake.root()}, and no receipt of one: nothing was changed.")


def _remove(found: Found, receipt: Receipt) -> None:
    copies = landed.copies_without(list(found.logs), found.traces)
    for name, days in _days_to_rewrite(found).items():
        inputs = {"receipt": receipt.number, **(_delivered(days, copies) if name == BRONZE else {})}
        done = lake.rewrite(
            ledger.FORGET,
            lambda batch: _invert(is_theirs(batch, found.traces)),
            lake.WritePartition(table(name), days[0], days[-1]),
            inputs,
            days,
        )
        receipt.add(name, done.rows_removed, len(days), done.version)
        receipt.save()
    copies.publish()
    receipt.landing = {
        "files": receipt.landing.get("files", 0) + len(found.logs),
        "lines": receipt.landing.get("lines", 0) + sum(found.logs.values()),
    }
    receipt.save()


def _days_to_rewrite(found: Found) -> dict[str, list[dt.date]]:
    """By table, in order. Bronze takes in the days of every file that changes, silver those of bronze: a ledger line
    for each keeps the next night from ingesting or judging them anew."""
    days = {name: set(rows) for name, rows in found.tables.items()}
    changed = {log.landed.day for log in found.logs}
    for name in LAST[1:]:
        changed = (changed | days.get(name, set())) & set(lake.days_of(name))
        if changed:
            days[name] = changed
    order = [name for name in days if name not in LAST] + [name for name in LAST if name in days]
    return {name: sorted(days[name]) for name in order}


def _delivered(days: list[dt.date], copies: Copies) -> dict[str, str]:
    """What the ledger knows of those days' files, with the fingerprints that they will have. A file that it does not
    know, or knows otherwise, stays unknown: the next night ingests it."""
    writes, changed = ledger.last_writes(BRONZE), copies.fingerprints()
    delivered = {}
    for day in days:
        for path, mark in ingest.delivered_on(day, writes[day].inputs).items() if day in writes else ():
            before, after = changed.get(path, (mark, mark))
            if not mark.startswith(before):
                delivered[path] = mark
            elif after is not None:
                delivered[path] = after + mark[len(before) :]
    return delivered


def _logs_that_name(found: Found) -> dict[str, int]:
    words = found.traces.names | found.traces.sessions
    versions = {one.name: lake_files.last_log_with(one.name, words) for one in about_users()}
    return {name: version for name, version in versions.items() if version >= 0}


def _made_with(found: Found) -> set[str]:
    """The model folders of days on which the user's plays were known."""
    days = [day for name in LAST for day in found.tables.get(name, ())] + [log.landed.day for log in found.logs]
    folder = lake.local_path(lake.root()) / "models"
    made = {path.name: folder_day(path.name) for path in folder.glob("*") if path.is_dir()}
    return {name for name, day in made.items() if day is not None and day >= min(days)}


def _invert(mask: pa.BooleanArray) -> pa.BooleanArray:
    import pyarrow.compute as pc

    return pc.invert(mask)
