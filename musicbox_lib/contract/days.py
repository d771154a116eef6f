"""Which day a run is for. The one resolver, because Airflow's own ideas differ by how a run was started.

`dags trigger -l 2026-11-05` gives that logical date but an interval around now; without `-l` there is neither;
REST and `dags test` infer yet others. So: the `run_date` parameter, else the logical date, else the day before
the run may start.
"""

from __future__ import annotations

import datetime as dt

from musicbox_lib.errors import UsageError


def resolve(param: str | None, logical_date: dt.datetime | None, run_after: dt.datetime, now: dt.datetime) -> dt.date:
    """The run date: `param`, else the logical date's day, else the day before `run_after`; days are UTC days.

    Raises UsageError for a word that is no day and for a day that has not begun yet.
    """
    if param:
        day = parse_date(param)
    elif logical_date is not None:
        day = logical_date.astimezone(dt.UTC).date()
    else:
        day = run_after.astimezone(dt.UTC).date() - dt.timedelta(days=1)
    today = now.astimezone(dt.UTC).date()
    if day > today:
        raise UsageError(f"run_date {day} is in the future (today is {today}, UTC): nothing was delivered for it yet.")
    return day


def days_between(first: str, last: str) -> list[dt.date]:
    """Every day from `first` to `last`, both included; raises UsageError for no days or the wrong order."""
    start, end = parse_date(first), parse_date(last)
    if end < start:
        raise UsageError(f"from_date {start} comes after to_date {end}: swap them.")
    return [start + dt.timedelta(days=n) for n in range((end - start).days + 1)]


def parse_date(word: str) -> dt.date:
    """A day in ISO form; raises UsageError for anything else."""
    try:
        day = dt.date.fromisoformat(word)
    except ValueError:
        day = None
    if day is None or day.isoformat() != word:
        raise UsageError(f"{word!r} is not a day: write it as YYYY-MM-DD.")
    return day
