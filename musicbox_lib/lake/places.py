"""Where the lake and its tables are, and the lock of each."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from pathlib import Path

from musicbox_lib.contract.tables import table
from musicbox_lib.errors import UsageError
from musicbox_lib.lake import lock
from musicbox_lib.settings import settings

# Spark takes a path with one of []{}*?\ for a pattern, Petastorm cuts it at ? and #, delta-rs reads %20 as a space.
NO_ROOT = re.compile(r"[\[\]{}*?#%\\\x00-\x1f\x7f]")


def root() -> str:
    """The lake's root: absolute where it is local, as given where it is on another file system. Raises UsageError for
    one that some reader would take for a pattern or a part of a URL."""
    lake = settings().lake.rstrip("/")
    if NO_ROOT.search(lake):
        raise UsageError(f"MUSICBOX_LAKE is {lake!r}: name a folder without []{{}}*?#%\\ and control characters.")
    return str(local_path(lake).resolve()) if is_local(lake) else lake


def path_of(name: str) -> str:
    """Where a table lives: `LAKE/<stage>/<table>`."""
    found = table(name)
    return f"{root()}/{found.stage}/{found.noun}"


def is_local(path: str) -> bool:
    """Whether a path is on a local file system."""
    return "://" not in path or path.startswith("file://")


def local_path(path: str) -> Path:
    """The folder that a local lake path names."""
    return Path(path.removeprefix("file://"))


def table_lock(name: str) -> AbstractContextManager[lock.Lock]:
    """Hold the table's lock while writing: two processes can overwrite each other's commit on a local file system and
    on S3. Raises Conflict when the lock is not had in time, UsageError where none is to be had."""
    return lock.hold(root(), name)
