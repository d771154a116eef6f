"""Which days were delivered, and so which of its range a backfill runs."""

from __future__ import annotations

import datetime as dt

from musicbox_lib import lake
from musicbox_lib.contract import days as run_dates
from musicbox_lib.errors import DataRefused
from musicbox_lib.landing import places


def delivered(day: dt.date) -> bool:
    """Whether a session log lies in landing for that day. On other than local file systems every day counts as
    delivered: the night itself refuses an empty one."""
    folder = f"{places.landing(places.LOGS)}/dt={day}"
    if not lake.is_local(folder):
        return True
    place = lake.local_path(folder)
    return place.is_dir() and any(places.DATA_FILE.fullmatch(file.name) for file in place.iterdir())


def require_delivery(day: dt.date) -> None:
    """Raise DataRefused where nothing was delivered for that day: said here in a second, before a JVM is started.
    The first job of the night looks again."""
    if not delivered(day):
        folder = f"{places.landing(places.LOGS)}/dt={day}"
        raise DataRefused(
            f"there is no delivery for {day} ({folder} is missing or empty): "
            f"land a file with `musicbox land --log FILE --dt {day}`."
        )


def plan(from_date: str, to_date: str) -> tuple[list[dt.date], list[dt.date]]:
    """The range's days, oldest first, as (with a delivery, without one); raises UsageError for an impossible range."""
    days = run_dates.days_between(from_date, to_date)
    return [day for day in days if delivered(day)], [day for day in days if not delivered(day)]
