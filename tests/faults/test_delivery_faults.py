"""Broken deliveries: one sentence that says what, where and what to do, an exit code, and nothing published."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deliveries import DAY, LOG, OFFICIAL, as_csv, deliver, plays, refused, rows_of, run, versions

from musicbox_lib.cli import app
from musicbox_lib.errors import DataRefused, UsageError
from musicbox_lib.landing.land import land

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

GOOD = as_csv([row for number in range(40) for row in plays(f"s{number}")])


def swapped() -> bytes:
    header = list(LOG)
    header[4], header[5] = header[5], header[4]
    return as_csv(plays("s"), header)


def by_semicolons() -> bytes:
    return GOOD.replace(b",", b";")


def renamed() -> bytes:
    return GOOD.replace(b"session_length,", b"length,", 1)


def unknown_after() -> bytes:
    return GOOD.replace(b",propensity\n", b",mood\n", 1)


def cut_gzip() -> bytes:
    packed = gzip.compress(GOOD, mtime=0)
    return packed[: len(packed) // 2]


def corrupt_gzip() -> bytes:
    packed = bytearray(gzip.compress(GOOD, mtime=0))
    middle = len(packed) // 2
    packed[middle : middle + 40] = bytes(40)
    return bytes(packed)


def a_tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        member = tarfile.TarInfo("log.csv")
        member.size = len(GOOD)
        archive.addfile(member, io.BytesIO(GOOD))
    return out.getvalue()


HEADER = (",".join(LOG) + "\n").encode()
# name, bytes, what the command line says, what the night says about the same file in landing.
BROKEN: list[tuple[str, Callable[[], bytes], str, str]] = [
    (
        "log.csv",
        swapped,
        "column 5 should be skip_1 but 'skip_2' stands there and skip_1 is column 6",
        "column 5 should",
    ),
    ("log.csv", renamed, "column 3 should be session_length but 'length' stands there", "column 3 should"),
    ("log.csv", unknown_after, "column 23 is 'mood' but only propensity may stand there", "column 23 is 'mood'"),
    ("log.csv", by_semicolons, "column 1 should be session_id but 'session_id;", "column 1 should be session_id"),
    (
        "log.csv",
        lambda: as_csv([], OFFICIAL[1:]),
        "'session_position' stands there and session_id is missing",
        "column 1",
    ),
    (
        "log.csv",
        lambda: as_csv([], [*LOG, "propensity"]),
        "column 24 is 'propensity' and so is column 23",
        "column 24 is",
    ),
    ("log.csv", lambda: as_csv([], OFFICIAL[:20]), "column 21 should be", "column 21 should be"),
    ("log.csv.gz", cut_gzip, "breaks off before its end", "cannot be read to its end"),
    ("log.csv.gz", corrupt_gzip, "corrupt gzip", "cannot be read to its end"),
    ("log.csv.gz", lambda: GOOD, "named as a gzip file but is none", "cannot be read to its end"),
    ("log.csv", lambda: b"", "is empty", "is empty"),
    ("log.csv.gz", lambda: gzip.compress(b"", mtime=0), "is empty once unpacked", "is empty"),
    ("log.csv", lambda: HEADER, "a header and no rows", "a header and no rows"),
    ("log.csv", lambda: HEADER + b"\n  \n", "a header and no rows", "a header and no rows"),
    ("log.csv", lambda: b"\xff\xfe" + GOOD.decode().encode("utf-16-le"), "column 1 should be session_id", "column 1"),
]


@pytest.mark.fault(
    "broken files", "musicbox land refuses them: cut, corrupt, no gzip, empty, header only, swapped, missing, extra"
)
@pytest.mark.parametrize(("name", "content", "says", "_"), BROKEN)
def test_a_broken_file_does_not_land(
    name: str, content: Callable[[], bytes], says: str, _: str, tmp_path: Path, lake_root: Path
) -> None:
    file = tmp_path / name
    file.write_bytes(content())
    with pytest.raises(DataRefused) as refusal:
        land(DAY, file, None)
    assert says in str(refusal.value)
    assert str(file) in str(refusal.value)
    assert [path for path in lake_root.rglob("*") if path.is_file()] == []


@pytest.mark.fault("broken files", "the same files in landing stop the night, nothing published")
@pytest.mark.parametrize(("name", "content", "_", "says"), BROKEN)
def test_a_broken_file_in_landing_stops_the_night(
    name: str,
    content: Callable[[], bytes],
    _: str,
    says: str,
    spark: SparkSession,
    lake_root: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    deliver(lake_root, GOOD, "a_good_one.csv")
    deliver(lake_root, b"", name).write_bytes(content())
    before = versions()
    code, sentence = refused("session_events", monkeypatch, caplog)
    assert code == 3
    assert says in sentence
    assert f"landing/session_logs/dt={DAY}/{name}" in sentence
    assert "\n" not in sentence
    assert versions() == before == dict.fromkeys(before, -1)


@pytest.mark.fault("broken files", "tar and zip archives")
def test_a_tar_and_a_zip_are_refused_a_gzip_named_tar_gz_is_not(tmp_path: Path, lake_root: Path) -> None:
    real = tmp_path / "log.tar.gz"
    real.write_bytes(a_tar())
    with pytest.raises(DataRefused, match=r"is a tar archive: unpack it"):
        land(DAY, real, None)
    zipped = tmp_path / "log.csv"
    zipped.write_bytes(b"PK\x03\x04rest")
    with pytest.raises(DataRefused, match=r"is a zip archive: unpack it"):
        land(DAY, zipped, None)
    odd = tmp_path / "odd.tar.gz"
    odd.write_bytes(gzip.compress(GOOD, mtime=0))
    [place] = land(DAY, odd, None)
    assert [path.name for path in place.parent.iterdir()] == [place.name]
    assert place.name.startswith("odd-"), "another file may be odd.csv.gz"


@pytest.mark.fault("broken files", "landed for no day or a future one, a file that is not there")
def test_the_day_of_a_landing(tmp_path: Path, lake_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "log.csv"
    file.write_bytes(GOOD)
    tomorrow = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
    with pytest.raises(UsageError, match="is in the future"):
        land(tomorrow, file, None)
    with pytest.raises(DataRefused, match="there is no file"):
        land(DAY, tmp_path / "absent.csv", None)
    with pytest.raises(UsageError, match="nothing to land"):
        land(DAY, None, None)
    monkeypatch.setattr("sys.argv", ["musicbox", "land", "--log", str(file), "--dt", "2026-13-01"])
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 2
    assert not lake_root.exists()


@pytest.mark.fault("broken files", "a good log with a bad track table")
def test_a_bad_track_table_keeps_the_log_out_as_well(tmp_path: Path, lake_root: Path) -> None:
    log, tracks = tmp_path / "log.csv", tmp_path / "tracks.csv"
    log.write_bytes(GOOD)
    tracks.write_bytes(b"track_id,length\nt,1\n")
    with pytest.raises(DataRefused, match="column 2 should be duration but 'length' stands there"):
        land(DAY, log, tracks)
    assert not lake_root.exists()


@pytest.mark.fault("broken files", "a run date without a delivery, or that is no day")
@pytest.mark.parametrize(
    ("day", "code", "says"),
    [
        (DAY, 3, f"there is no delivery for {DAY} under "),
        ("2026-11-31", 2, "'2026-11-31' is not a day"),
        ("yesterday", 2, "'yesterday' is not a day"),
        ("2999-01-01", 2, "2999-01-01 is in the future"),
    ],
)
def test_a_run_date_without_a_delivery(
    day: dt.date | str,
    code: int,
    says: str,
    spark: SparkSession,
    lake_root: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    deliver(lake_root, GOOD, day=dt.date(2026, 11, 6))
    found, sentence = refused("session_events", monkeypatch, caplog, day)
    assert (found, says in sentence) == (code, True), sentence
    assert set(versions().values()) == {-1}


@pytest.mark.fault("broken files", "names in landing that nobody can read")
@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("session_logs/dt=2026-11-5/log.csv", "'2026-11-5' is not a day"),
        (f"session_logs/dt={DAY}/log.tar.gz", "is not named *.csv or *.csv.gz"),
        (f"session_logs/dt={DAY}/log[1].csv", "is not named *.csv or *.csv.gz"),
        ("tracks/tracks.dt=soon.csv", "'soon' is not a day"),
    ],
)
def test_names_in_landing_that_nobody_can_read(
    path: str,
    says: str,
    spark: SparkSession,
    lake_root: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    deliver(lake_root, GOOD)
    place = lake_root / "landing" / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(GOOD)
    code, sentence = refused("session_events", monkeypatch, caplog)
    assert (code, says in sentence) == (3, True), sentence
    assert set(versions().values()) == {-1}


# What is odd about the bytes, how many of 400 rows are rejected at most, and the rule that must be among those broken.
ODD: list[tuple[str, Callable[[bytes], bytes], int, str]] = [
    ("a UTF-8 BOM", lambda good: b"\xef\xbb\xbf" + good, 0, ""),
    ("lines that end with CR LF", lambda good: good.replace(b"\n", b"\r\n"), 0, ""),
    ("lines that end with CR", lambda good: good.replace(b"\n", b"\r"), 0, ""),
    ("no end of line at the end", lambda good: good.rstrip(b"\n"), 0, ""),
    ("blank lines", lambda good: good.replace(b"\n", b"\n \t\n\n"), 0, ""),
    ("Latin-1 bytes", lambda good: good.replace(b",t_003,", b",caf\xe9,", 1), 1, "utf_8"),
    ("a row cut short at the end", lambda good: good[:-90], 1, "parsed"),
    ("a file that ends within a session", lambda good: good[: good[:-3].rindex(b"\n") + 1], 9, "session_complete"),
    ("a row with a value less", lambda good: good.replace(b",t_003,", b",", 1), 10, "parsed"),
    ("a row with a value more", lambda good: good.replace(b",t_003,", b",t_003,1,", 1), 10, "parsed"),
    ("a NUL byte", lambda good: good.replace(b",t_003,", b",t\x003,", 1), 1, "no_nul"),
    ("a quote that is not closed", lambda good: good.replace(b",t_003,", b',"t_003,', 1), 10, "closed_quotes"),
    ("a field of 3 MB", lambda good: good.replace(b",t_003,", b"," + b"t" * 3_000_000 + b",", 1), 1, "line_length"),
]


@pytest.mark.fault(
    "odd bytes", "BOM, CR LF, Latin-1, NUL, cut rows, values too few or many, 3 MB: accepted, or set aside"
)
def test_odd_bytes_are_accepted_or_set_aside(
    spark: SparkSession, lake_root: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    days = [DAY - dt.timedelta(days=len(ODD) - at) for at in range(len(ODD))]
    for day, (_, change, _, _) in zip(days, ODD, strict=True):
        rows = [row for number in range(40) for row in plays(f"s{number}-{day}", day=day)]
        file = tmp_path / "odd.csv"
        file.write_bytes(change(as_csv(rows)))
        land(day, file, None)
    run("session_events", days[-1])
    run("listening_events", days[-1])
    silver = Counter(row["dt"] for row in rows_of("silver.listening_events"))
    rejected = [(row["dt"], row["rules"]) for row in rows_of("silver.rejected_events")]
    right = []
    for day, (name, _, most, rule) in zip(days, ODD, strict=True):
        aside = [rules for at, rules in rejected if at == day]
        delivered = 399 if rule == "session_complete" else 400
        balanced = silver[day] + len(aside) == delivered
        if balanced and len(aside) <= most and any(rule in rules for rules in aside) == bool(rule):
            right.append(name)
    record_property("figure", f"{len(right)}/{len(ODD)}")
    assert right == [name for name, *_ in ODD]
