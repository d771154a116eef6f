"""`musicbox land`: whole or not at all, under a name the night reads."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deliveries import DAY, OFFICIAL, as_csv, deliver, play, plays, rows_of, run

from musicbox_lib.cli import app
from musicbox_lib.contract.tables import table
from musicbox_lib.errors import DataRefused
from musicbox_lib.landing import places
from musicbox_lib.landing.header import read_header
from musicbox_lib.landing.land import land
from musicbox_lib.landing.places import ALWAYS, day_of_path, day_of_tracks
from musicbox_lib.privacy import landed
from musicbox_lib.privacy.traces import Traces

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LOG = as_csv(plays("s"))
TRACKS = table("landing.tracks").column_names


def test_the_command_says_where_the_file_stands(
    tmp_path: Path, lake_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "my_log.1.csv"
    log.write_bytes(LOG)
    tracks = tmp_path / "tracks.csv.gz"
    tracks.write_bytes(gzip.compress(as_csv([",".join(["t", "1", "1999"] + ["1"] * 27)], TRACKS[:30])))
    monkeypatch.setattr("sys.argv", ["musicbox", "land", "--log", str(log), "--dt", str(DAY), "--tracks", str(tracks)])
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 0
    stands = lake_root / "landing"
    expected = [stands / f"session_logs/dt={DAY}/my_log.1.csv", stands / f"tracks/tracks.dt={DAY}.csv.gz"]
    assert capsys.readouterr().out.splitlines() == [str(path) for path in expected]
    assert [path for path in sorted(stands.rglob("*")) if path.is_file()] == expected
    assert expected[0].read_bytes() == LOG


def test_the_same_file_again_changes_nothing_another_one_replaces_it(tmp_path: Path, lake_root: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_bytes(LOG)
    (stands,) = land(DAY, file, None)
    before = stands.stat()
    assert land(DAY, file, None) == [stands]
    assert (stands.stat().st_mtime_ns, stands.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    file.write_bytes(as_csv(plays("other")))
    assert land(DAY, file, None) == [stands]
    assert stands.read_bytes() == file.read_bytes()
    packed = tmp_path / "log.csv.gz"
    packed.write_bytes(gzip.compress(LOG))
    land(DAY, packed, None)
    assert [path.name for path in stands.parent.iterdir()] == ["log.csv.gz"], "the same delivery, packed, read once"


def test_nothing_half_written_stays(tmp_path: Path, lake_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "log.csv"
    file.write_bytes(LOG)

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("musicbox_lib.landing.land.os.fsync", full)
    with pytest.raises(OSError, match="no space left"):
        land(DAY, file, None)
    assert [path for path in lake_root.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "extra", [(), ("user_id",), ("propensity",), ("user_id", "propensity"), ("propensity", "user_id")]
)
def test_a_header_may_end_with_the_optional_columns(extra: tuple[str, ...]) -> None:
    line = "\ufeff" + ",".join([*OFFICIAL, *extra]) + "\r\n"
    assert read_header(line, "log.csv", table("landing.session_logs")) == (*OFFICIAL, *extra)


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (("user_id", "user_id"), "column 23 is 'user_id' and so is column 22"),
        (("session_id",), "column 22 is 'session_id' and so is column 1"),
        (
            ("user id",),
            "column 22 is 'user id' but only user_id, propensity may stand there.* If it is user_id, name it",
        ),
        (("",), "column 22 is '' but only user_id, propensity may stand there, in any order. Otherwise keep this file"),
    ],
)
def test_no_other_column_may_follow(extra: tuple[str, ...], says: str) -> None:
    with pytest.raises(DataRefused, match=says):
        read_header(",".join([*OFFICIAL, *extra]), "log.csv", table("landing.session_logs"))


def test_a_track_table_carries_its_day_in_its_name() -> None:
    assert day_of_tracks(f"tracks.dt={DAY}.csv.gz") == DAY
    assert day_of_tracks("tracks.csv") == ALWAYS
    assert day_of_path(f"tracks/x.dt={DAY}.csv") == DAY
    assert day_of_path(f"session_logs/dt={DAY}/x.csv") == DAY


NAMES = (
    *("утро.csv", "вечер.csv", "log (1).csv", "log [1].csv", "log__1_.csv", "log.csv", "log.csv.txt", "log.tar.gz"),
    *("log.txt", "log.CSV", ".log.csv", "_log.csv", "log", "...csv", f"{'x' * 240}.csv", f"{'x' * 241}.csv"),
)


def test_two_names_never_take_each_others_place(tmp_path: Path, lake_root: Path) -> None:
    stands = {}
    for at, name in enumerate(NAMES):
        file = tmp_path / name
        content = as_csv(plays(f"s{at}"))
        file.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        [stands[name]] = land(DAY, file, None)
    assert len(set(stands.values())) == len(NAMES)
    assert all(places.DATA_FILE.fullmatch(path.name) for path in stands.values())
    assert stands["log.csv"].name == "log.csv"
    assert stands["log (1).csv"].name.startswith("log__1_-"), "what can be read of a name stays"
    again = {name: land(DAY, tmp_path / name, None)[0] for name in NAMES}
    assert again == stands, "the same name, the same place"


@pytest.mark.parametrize("letters", [200, 201, 237, 251])
def test_a_name_as_long_as_a_file_may_have_lands_and_can_be_replaced(
    letters: int, tmp_path: Path, lake_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, tracks = tmp_path / f"{'x' * letters}.csv", tmp_path / f"{'y' * letters}.csv"
    tracks.write_bytes(as_csv([",".join(["t"] + ["1"] * 29)], TRACKS[:30]))
    for content in (LOG, as_csv(plays("other"))):
        log.write_bytes(content)
        stands = land(DAY, log, tracks)
    assert [path.read_bytes() for path in stands] == [log.read_bytes(), tracks.read_bytes()]
    undo = capsys.readouterr().out.partition("To undo: ")[2].partition(". To have both")[0]
    subprocess.run(undo, shell=True, check=True)
    assert stands[0].read_bytes() == LOG


def test_track_tables_named_by_other_days_stand_beside_each_other(tmp_path: Path, lake_root: Path) -> None:
    stands = set()
    for name in ("tracks.csv", "tracks.dt=2026-11-01.csv", "tracks.dt=2026-11-02.csv", f"tracks.dt={DAY}.csv"):
        file = tmp_path / name
        file.write_bytes(as_csv([",".join(["t"] + ["1"] * 29)], TRACKS[:30]))
        stands.add(land(DAY, None, file)[0].name)
    assert len(stands) == 3, "tracks.csv is tracks.dt=DAY.csv once it has landed"
    assert {day_of_tracks(name) for name in stands} == {DAY}


def test_a_replaced_file_is_told_kept_and_can_be_put_back(
    tmp_path: Path, lake_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = tmp_path / "a" / "part-00000.csv", tmp_path / "b" / "part-00000.csv"
    one.write_bytes(LOG)
    other.write_bytes(as_csv(plays("other")))
    [stands] = land(DAY, one, None)
    assert capsys.readouterr().out == ""
    land(DAY, other, None)
    told = capsys.readouterr().out
    assert f"{stands} takes the place of an earlier delivery of that name, part-00000.csv ({len(LOG):,} bytes)" in told
    assert [place.name for place in stands.parent.iterdir()] == ["part-00000.csv"], "the night reads one of them"
    undo = told.partition("To undo: ")[2].partition(". To have both")[0]
    subprocess.run(undo, shell=True, check=True)
    assert stands.read_bytes() == LOG
    packed = tmp_path / "b" / "part-00000.csv.gz"
    packed.write_bytes(gzip.compress(other.read_bytes()))
    land(DAY, packed, None)
    undo = capsys.readouterr().out.partition("To undo: ")[2].partition(". To have both")[0]
    subprocess.run(undo, shell=True, check=True)
    assert [(place.name, place.read_bytes()) for place in stands.parent.iterdir()] == [("part-00000.csv", LOG)]


def test_forgetting_and_retention_reach_what_was_replaced(tmp_path: Path, lake_root: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_bytes(as_csv([*plays("gone"), *plays("stays")]))
    land(DAY, file, None)
    file.write_bytes(as_csv(plays("stays")))
    land(DAY, file, None)
    traces = Traces({"u-gone"})
    logs = landed.logs()
    landed.find_sessions(logs, traces)
    counts = {log.landed.path.partition("/")[0]: landed.count(log, traces) for log in logs}
    assert counts == {"session_logs": 0, ".replaced": 10}
    landed.copies_without(logs, traces).publish()
    left = [path.read_bytes() for path in lake_root.rglob("*.csv")]
    assert len(left) == 2
    assert not any(b"gone" in content for content in left)


BREAKING: list[tuple[str, str, str | None]] = [
    # as delivered: a column, a value, what land says is wrong with it
    ("hour_of_day", "24", "is not from 0 to 23"),
    ("hour_of_day", "-1", "is not from 0 to 23"),
    ("hour_of_day", "23.0", None),
    ("premium", "", "is missing"),
    ("track_id_clean", "", "is missing"),
    ("track_id_clean", "a b", "is not 1 to 64 letters, digits and _ . : -"),
    ("session_id", "s#1", "is not 1 to 64 letters, digits and _ . : -"),
    ("user_id", "Nan Goldin", "is not 1 to 128 characters without white space or control characters"),
    ("user_id", "sep\u2028", "is not 1 to 128 characters without white space or control characters"),
    ("user_id", "ü", None),
    ("user_id", "NULL", None),
    ("context_type", "podcast", "is none of user_collection, catalog"),
    ("context_switch", "2", "is neither 0 nor 1"),
    ("context_switch", "true", None),
    ("propensity", "0", "is not above 0 and at most 1"),
    ("propensity", "NaN", None),
    ("hist_user_behavior_n_seekfwd", "10001", "is not from 0 to 10000"),
    ("hist_user_behavior_reason_start", "unheard", None),
]


@pytest.mark.parametrize(("column", "value", "why"), BREAKING)
def test_land_says_which_value_breaks_a_rule_of_the_night(
    column: str, value: str, why: str | None, tmp_path: Path, lake_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [play("s", at) for at in range(1, 11)]
    rows[2] |= {column: value}
    file = tmp_path / "log.csv"
    file.write_bytes(as_csv(rows))
    land(DAY, file, None)
    said = capsys.readouterr().out
    if why is None:
        assert said == ""
    else:
        assert said.startswith(f"warning: 1 of 10 rows of {file} break a rule and would be set aside ({column} 1): ")
        assert f"line 4, {column} {value!r} {why}" in said
        assert "the night will stop" not in said


def test_land_and_the_night_agree_on_which_value_breaks_a_rule(spark: SparkSession, lake_root: Path) -> None:
    rows = []
    for at, (column, value, _) in enumerate(BREAKING):
        changed = plays(f"c{at}")
        changed[2] |= {column: value}
        rows += changed
    deliver(lake_root, as_csv(rows + [row for at in range(100) for row in plays(f"sound{at}")]))
    run("session_events")
    run("listening_events")
    # What one row does to its session's others is not that row's.
    of_sessions = {"session_complete", "one_user", "one_length"}
    rejected = {row["line"] for row in rows_of("silver.rejected_events") if set(row["rules"]) - of_sessions}
    # The header is line 1, the changed play the third of its session.
    assert rejected == {4 + 10 * at for at, (_, _, why) in enumerate(BREAKING) if why is not None}


def test_land_adds_up_what_cannot_be_read_and_what_breaks_a_rule(
    tmp_path: Path, lake_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [play("s", at) for at in range(1, 11)]
    rows[0] |= {"hour_of_day": "late"}
    rows[1] |= {"premium": ""}
    rows[2] |= {"premium": "", "hour_of_day": "99"}
    file = tmp_path / "log.csv"
    file.write_bytes(as_csv(rows))
    land(DAY, file, None)
    said = capsys.readouterr().out
    assert f"1 of 10 rows of {file} cannot be read and would be set aside (hour_of_day 1)" in said
    assert f"2 of 10 rows of {file} break a rule and would be set aside (premium 2, hour_of_day 1)" in said
    assert "That is more than the 20% that a night tolerates: the night will stop." in said
    broken = as_csv([row | {"premium": ""} for row in rows[1:]])
    file.write_bytes(broken)
    (stands,) = land(DAY, file, None)
    assert stands.read_bytes() == broken, "a rule may be mended: the file is taken in, and the night says why it stops"


def test_land_says_what_the_night_could_not_read(
    tmp_path: Path, lake_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [play("s", at) for at in range(1, 11)]
    rows[2] |= {"hour_of_day": "late"}
    rows[3] |= {"hour_of_day": "early"}
    rows[5] |= {"date": "2026-11-05 13:00:00"}
    rows[6] |= {"track_id_clean": '12" Mix'}
    file = tmp_path / "log.csv"
    file.write_bytes(as_csv([*rows[:9], "a,b"]))
    land(DAY, file, None)
    told = capsys.readouterr().out
    assert told.startswith(f"warning: 5 of 10 rows of {file} cannot be read and would be set aside (hour_of_day 2, ")
    assert "line 4, hour_of_day 'late' is no whole number" in told
    assert "line 7, date '2026-11-05 13:00:00' is no day as YYYY-MM-DD" in told
    assert "line 8, which opens a quote that it does not close" in told
    assert "more than the 20% that a night tolerates: the night will stop" in told
    file.write_bytes(as_csv([row | {"hour_of_day": "late"} for row in rows]))
    with pytest.raises(DataRefused, match=r"10 of 10 rows .*hour_of_day 'late'.* Not one row can be read"):
        land(DAY, file, None)
    assert b"late" in next(lake_root.rglob("log.csv")).read_bytes(), "what stood there stands"
