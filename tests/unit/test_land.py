"""`musicbox land`: whole or not at all, under a name the night reads."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from deliveries import DAY, OFFICIAL, as_csv, plays

from musicbox_lib import cli
from musicbox_lib.errors import DataRefused
from musicbox_lib.landing.header import read_header
from musicbox_lib.landing.land import land
from musicbox_lib.landing.places import ALWAYS, day_of_path, day_of_tracks
from musicbox_lib.tables import table

LOG = as_csv(plays("s"))
TRACKS = table("landing.tracks").column_names


def test_the_command_says_where_the_file_stands(
    tmp_path: Path, lake_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "my log (1).csv"
    log.write_bytes(LOG)
    tracks = tmp_path / "tracks.csv.gz"
    tracks.write_bytes(gzip.compress(as_csv([",".join(["t"] + ["0.5"] * 29)], TRACKS[:30])))
    monkeypatch.setattr("sys.argv", ["musicbox", "land", "--log", str(log), "--dt", str(DAY), "--tracks", str(tracks)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    stands = lake_root / "landing"
    expected = [stands / f"session_logs/dt={DAY}/my_log__1_.csv", stands / f"tracks/tracks.dt={DAY}.csv.gz"]
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


@pytest.mark.parametrize("extra", [(), ("user_id",), ("propensity",), ("user_id", "propensity")])
def test_a_header_may_end_with_the_optional_columns(extra: tuple[str, ...]) -> None:
    line = "\ufeff" + ",".join([*OFFICIAL, *extra]) + "\r\n"
    assert read_header(line, "log.csv", table("landing.session_logs")) == (*OFFICIAL, *extra)


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (("propensity", "user_id"), "column 23 is 'user_id' but nothing may stand there"),
        (("user_id", "user_id"), "column 23 is 'user_id' but only propensity may stand there"),
        (("",), "column 22 is '' but only user_id, propensity may stand there"),
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
