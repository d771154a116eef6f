"""The worlds that come with the project: what each changes is in its log, and the truth follows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from musicbox_lib.errors import UsageError
from musicbox_lib.synthetic import worlds
from musicbox_lib.synthetic.calibration import SKIP_2, simulate
from musicbox_lib.synthetic.generate import generate
from musicbox_lib.synthetic.truth import Truth
from musicbox_lib.synthetic.truth_plays import play_blocks
from musicbox_lib.synthetic.world import load_world

FROM, DAYS = dt.date(2026, 10, 31), 6
LAST = FROM + dt.timedelta(days=DAYS - 1)


@dataclass(frozen=True)
class Made:
    truth: Truth
    log: pd.DataFrame
    sessions: pd.DataFrame
    tracks: dict[str, list[str]]
    """Track ids by landed file."""


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    made: dict[str, Made] = {}

    def of(name: str) -> Made:
        if name not in made:
            root = tmp_path_factory.mktemp(name)
            generate(
                users=200,
                tracks=400,
                days=DAYS,
                seed=7001,
                from_date=FROM,
                lake=root / "lake",
                truth=root / "truth",
                world=load_world(name),
                workers=1,
            )
            landing = root / "lake" / "landing"
            logs = [
                pd.read_csv(file).assign(dt=file.parent.name.removeprefix("dt="))
                for file in sorted((landing / "session_logs").rglob("*.gz"))
            ]
            made[name] = Made(
                Truth(root / "truth"),
                pd.concat(logs, ignore_index=True),
                pq.read_table(root / "truth" / "sessions").to_pandas().set_index("session_id"),
                {file.name: pd.read_csv(file).track_id.tolist() for file in (landing / "tracks").glob("*.gz")},
            )
        return made[name]

    return of


def users_of(made: Made) -> list[str]:
    return sorted(made.log.user_id.unique())


@pytest.mark.parametrize("name", worlds.names())
def test_every_world_loads_under_its_own_name_and_says_little(name: str) -> None:
    assert load_world(name).name == name
    lines = (worlds.FOLDER / f"{name}.yaml").read_text().splitlines()
    assert name == "default" or len(lines) < 15
    assert lines[0].startswith("# ")


def test_unknown_worlds_are_refused_with_the_list(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no world 'drfit': name one of cold_tracks, default, drift"):
        load_world("drfit")
    odd = tmp_path / "odd.yaml"
    odd.write_text("based_on: nowhere\n")
    with pytest.raises(UsageError, match="based_on is 'nowhere': it must be one of cold_tracks"):
        load_world(odd)
    odd.write_text("based_on: default\naffinity: 1\n")
    with pytest.raises(UsageError, match=r"'affinity' \(did you mean affinity_weight\?\) is unknown"):
        load_world(odd)
    odd.write_text("based_on: drift\nname: odd\n")
    assert load_world(odd).drift_share == load_world("drift").drift_share > 0


def test_cold_tracks_come_on_their_day(make: Callable[[str], Made]) -> None:
    made = make("cold_tracks")
    day = made.truth.cold_date
    assert day == FROM + dt.timedelta(days=4)
    first, later = made.tracks["tracks.csv.gz"], made.tracks[f"tracks.dt={day}.csv.gz"]
    assert len(later) == pytest.approx(80, abs=30)
    assert sorted(first + later) == sorted(made.truth.tracks.ids)
    cold = made.log[made.log.track_id_clean.isin(set(later))]
    assert len(cold) > 100
    assert cold.dt.min() == cold.date.min() == day.isoformat()
    ordinary = made.log[~made.log.session_id.map(made.sessions.uniform)]
    # Before its day the policy shares its chances among the others: E[1 / propensity] is their number.
    before = 1 / ordinary[ordinary.dt < day.isoformat()].propensity
    assert before.mean() == pytest.approx(len(first), abs=4 * before.std() / np.sqrt(len(before)))


def test_a_cold_track_is_no_candidate_before_its_day(make: Callable[[str], Made]) -> None:
    made = make("cold_tracks")
    truth, eve = made.truth, FROM + dt.timedelta(days=3)
    later = set(made.tracks[f"tracks.dt={truth.cold_date}.csv.gz"])
    users = sorted(made.log[made.log.dt <= eve.isoformat()].user_id.unique())
    ids = np.array(truth.tracks.ids)
    every = np.tile(ids, (len(users), 1))
    is_cold = np.isin(ids, sorted(later))
    for day, there in ((eve, ~is_cold), (LAST, np.ones(len(ids), bool))):
        chances, skips = truth.propensities(users, every, day), truth.skip_probability(users, every, day)
        assert chances.sum(axis=1) == pytest.approx(np.ones(len(users)))
        assert ((chances > 0) == there).all()
        assert truth.logging_value(users, day) == pytest.approx((chances * skips).sum(axis=1))
        heard = np.array([np.isin(ids, list(plays)) for plays in last_plays(made, users, day)])
        among = there & ~heard
        assert truth.random_value(users, day) == pytest.approx((skips * among).sum(axis=1) / among.sum(axis=1))
        best = np.sort(np.where(among, skips, np.inf), axis=1)[:, :3].mean(axis=1)
        assert truth.oracle_value(users, day) == pytest.approx(best)
        popular = truth.popularity_slate(users, day, dict.fromkeys(later, 1_000))
        assert (set(popular.ravel()) <= later) == (day == LAST)
    slates = [truth.oracle_slate(users, eve), truth.anti_oracle_slate(users, eve)]
    assert not any(set(slate.ravel()) & later for slate in slates)
    assert set(truth.oracle_slate(users, LAST).ravel()) & later


def last_plays(made: Made, users: list[str], day: dt.date) -> list[set[str]]:
    ids = np.array(made.truth.tracks.ids)
    known = made.sessions[made.sessions.dt <= np.datetime64(day)]
    last = known.sort_values(["user_id", "order"]).groupby("user_id").tail(1).set_index("user_id")
    return [set(ids[last.loc[user].tracks]) for user in users]


def test_unlogged_clusters_are_never_played_and_can_be_recommended(make: Callable[[str], Made]) -> None:
    made = make("unlogged_cluster")
    truth = made.truth
    hole = truth.tracks.cluster < 4
    ids = np.array(truth.tracks.ids)
    assert 20 < hole.sum() < 80
    assert not made.log.track_id_clean.isin(ids[hole].tolist()).any()
    assert made.log.track_id_clean.nunique() > 0.9 * (~hole).sum()
    users = users_of(made)
    chances = truth.propensities(users, np.tile(ids, (len(users), 1)), LAST)
    assert (chances[:, hole] == 0).all()
    assert (chances[:, ~hole] > 0).all()
    assert chances.sum(axis=1) == pytest.approx(np.ones(len(users)))
    assert set(truth.oracle_slate(users, LAST).ravel()) & set(ids[hole])


def test_tastes_drift_for_half_and_moods_follow(make: Callable[[str], Made]) -> None:
    made, ordinary = make("drift"), make("default")
    assert made.truth.drift_date == FROM + dt.timedelta(days=3)
    assert ordinary.truth.drift_date is None
    users = pq.read_table(made.truth.folder / "users").to_pandas().set_index("user_id")
    assert users.drifts.mean() == pytest.approx(0.5, abs=0.12)
    mood = np.stack(made.sessions.mood.to_list())
    owner = users.loc[made.sessions.user_id]
    first, later = np.stack(owner.taste.to_list()), np.stack(owner.later_taste.to_list())
    changed = (made.sessions.started >= np.datetime64(made.truth.drift_date)).to_numpy() & owner.drifts.to_numpy()
    own = np.where(changed[:, None], later, first)
    # A mood lies at cos = 1 / sqrt(1 + .35²) = .94 from its taste.
    assert (mood * own).sum(axis=1).mean() == pytest.approx(0.94, abs=0.01)
    assert (mood * first).sum(axis=1)[changed].mean() < 0.6
    # Nothing else differs from the world without drift.
    same = ~changed
    assert (mood[same] == np.stack(ordinary.sessions.loc[made.sessions.index].mood.to_list())[same]).all()
    assert (owner.taste.to_list()[0] == first[0]).all()


def test_in_the_null_world_every_track_is_alike(make: Callable[[str], Made]) -> None:
    made = make("null")
    users = users_of(made)
    chances = made.truth.skip_probability(users, np.tile(np.array(made.truth.tracks.ids), (len(users), 1)), LAST)
    assert np.ptp(chances, axis=1).max() == 0
    for block in play_blocks(made.truth, LAST):
        assert np.ptp(block.skip, axis=1).max() == 0
        assert np.ptp(block.propensity, axis=1).min() > 0


def test_where_plays_are_apart_from_mood_the_policy_looks_at_popularity_alone(make: Callable[[str], Made]) -> None:
    made = make("plays_apart_from_mood")
    users = users_of(made)
    ids = np.array(made.truth.tracks.ids)
    chances = made.truth.propensities(users, np.tile(ids, (len(users), 1)), LAST)
    # One row of chances per context, whoever listens.
    assert len(np.unique(chances.round(12), axis=0)) <= 6
    affinity = (made.truth.skip_probability(users, np.tile(ids, (len(users), 1)), LAST)).std(axis=1)
    assert affinity.min() > 0.01


@pytest.mark.parametrize("name", worlds.names())
def test_every_world_is_skipped_about_as_often_as_the_real_log(name: str) -> None:
    # 400 users: a deviation of .02; levels were fitted in the default world only, or by one number.
    plays = simulate(load_world(name), users=400, tracks=1000, seeds=[7001, 7002])
    assert (plays.grade >= 2).mean() == pytest.approx(SKIP_2, abs=0.05)
