"""Values that the truth gives a policy, and its answers for the plays of the log, against brute force."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq
import pytest

from musicbox_lib.errors import DataRefused
from musicbox_lib.synthetic.generate import generate
from musicbox_lib.synthetic.truth import Truth
from musicbox_lib.synthetic.truth_plays import play_blocks
from musicbox_lib.synthetic.world import load_world

FROM, LAST = dt.date(2026, 10, 31), dt.date(2026, 11, 3)


@dataclass(frozen=True)
class Made:
    truth: Truth
    sessions: pd.DataFrame
    propensity: dict[tuple[str, int], float]
    """As delivered, by (session_id, session_position)."""
    users: list[str]
    unheard: npt.NDArray[np.bool_]
    """(users, K)"""
    skips: npt.NDArray[np.float64]
    """(users, K)"""


@pytest.fixture(scope="module", params=["default", "cold_tracks"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("world")
    generate(
        users=120,
        tracks=150,
        days=4,
        seed=7003,
        from_date=FROM,
        lake=root / "lake",
        truth=root / "truth",
        world=load_world(request.param),
        workers=1,
    )
    truth = Truth(root / "truth")
    sessions = pq.read_table(root / "truth" / "sessions").to_pandas()
    log = pd.concat([pd.read_csv(file) for file in (root / "lake" / "landing" / "session_logs").rglob("*.gz")])
    last = sessions.sort_values(["user_id", "order"]).groupby("user_id").tail(1)
    unheard = np.ones((len(last), 150), bool)
    for row, heard in enumerate(last.tracks):
        unheard[row, heard] = False
    users = last.user_id.tolist()
    keys = zip(log.session_id, log.session_position, strict=True)
    return Made(
        truth=truth,
        sessions=sessions.set_index("session_id"),
        propensity=dict(zip(keys, log.propensity, strict=True)),
        users=users,
        unheard=unheard,
        skips=truth.skip_probability(users, np.tile(np.array(truth.tracks.ids), (len(users), 1)), LAST),
    )


def place(made: Made, slates: npt.NDArray[np.str_]) -> npt.NDArray[np.int64]:
    return np.array([[made.truth.tracks.ids.index(track) for track in slate] for slate in slates])


def test_oracle_and_anti_oracle_are_the_ends_of_all_slates(made: Made) -> None:
    slates = {1: made.truth.oracle_slate(made.users, LAST), -1: made.truth.anti_oracle_slate(made.users, LAST)}
    for sign, slate in slates.items():
        ranked = np.sort(np.where(made.unheard, sign * made.skips, np.inf), axis=1)[:, :3]
        assert made.truth.slate_value(made.users, slate, LAST) == pytest.approx(sign * ranked.mean(axis=1), abs=1e-14)
        assert np.take_along_axis(made.unheard, place(made, slate), axis=1).all()
        assert all(len(set(three)) == 3 for three in slate)


def test_a_random_slate_has_the_value_of_its_tracks(made: Made) -> None:
    random = np.random.default_rng(5)
    drawn = np.array([random.choice(np.flatnonzero(row), 3, replace=False) for row in made.unheard])
    slates = np.array(made.truth.tracks.ids)[drawn]
    found = made.truth.slate_value(made.users, slates, LAST)
    assert found == pytest.approx([made.skips[i, drawn[i]].mean() for i in range(len(drawn))], abs=1e-14)
    every = [made.skips[i, made.unheard[i]].mean() for i in range(len(drawn))]
    assert made.truth.random_value(made.users, LAST) == pytest.approx(every, abs=1e-14)


def test_a_policys_value_is_the_mean_over_its_chances(made: Made) -> None:
    random = np.random.default_rng(6)
    n = len(made.users)
    at = random.integers(0, 150, (n, 4))
    chances = random.dirichlet(np.ones(4), n)
    asked = np.array(made.truth.tracks.ids, dtype=object)[at]
    asked[0, 2:], chances[0] = "", (0.25, 0.75, 0, 0)
    found = made.truth.policy_value(made.users, LAST, asked, chances)
    by_hand = [sum(chances[i, j] * made.skips[i, at[i, j]] for j in range(4)) for i in range(n)]
    assert found == pytest.approx(by_hand, abs=1e-14)
    every = np.tile(np.array(made.truth.tracks.ids), (n, 1))
    logging = made.truth.policy_value(made.users, LAST, every, made.truth.propensities(made.users, every, LAST))
    assert logging == pytest.approx(made.truth.logging_value(made.users, LAST), abs=1e-12)


@pytest.mark.parametrize("chances", [[0.5, 0.4, 0.0], [0.5, 0.4, 0.1], [1.2, -0.2, 0.0]])
def test_chances_that_are_none_are_refused(made: Made, chances: list[float]) -> None:
    asked = np.array([[*made.truth.tracks.ids[:2], ""]])
    with pytest.raises(DataRefused, match="the chances of row 0 are none over its tracks"):
        made.truth.policy_value(made.users[:1], LAST, asked, np.array([chances]))


def test_every_play_of_the_log_has_the_chances_that_it_was_drawn_from(made: Made) -> None:
    plays, uniform = 0, 0
    for block in play_blocks(made.truth):
        rows = np.arange(len(block.track))
        told = made.sessions.loc[block.session_id]
        stored = [chances[at - 1] for chances, at in zip(told.skip_chances, block.position, strict=True)]
        # The generator computes one affinity per play, the truth those of all tracks, in float32.
        assert block.skip[rows, block.track] == pytest.approx(stored, abs=1e-6)
        assert block.propensity.sum(axis=1) == pytest.approx(np.ones(len(rows)))
        keys = zip(block.session_id.tolist(), block.position.tolist(), strict=True)
        delivered = np.array([made.propensity[key] for key in keys])
        ordinary = ~block.uniform
        policy = block.propensity[rows, block.track]
        assert policy[ordinary] == pytest.approx(delivered[ordinary], rel=1e-5)
        assert (delivered[block.uniform] == 0.02).all()
        assert block.user_id.tolist() == told.user_id.tolist()
        answers = [grades[at - 1] for grades, at in zip(told.grades, block.position, strict=True)]
        assert block.grade.tolist() == answers
        plays, uniform = plays + len(rows), uniform + int(block.uniform.sum())
    assert plays == len(made.propensity)
    assert 0 < uniform < 0.3 * plays


def test_days_bound_the_plays(made: Made) -> None:
    days = [block.dt for block in play_blocks(made.truth, FROM, FROM)]
    first = made.sessions[made.sessions.dt == np.datetime64(FROM)]
    assert sum(len(day) for day in days) == first.length.sum()
    assert set(np.concatenate(days)) == {np.datetime64(FROM)}
    assert list(play_blocks(made.truth, dt.date(2027, 1, 1))) == []
