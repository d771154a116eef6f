"""Where deliveries lie under `LAKE/landing`, and which day each belongs to."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from musicbox_lib import lake
from musicbox_lib.errors import DataRefused

LOGS = "session_logs"
TRACKS = "tracks"
USERS = "session_users"
# What was replaced, by kind: hidden from every night.
REPLACED = ".replaced"
# A track table without a day in its name was known from the start.
ALWAYS = dt.date(1970, 1, 1)
# Spark takes a path with one of []{}*? for a pattern, and with __globPaths__ off reads the files beside it twice.
DATA_FILE = re.compile(r"[^._\[\]{}*?\\][^\[\]{}*?\\]*\.csv(\.gz)?")
DAY_IN_NAME = re.compile(r"(?:^|[._-])dt=([^.]+)\.csv(?:\.gz)?$")


@dataclass(frozen=True)
class Delivery:
    """A landed file: the day it counts from, its name, its path below landing, its full path and the same escaped as
    Spark shows it, and a fingerprint (length and time of change) which differs once the file does."""

    day: dt.date
    name: str
    path: str
    location: str
    uri: str
    fingerprint: str


def landing(kind: str) -> str:
    """The landing folder of a kind of files, e.g. `LAKE/landing/session_logs`."""
    return f"{lake.root()}/landing/{kind}"


def day_of_folder(name: str) -> dt.date | None:
    """The day that a folder `dt=2026-11-05` stands for; None for another folder. A `dt=` that is no day is refused."""
    return _day(name.removeprefix("dt="), f"landing/{LOGS}/{name}") if name.startswith("dt=") else None


def day_of_tracks(name: str) -> dt.date:
    """The day of a track table: `tracks.dt=2026-11-05.csv.gz` was delivered on that day, `tracks.csv` always known."""
    found = DAY_IN_NAME.search(name)
    return _day(found.group(1), f"landing/{TRACKS}/{name}") if found else ALWAYS


def _day(word: str, where: str) -> dt.date:
    try:
        day = dt.date.fromisoformat(word)
    except ValueError:
        day = None
    if day is None or day.isoformat() != word:
        raise DataRefused(f"{where}: {word!r} is not a day: rename it to dt=YYYY-MM-DD or take it out of landing.")
    return day


def day_of_path(path: str) -> dt.date:
    """The day that a path below landing belongs to, as the run ledger records it."""
    kind, _, rest = path.partition("/")
    if kind == TRACKS:
        return day_of_tracks(rest)
    return _day(rest.partition("/")[0].removeprefix("dt="), f"landing/{path}")
