"""Landing files on this machine, listed and rewritten without a JVM."""

from __future__ import annotations

import datetime as dt
import gzip
import os
import tempfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from musicbox_lib import lake
from musicbox_lib.errors import DataRefused
from musicbox_lib.landing import places, records

LONGEST_HEADER = 1 << 14
TEMPORARY = ".rewriting-"


@dataclass(frozen=True)
class LandedFile:
    """A landed file: where it is, its path below landing and the day it counts from."""

    place: Path
    path: str
    day: dt.date

    @property
    def fingerprint(self) -> str:
        """Length and time of change in milliseconds, as Hadoop's file system tells them to a night."""
        found = self.place.stat()
        return f"{found.st_size}:{found.st_mtime_ns // 1_000_000}"


def session_logs() -> list[LandedFile]:
    """The session logs by day and name. Raises DataRefused for a lake that is not on a local file system."""
    folders = [(folder, places.day_of_folder(folder.name)) for folder in _listed(places.LOGS) if folder.is_dir()]
    return [
        LandedFile(place, f"{places.LOGS}/{folder.name}/{place.name}", day)
        for folder, day in folders
        if day is not None
        for place in _data_files(folder)
    ]


def session_users() -> list[LandedFile]:
    """The files that name the user of each session; raises as `session_logs` does."""
    folder = lake.local_path(places.landing(places.USERS))
    return [LandedFile(place, f"{places.USERS}/{place.name}", places.ALWAYS) for place in _data_files(folder)]


def replaced_files() -> list[LandedFile]:
    """What `musicbox land` kept of files that others took the place of; raises as `session_logs` does. No night reads
    them."""
    found = []
    for folder in _listed(f"{places.REPLACED}/{places.LOGS}"):
        day = places.day_of_folder(folder.name)
        if day is not None:
            below = f"{places.REPLACED}/{places.LOGS}/{folder.name}"
            found += [LandedFile(place, f"{below}/{place.name}", day) for place in _data_files(folder)]
    return found


def _listed(kind: str) -> list[Path]:
    if not lake.is_local(lake.root()):
        raise DataRefused(f"landing in {lake.root()} cannot be rewritten: keep MUSICBOX_LAKE on a file system for now.")
    folder = lake.local_path(places.landing(kind))
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _data_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(place for place in folder.iterdir() if place.is_file() and places.DATA_FILE.fullmatch(place.name))


@contextmanager
def opened(place: Path, is_packed: bool) -> Iterator[IO[str]]:
    """A file's lines with their endings, a character per byte, cut where the night cuts them: a carriage return alone
    ends a line only in a file whose header it ends."""
    opens = gzip.open if is_packed else open
    with opens(place, "rt", encoding="latin-1", newline="") as read:
        ending = records.ending_of(read.readline(LONGEST_HEADER))
    with opens(place, "rt", encoding="latin-1", newline="\r" if ending == "\r" else "\n") as read:
        yield cast(IO[str], read)


def lines_of(landed: LandedFile) -> Generator[str]:
    """The file's lines with their endings, a character per byte, so that they can be written back as they were.

    Raises DataRefused for a file that cannot be read to its end.
    """
    try:
        with opened(landed.place, landed.place.name.endswith(".gz")) as lines:
            yield from lines
    except (EOFError, gzip.BadGzipFile, zlib.error) as flaw:
        raise DataRefused(f"landing/{landed.path} cannot be read to its end ({flaw}): land the file anew.") from None


def first_line(landed: LandedFile) -> str:
    """The file's header as it stands; empty for an empty file."""
    with closing(lines_of(landed)) as lines:
        return next(lines, "")


def text_of(line: str) -> str:
    """A line or record of `lines_of` as Spark reads it: UTF-8, anything else U+FFFD."""
    return line.encode("latin-1").decode("utf-8", "replace")


def blanked(landed: LandedFile, width: int, is_removed: Callable[[int, str], bool]) -> Path | None:
    """A copy beside the file in which the records that `is_removed` says yes to are blank lines, to be renamed over it;
    later lines keep their numbers. `width` is the header's. None where nothing but the header would stay: such a file
    is none."""
    filled = 0
    with _copy_beside(landed) as (name, written):
        for number, text, lines in records.records_of(lines_of(landed), width):
            removed = number > 1 and is_removed(number, text)
            filled += bool(number > 1 and text.strip() and not removed)
            kept = (line[len(line.rstrip("\r\n")) :] for line in lines) if removed else lines
            written.write("".join(kept).encode("latin-1"))
    if filled:
        return name
    name.unlink()
    return None


@contextmanager
def _copy_beside(landed: LandedFile) -> Iterator[tuple[Path, IO[bytes]]]:
    handle, word = tempfile.mkstemp(prefix=TEMPORARY, dir=landed.place.parent)
    name = Path(word)
    try:
        with os.fdopen(handle, "wb") as plain:
            if landed.place.name.endswith(".gz"):
                # Without name and time equal content is equal bytes.
                with gzip.GzipFile(filename="", fileobj=plain, mode="wb", mtime=0) as packed:
                    yield name, cast(IO[bytes], packed)
            else:
                yield name, plain
            plain.flush()
            os.fsync(plain.fileno())
        name.chmod(landed.place.stat().st_mode & 0o777)
    except BaseException:
        name.unlink(missing_ok=True)
        raise


def sweep() -> None:
    """Take away copies that a killed run left beside their files."""
    for kind in (places.LOGS, places.USERS, places.REPLACED):
        for left in lake.local_path(places.landing(kind)).rglob(f"{TEMPORARY}*"):
            left.unlink()
