"""What is delivered: the contract's header, the same bytes for the same seed, rows that hang together."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
from pathlib import Path

import pandas as pd
import pytest

from musicbox_lib.contract.tables import table
from musicbox_lib.errors import Conflict, UsageError
from musicbox_lib.synthetic.generate import Generated, generate
from musicbox_lib.synthetic.landing_files import whole_file

FROM = dt.date(2026, 10, 31)


def make(folder: Path, *, users: int = 150, days: int = 4, seed: int = 11, workers: int = 1) -> Generated:
    return generate(
        users=users,
        tracks=200,
        days=days,
        seed=seed,
        from_date=FROM,
        lake=folder / "lake",
        truth=folder / "truth",
        workers=workers,
    )


def digests(made: Generated) -> dict[str, str]:
    files = sorted((made.lake / "landing").rglob("*"))
    return {
        str(file.relative_to(made.lake)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
        if file.is_file()
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    return make(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def log(made: Generated) -> pd.DataFrame:
    parts = [
        pd.read_csv(file).assign(dt=file.parent.name.removeprefix("dt="))
        for file in sorted((made.lake / "landing" / "session_logs").glob("dt=*/sessions.csv.gz"))
    ]
    return pd.concat(parts, ignore_index=True)


def test_a_file_per_day_under_the_contracts_header(made: Generated) -> None:
    files = sorted((made.lake / "landing" / "session_logs").rglob("*.gz"))
    assert [file.parent.name for file in files] == [f"dt={FROM + dt.timedelta(days=i)}" for i in range(4)]
    for file in files:
        with gzip.open(file, "rt") as lines:
            assert next(lines) == ",".join(table("landing.session_logs").column_names) + "\n"
    with gzip.open(made.lake / "landing" / "tracks" / "tracks.csv.gz", "rt") as lines:
        assert next(lines) == ",".join(table("landing.tracks").column_names) + "\n"
        assert sum(1 for _ in lines) == 200
    assert not list((made.lake / "landing").rglob("*.part"))


def test_counts_told_are_counts_written(made: Generated, log: pd.DataFrame) -> None:
    assert len(log) == made.plays
    assert log.session_id.nunique() == made.sessions
    assert log.user_id.nunique() == 150
    assert log.user_id.str.fullmatch(r"u_\d{6}").all()
    assert log.session_id.str.fullmatch(r"g_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").all()


def test_same_seed_same_bytes_another_seed_others(made: Generated, tmp_path: Path) -> None:
    assert digests(make(tmp_path / "again")) == digests(made)
    others = digests(make(tmp_path / "other", seed=12))
    assert others.keys() == digests(made).keys()
    assert not set(others.values()) & set(digests(made).values())


@pytest.mark.slow
def test_workers_do_not_change_a_byte(tmp_path: Path) -> None:
    alone = make(tmp_path / "alone", users=310, days=2)
    together = make(tmp_path / "together", users=310, days=2, workers=2)
    assert digests(alone) == digests(together)


def test_generating_again_replaces_a_broken_delivery(made: Generated, tmp_path: Path) -> None:
    first = make(tmp_path)
    (first.lake / "landing" / "session_logs" / f"dt={FROM}" / "sessions.csv.gz").write_bytes(b"half a file")
    assert digests(make(tmp_path)) == digests(made)


def test_two_worlds_do_not_share_a_lake(made: Generated, tmp_path: Path) -> None:
    before = digests(made)
    with pytest.raises(Conflict, match="holds other deliveries"):
        generate(
            users=150, tracks=200, days=4, seed=12, from_date=FROM, lake=made.lake, truth=tmp_path / "truth", workers=1
        )
    assert digests(made) == before
    assert not (tmp_path / "truth").exists()


def test_a_real_delivery_is_not_joined_by_a_generated_one(tmp_path: Path) -> None:
    delivered = tmp_path / "lake" / "landing" / "session_logs" / "dt=2018-07-15" / "log.csv"
    delivered.parent.mkdir(parents=True)
    delivered.write_text("a real log")
    with pytest.raises(Conflict, match="holds other deliveries"):
        make(tmp_path)
    assert delivered.read_text() == "a real log"


def test_a_folder_of_something_else_is_never_emptied(tmp_path: Path) -> None:
    kept = tmp_path / "truth" / "users" / "letters.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text("mine")
    with pytest.raises(UsageError, match="holds something else"):
        make(tmp_path)
    assert kept.read_text() == "mine"


def test_answers_do_not_contradict_each_other(log: pd.DataFrame) -> None:
    assert (log.skip_1 <= log.skip_2).all()
    assert (log.skip_2 <= log.skip_3).all()
    assert not (log.skip_3 & log.not_skipped).any()
    unlabelled = ~(log.skip_3 | log.not_skipped)
    assert 0 < unlabelled.mean() < 0.05
    assert log.propensity.between(0, 1, inclusive="neither").all()


def test_sessions_are_whole_and_dated_by_their_day(log: pd.DataFrame) -> None:
    by = log.groupby("session_id")
    assert (by.session_position.max() == by.session_length.first()).all()
    assert (by.size() == by.session_length.first()).all()
    assert (by.dt.nunique() == 1).all()
    # ISO days compare as words.
    assert (log.date <= log.dt).all()
    assert (log.date == log.dt).mean() > 0.97
    turned = by.hour_of_day.shift()[log.hour_of_day != by.hour_of_day.shift()]
    assert ((log.hour_of_day.loc[turned.index] - turned).dropna() % 24 <= 1).all()


def test_reasons_and_pauses_follow_the_play_before(log: pd.DataFrame) -> None:
    by = log.groupby("session_id")
    before = by.hist_user_behavior_reason_end.shift()
    started = log.hist_user_behavior_reason_start
    carried = before.isin(["trackdone", "fwdbtn", "backbtn", "remote"])
    assert (started[carried] == before[carried]).all()
    first = log.session_position == 1
    pauses = ["no_pause_before_play", "short_pause_before_play", "long_pause_before_play"]
    assert (log.loc[first, pauses] == 0).all(axis=None)
    assert (log.loc[~first, "no_pause_before_play"] + log.loc[~first, "long_pause_before_play"] == 1).all()
    assert (log.loc[first, "context_switch"] == 0).all()


def test_uniform_sessions_show_their_pool_with_one_in_fifty(log: pd.DataFrame) -> None:
    uniform = log.groupby("session_id").propensity.transform(lambda p: (p == 0.02).all())
    share = uniform[log.session_position == 1].mean()
    # 600 sessions: a deviation of .012.
    assert share == pytest.approx(0.10, abs=0.04)
    assert log[~uniform].groupby("session_id").propensity.nunique().min() > 1


@pytest.mark.parametrize(("name", "value"), [("users", 0), ("days", 0), ("tracks", -1)])
def test_impossible_sizes_are_refused(tmp_path: Path, name: str, value: int) -> None:
    sizes = {"users": 1, "tracks": 100, "days": 1, name: value}
    with pytest.raises(UsageError, match=f"--{name} is {value}"):
        generate(
            users=sizes["users"],
            tracks=sizes["tracks"],
            days=sizes["days"],
            seed=1,
            from_date=FROM,
            lake=tmp_path / "lake",
            truth=tmp_path / "truth",
        )
    assert not (tmp_path / "lake").exists()


def test_truth_inside_the_lake_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no job may see it"):
        generate(
            users=1,
            tracks=100,
            days=1,
            seed=1,
            from_date=FROM,
            lake=tmp_path / "lake",
            truth=tmp_path / "lake" / "truth",
        )


def test_a_broken_write_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="power cut"), whole_file(tmp_path / "day.csv.gz") as file:
        file.write(b"half")
        raise RuntimeError("power cut")
    assert list(tmp_path.iterdir()) == []
