"""The truth: agrees with what was delivered, recomputed here row by row; the oracle is the best there is."""

from __future__ import annotations

import datetime as dt
import math
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from musicbox_lib.errors import DataRefused
from musicbox_lib.synthetic.generate import generate
from musicbox_lib.synthetic.truth import Truth

FROM, DAYS, LAST = dt.date(2026, 10, 31), 6, dt.date(2026, 11, 5)
EARLIER = dt.date(2026, 11, 2)


@dataclass(frozen=True)
class Made:
    folder: Path
    truth: Truth
    sessions: pd.DataFrame
    users: pd.DataFrame
    log: pd.DataFrame


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("world")
    folder = root / "truth"
    generate(users=200, tracks=300, days=DAYS, seed=31, from_date=FROM, lake=root / "lake", truth=folder, workers=1)
    files = sorted((root / "lake" / "landing" / "session_logs").rglob("*.gz"))
    log = pd.concat([pd.read_csv(f).assign(dt=f.parent.name.removeprefix("dt=")) for f in files], ignore_index=True)
    return Made(
        folder=folder,
        truth=Truth(folder),
        sessions=pq.read_table(folder / "sessions").to_pandas().set_index("session_id"),
        users=pq.read_table(folder / "users").to_pandas().set_index("user_id"),
        log=log,
    )


def replay(made: Made, plays: pd.DataFrame) -> dict[str, object]:
    """A session's state after those plays, one play at a time, in plain Python."""
    world, tracks = made.truth.world, made.truth.tracks
    streak, fatigue, heard = 0.0, [0.0] * world.clusters, set[int]()
    for row in plays.itertuples():
        position = tracks.ids.index(str(row.track_id_clean))
        streak = world.streak_decay * streak + (1 - world.streak_decay) * ((1 if row.skip_2 else 0) - 0.5)
        fatigue = [world.fatigue_decay * count for count in fatigue]
        fatigue[int(tracks.cluster[position])] += 1
        heard.add(position)
    return {"streak": streak, "fatigue": fatigue, "heard": heard}


def chance(made: Made, plays: pd.DataFrame, track: int, context: str, hour: int) -> float:
    """P(skip_2) of a track as the next play after those of one session, in plain Python."""
    world, tracks = made.truth.world, made.truth.tracks
    session = made.sessions.loc[plays.session_id.iloc[0]]
    user = made.users.loc[session.user_id]
    state = replay(made, plays)
    mood = np.asarray(session.mood, dtype=np.float32)
    surprise = [-math.log(p / tracks.popularity.max()) for p in tracks.popularity]
    novelty = (surprise[track] - float(np.mean(surprise))) / float(np.std(surprise))
    eta = (
        world.base_level
        + user.level
        + session.level
        + made.truth.context_level[world.contexts.index(context)]
        + world.hour_amplitude * math.cos(2 * math.pi * (hour - world.hour_peak) / 24)
        + (world.premium_effect if user.premium else 0.0)
        + world.position_effect[min(len(plays) + 1, 20) - 1]
        - world.affinity_weight * (float(mood @ tracks.place[track]) - world.affinity_centre)
        - tracks.quality[track]
        + world.streak_weight * float(str(state["streak"]))
        + world.fatigue_weight * state["fatigue"][int(tracks.cluster[track])]  # type: ignore[index]
        + world.repeat_weight * (track in state["heard"])  # type: ignore[operator]
        - user.novelty * novelty
    )
    return 1 / (1 + math.exp(-eta))


def last_session(made: Made, user: str, run_date: dt.date) -> pd.DataFrame:
    """The plays of the user's last session up to a day, ordered as the house orders sessions."""
    known = made.log[(made.log.user_id == user) & (made.log.dt <= run_date.isoformat())]
    opening = known[known.session_position == 1]
    opening = opening.sort_values(["dt", "date", "hour_of_day", "session_id"])
    last: str = opening.session_id.iloc[-1]
    return pd.DataFrame(known[known.session_id == last].sort_values("session_position"))


@pytest.mark.parametrize("run_date", [EARLIER, LAST])
def test_next_play_agrees_with_a_replay_of_the_delivered_rows(made: Made, run_date: dt.date) -> None:
    users = sorted(made.log[made.log.dt <= run_date.isoformat()].user_id.unique())[:25]
    ids = np.array(made.truth.tracks.ids)
    asked = np.array(
        [[ids[i % 300], last_session(made, user, run_date).track_id_clean.iloc[0]] for i, user in enumerate(users)]
    )
    found = made.truth.skip_probability(users, asked, run_date)
    for i, user in enumerate(users):
        plays = last_session(made, user, run_date)
        last = plays.iloc[-1]
        for j in range(2):
            expected = chance(made, plays, list(ids).index(asked[i, j]), last.context_type, int(last.hour_of_day))
            assert found[i, j] == pytest.approx(expected, rel=1e-5)


def test_the_chance_behind_each_answer_agrees_with_a_replay(made: Made) -> None:
    for session in list(made.sessions.index[:8]):
        plays = made.log[made.log.session_id == session].sort_values("session_position")
        for at in (1, 4, len(plays) - 1):
            row = plays.iloc[at]
            track = made.truth.tracks.ids.index(row.track_id_clean)
            expected = chance(made, plays.iloc[:at], track, row.context_type, int(row.hour_of_day))
            assert made.sessions.loc[session].skip_chances[at] == pytest.approx(expected, rel=1e-5)


def test_answers_come_as_often_as_the_truth_says(made: Made) -> None:
    plays = made.log.set_index("session_id")
    expected = np.concatenate([made.sessions.loc[s].skip_chances for s in plays.index.unique()])
    answered = plays.skip_2.to_numpy(dtype=float)
    bins = np.digitize(expected, np.quantile(expected, np.linspace(0.1, 0.9, 9)))
    for b in range(10):
        inside = bins == b
        # Answers are independent given their chances: four deviations.
        deviation = np.sqrt((expected[inside] * (1 - expected[inside])).sum()) / inside.sum()
        assert abs(answered[inside].mean() - expected[inside].mean()) < 4 * deviation
    assert np.corrcoef(expected, answered)[0, 1] > 0.4


def test_propensities_agree_with_the_policy_recomputed(made: Made) -> None:
    world, tracks = made.truth.world, made.truth.tracks
    checked = 0
    for session in made.sessions.index[:30]:
        if made.sessions.loc[session].uniform:
            continue
        mood = np.asarray(made.sessions.loc[session].mood)
        plays = made.log[made.log.session_id == session]
        for row in plays.iloc[[0, len(plays) // 2, len(plays) - 1]].itertuples():
            context = world.contexts.index(str(row.context_type))
            logits = [
                world.popularity_weight[context] * math.log(tracks.popularity[k])
                + world.mood_weight[context] * float(mood @ tracks.place[k])
                for k in range(tracks.size)
            ]
            weights = np.exp(np.array(logits))
            track = tracks.ids.index(str(row.track_id_clean))
            expected = 0.9 * weights[track] / weights.sum() + 0.1 / tracks.size
            assert row.propensity == pytest.approx(expected, rel=1e-5)
            checked += 1
    assert checked > 50


def test_plays_come_as_often_as_their_propensity_says(made: Made) -> None:
    # Under the policy, E[1 / propensity] over plays is the number of tracks.
    ordinary = made.log[~made.log.session_id.map(made.sessions.uniform)]
    weights = 1 / ordinary.propensity
    assert weights.mean() == pytest.approx(300, abs=4 * weights.std() / math.sqrt(len(weights)))


def test_the_oracle_beats_every_other_slate(made: Made) -> None:
    users = sorted(made.log.user_id.unique())
    truth = made.truth
    best = truth.slate_value(users, truth.oracle_slate(users, LAST), LAST)
    assert best == pytest.approx(truth.oracle_value(users, LAST))
    plays = {str(track): int(n) for track, n in made.log.track_id_clean.value_counts().items()}
    popular = truth.slate_value(users, truth.popularity_slate(users, LAST, plays), LAST)
    drawn = np.random.default_rng(1).choice(np.array(truth.tracks.ids), (len(users), 3))
    for other in (popular, truth.logging_value(users, LAST), truth.random_value(users, LAST)):
        assert (best <= other + 1e-12).all()
    heard_too = truth.slate_value(users, drawn, LAST)
    assert (best <= heard_too + 0.05).all()
    assert best.mean() < truth.logging_value(users, LAST).mean() - 0.1 < truth.random_value(users, LAST).mean()


def test_slates_hold_three_different_unheard_tracks(made: Made) -> None:
    users = sorted(made.log.user_id.unique())[:40]
    plays = {str(track): int(n) for track, n in made.log.track_id_clean.value_counts().items()}
    for slates in (made.truth.oracle_slate(users, LAST), made.truth.popularity_slate(users, LAST, plays)):
        for user, slate in zip(users, slates, strict=True):
            assert len(set(slate)) == 3
            assert not set(slate) & set(last_session(made, user, LAST).track_id_clean)


def test_nothing_delivered_after_the_run_date_is_used(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "truth"
    shutil.copytree(made.folder, folder)
    for part in (folder / "sessions").glob("*.parquet"):
        rows = pq.read_table(part)
        kept = [day <= EARLIER for day in rows["dt"].to_pylist()]
        pq.write_table(rows.filter(kept), part)
    users = sorted(made.log[made.log.dt <= EARLIER.isoformat()].user_id.unique())
    assert made.truth.logging_value(users, EARLIER) == pytest.approx(Truth(folder).logging_value(users, EARLIER))
    assert (made.truth.logging_value(users, EARLIER) != made.truth.logging_value(users, LAST)).any()


def test_users_in_any_order_get_their_own_numbers(made: Made) -> None:
    users = sorted(made.log.user_id.unique())[:20]
    forward = made.truth.logging_value(users, LAST)
    assert made.truth.logging_value(users[::-1], LAST)[::-1] == pytest.approx(forward)


def test_strangers_are_refused_by_name(made: Made, tmp_path: Path) -> None:
    user = made.log.user_id.iloc[0]
    with pytest.raises(DataRefused, match="u_999999 has no session up to"):
        made.truth.logging_value([user, "u_999999"], LAST)
    with pytest.raises(DataRefused, match="track t_nobody is not of the world"):
        made.truth.skip_probability([user], np.array([["t_nobody"]]), LAST)
    with pytest.raises(DataRefused, match="holds no truth"):
        Truth(tmp_path)
