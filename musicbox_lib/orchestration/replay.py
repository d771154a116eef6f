"""`musicbox replay-rejected`: judge a day's delivery anew, after a rule or a file was mended."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass

from musicbox_lib import lake
from musicbox_lib.contract import jobs
from musicbox_lib.errors import Conflict, DataRefused, MusicBoxError, UsageError
from musicbox_lib.orchestration import job
from musicbox_lib.settings import PROJECT
from musicbox_lib.sql.ask import ask

INGEST = ("session_events", "listening_events")
REJECTED = ("silver.rejected_events", "silver.rejected_tracks")
_ENDS = {end.exit_code: end for end in (MusicBoxError, UsageError, DataRefused, Conflict)}


@dataclass(frozen=True)
class Replay:
    """How many rows of the day wait in quarantine, by rule, before and after, and how many plays silver gained."""

    day: dt.date
    before: Counter[str]
    after: Counter[str]
    rows_before: int
    rows_after: int
    came_to_silver: int

    def sentences(self) -> list[str]:
        """What happened, a line each."""
        moved = [
            f"  {rule}: {self.before[rule]} -> {self.after[rule]}"
            for rule in sorted({*self.before, *self.after})
            if self.before[rule] != self.after[rule]
        ]
        return [
            f"{self.day}: {self.rows_before} rows were in quarantine, {self.rows_after} are; "
            f"silver.listening_events has {self.came_to_silver:+d} rows of that day.",
            *(moved or ["  no rule finds more or fewer rows than before"]),
        ]


def replay(day: dt.date) -> Replay:
    """Take the day's landing files in anew and judge them by the rules as they are now; earlier deliveries that nobody
    took in yet come with it, as in a night. Twice gives the same rows. Raises what the jobs refuse."""
    before, rows_before, silver = _waiting(day), _waiting_rows(day), _rows(("silver.listening_events",), day)
    for name in INGEST:
        _run(name, day)
    gained = _rows(("silver.listening_events",), day) - silver
    return Replay(day, before, _waiting(day), rows_before, _waiting_rows(day), gained)


def _run(name: str, day: dt.date) -> None:
    words = [sys.executable, str(job.path_of(name)), *jobs.job(name).words(day=str(day))]
    # In a group of its own, an interrupt of the terminal's reaches it through this process alone.
    ended = subprocess.run(words, cwd=PROJECT, check=False, process_group=0)
    if ended.returncode:
        kind = _ENDS.get(ended.returncode, MusicBoxError)
        raise kind(f"the job {name} ended with {ended.returncode}, its last line says why; {lake.root()} is as it was.")


def _waiting(day: dt.date) -> Counter[str]:
    """Rows of the day in quarantine, by rule, without those whose session a later day completed."""
    import pyarrow.compute as pc

    found: Counter[str] = Counter()
    for name in REJECTED:
        if (table := lake.snapshot(name)) is not None:
            rules = table.to_pyarrow_table(columns=["rules"], filters=[("dt", "=", day)]).column("rules")
            counts = pc.value_counts(pc.list_flatten(rules)).to_pylist()
            found.update({count["values"]: count["counts"] for count in counts})
    for rules, count in _completed_later(day):
        found.subtract(dict.fromkeys(rules, count))
    return +found


def _waiting_rows(day: dt.date) -> int:
    return _rows(REJECTED, day) - sum(count for _, count in _completed_later(day))


def _completed_later(day: dt.date) -> list[tuple[list[str], int]]:
    """(the rules that they broke, how many rows) of the day's rejected rows whose session a later day completed."""
    if any(lake.snapshot(name) is None for name in ("silver.rejected_events", "silver.listening_events")):
        return []
    asked = ask(f"""
        SELECT r.rules, count(*) FROM silver.rejected_events AS r
        JOIN silver.listening_events AS e
          ON e.session_id = r.session_id AND e.session_position = r.session_position AND e.dt > r.dt
        WHERE r.dt = DATE '{day}' AND list_contains(r.rules, 'session_complete') GROUP BY r.rules""")
    return [(list(rules), int(count)) for rules, count in asked.rows]


def _rows(names: tuple[str, ...], day: dt.date) -> int:
    return sum(lake.rows_in(found, [day]) for name in names if (found := lake.snapshot(name)) is not None)
