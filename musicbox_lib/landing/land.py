"""`musicbox land`: put a delivered file into landing, whole or not at all, and only if the night can read it."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import os
import re
import shlex
import shutil
import tempfile
import unicodedata
import zlib
from collections.abc import Callable
from pathlib import Path

from musicbox_lib import lake
from musicbox_lib.contract.tables import Table, table
from musicbox_lib.errors import DataRefused, UsageError
from musicbox_lib.landing import local_files, places
from musicbox_lib.landing.header import read_header
from musicbox_lib.landing.preview import preview

GZIP = b"\x1f\x8b"
CHUNK = 1 << 20
# A header of the 34 track columns has 420 characters: one of a megabyte is no header.
LONGEST_HEADER = 1 << 20
# A file's name has at most 255 bytes; the day, the mark of a replaced file and .csv.gz need 39 of them.
LONGEST_STEM = 200


def land(day: dt.date, log: Path | None, tracks: Path | None, say: Callable[[str], None] = print) -> list[Path]:
    """Land a session log, a track table, or both as delivered on `day`; returns where they stand.

    Both are read to their end before either is put down. The same file again changes nothing, another file of that
    name replaces it (a delivery corrected), other names stand beside it. `say` is given a sentence for each file that
    is replaced, with where it is kept and how to undo it, and for values that the night could not read.

    Raises DataRefused for a file that no night can read, UsageError for a day in the future or a lake elsewhere.
    """
    today = dt.datetime.now(dt.UTC).date()
    if day > today:
        raise UsageError(f"{day} is in the future (today is {today} UTC): land the file under its own day.")
    targets = []
    if log is not None:
        folder = f"{places.landing(places.LOGS)}/dt={day}"
        targets.append((log, _target(log, table("landing.session_logs"), folder, _stored_stem(log.name), say)))
    if tracks is not None:
        stem = _stored_stem(tracks.name, f".dt={day}")
        folder = places.landing(places.TRACKS)
        targets.append((tracks, _target(tracks, table("landing.tracks"), folder, f"{stem}.dt={day}", say)))
    if not targets:
        raise UsageError("nothing to land: give --log FILE, --tracks FILE or both.")
    for file, target in targets:
        _put(file, target, say)
    return [target for _, target in targets]


def _stored_stem(name: str, day: str = "") -> str:
    """The name without its endings, in characters that no path or pattern gives a meaning to. A name that cannot stand
    as it is gets a hash of itself, so that two of them never come out alike. NAME.csv and NAME.csv.gz are one delivery,
    plain and packed; `day` is an ending that the file will get anyway."""
    # One form of letters with accents: macOS takes them apart.
    given = unicodedata.normalize("NFC", name).removesuffix(".gz")
    stem = re.sub(r"(\.csv|\.tar|\.tgz|\.gz|\.txt)+$", "", given, flags=re.IGNORECASE)
    if day:
        stem = re.sub(r"\.dt=[^.]*$", "", stem)
    cleaned = re.sub(r"[^A-Za-z0-9._=-]", "_", stem).lstrip("._")
    if cleaned and len(cleaned) <= LONGEST_STEM and given in {f"{cleaned}.csv", f"{cleaned}{day}.csv"}:
        return cleaned
    mark = hashlib.sha256(given.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{cleaned[: LONGEST_STEM - len(mark) - 1] or 'delivery'}-{mark}"


def _target(file: Path, found: Table, folder: str, stem: str, say: Callable[[str], None]) -> Path:
    """Where a file will stand, once it has been read to its end and found good."""
    if not lake.is_local(folder):
        raise UsageError(f"{folder} is not on this machine: land the file in a local lake, then copy it there.")
    if not file.is_file():
        raise DataRefused(f"there is no file {file}: give the path of a CSV, plain or gzip.")
    packed = _is_gzip(file)
    header = _check(file, packed, found)
    _say_what_does_not_fit(file, packed, header, found, say)
    return lake.local_path(folder) / f"{stem}.csv{'.gz' if packed else ''}"


def _say_what_does_not_fit(
    file: Path, packed: bool, header: tuple[str, ...], found: Table, say: Callable[[str], None]
) -> None:
    with local_files.opened(file, packed) as lines:
        seen = preview(lines, header, found)
    sentence = seen.sentence(str(file), found)
    if sentence is None:
        return
    if seen.is_hopeless:
        raise DataRefused(f"{sentence.removeprefix('warning: ')} Not one row can be read: deliver the file anew.")
    say(sentence)


def _put(file: Path, target: Path, say: Callable[[str], None]) -> None:
    plain = target.name.removesuffix(".gz")
    twin = target.with_name(plain if plain != target.name else f"{plain}.gz")
    if target.exists() and _same(file, target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".landing-", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as written, file.open("rb") as delivered:
            shutil.copyfileobj(delivered, written, CHUNK)
            written.flush()
            os.fsync(written.fileno())
        # mkstemp makes it readable by its owner alone; the night may run as somebody else.
        Path(name).chmod(0o644)
        # Kept before it is replaced: a run that is killed in between has lost nothing.
        replaced = [_kept(old) for old in (target, twin) if old.exists()]
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    # The same delivery, packed the other way, would be read a second time.
    twin.unlink(missing_ok=True)
    for old, kept in replaced:
        undo = f"mv {shlex.quote(str(kept))} {shlex.quote(str(old))}"
        if old != target:
            undo = f"rm {shlex.quote(str(target))} && {undo}"
        say(
            f"replaced: {target} takes the place of an earlier delivery of that name, {old.name} "
            f"({kept.stat().st_size:,} bytes), which is kept as {kept}. To undo: {undo}. To have both: undo, then land "
            "the new file under another name."
        )


def _kept(old: Path) -> tuple[Path, Path]:
    """A file that is about to be replaced, and its copy where no night reads it, named by its content."""
    with old.open("rb") as content:
        mark = hashlib.file_digest(content, "sha256").hexdigest()[:8]
    ending = ".csv.gz" if old.name.endswith(".gz") else ".csv"
    landing = old.parents[1] if old.parent.name.startswith("dt=") else old.parent
    folder = landing.parent / places.REPLACED / old.relative_to(landing.parent).parent
    kept = folder / f"{old.name.removesuffix(ending)}.replaced-{mark}{ending}"
    folder.mkdir(parents=True, exist_ok=True)
    kept.unlink(missing_ok=True)
    try:
        # A second name of the same bytes; the rename that follows takes the first one away.
        kept.hardlink_to(old)
    except OSError:
        shutil.copy2(old, kept)
    return old, kept


def _is_gzip(file: Path) -> bool:
    with file.open("rb") as opened:
        magic = opened.read(4)
    if not magic:
        raise DataRefused(f"{file} is empty: deliver it anew.")
    if magic == b"PK\x03\x04":
        raise DataRefused(f"{file} is a zip archive: unpack it and land the CSV inside.")
    packed = magic[:2] == GZIP
    if not packed and re.search(r"\.t?gz$", file.name, re.IGNORECASE):
        raise DataRefused(f"{file} is named as a gzip file but is none: deliver it anew or take .gz off its name.")
    return packed


def _check(file: Path, packed: bool, found: Table) -> tuple[str, ...]:
    """Read the file once to its end and return its header: a gzip that breaks off, a tar inside, a wrong header, no
    rows are refused."""
    try:
        with gzip.open(file) if packed else file.open("rb") as stream:
            head = stream.peek(512)[:512]
            if head[257:262] == b"ustar":
                raise DataRefused(f"{file} is a tar archive: unpack it and land the CSV inside.")
            first = stream.readline(LONGEST_HEADER)
            if not first:
                raise DataRefused(f"{file} is empty once unpacked: deliver it anew.")
            # A file of lone carriage returns comes as one line here; Spark would split it.
            header = read_header(first.split(b"\r")[0].decode("utf-8", "replace"), str(file), found)
            has_row = b"\r" in first.rstrip(b"\r\n")
            while chunk := stream.read(CHUNK):
                has_row = has_row or bool(chunk.strip())
            if not has_row:
                raise DataRefused(f"{file} has a header and no rows: deliver it anew.")
            return header
    except EOFError:
        raise DataRefused(f"{file} is a gzip file that breaks off before its end: deliver it anew.") from None
    except (gzip.BadGzipFile, zlib.error) as flaw:
        raise DataRefused(f"{file} is a corrupt gzip file ({flaw}): deliver it anew.") from None


def _same(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as left, other.open("rb") as right:
        while chunk := left.read(CHUNK):
            if chunk != right.read(CHUNK):
                return False
    return True
