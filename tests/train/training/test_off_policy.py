"""Off-policy values against sums by hand."""

from __future__ import annotations

import numpy as np
import pytest

from musicbox_lib.ddpg.config import Serving
from musicbox_lib.training.off_policy import (
    Logged,
    catalogue_chances,
    chances_by_temperature,
    choose_serving,
    logged_plays,
    self_normalised,
)


def logged(propensities: list[float], rewards: list[float], users: list[int]) -> Logged:
    n = len(rewards)
    return Logged(
        states=np.zeros((n, 3), np.float32),
        tracks=np.zeros(n, np.int64),
        rewards=np.array(rewards, np.float32),
        skips=1 - np.array(rewards, np.float32),
        propensities=np.array(propensities),
        users=np.array(users),
        estimated=0.0,
    )


def test_self_normalised_by_hand() -> None:
    plays = logged([0.5, 0.1, 0.2], [1, 0, 1], [0, 0, 1])
    value = self_normalised(np.array([0.5, 0.2, 0.2]), plays, plays.rewards)
    # weights 1, 2, 1: mean 2/4; by user 1*.5 - 2*.5 = -.5 and .5, so sqrt(.5)/4; ess 16/6.
    assert value.mean == pytest.approx(0.5)
    assert value.error == pytest.approx(np.sqrt(0.5) / 4)
    assert value.ess == pytest.approx(16 / 6)


def test_a_weight_is_bounded() -> None:
    plays = logged([0.5, 1e-6], [1, 0], [0, 1])
    # 1 and, instead of 100,000, 50.
    assert self_normalised(np.array([0.5, 0.1]), plays, plays.rewards).mean == pytest.approx(1 / 51)


def test_no_weight_gives_no_number() -> None:
    value = self_normalised(np.zeros(1), logged([0.5], [1], [0]), np.ones(1))
    assert value.ess == 0 and np.isnan(value.mean)


def test_chances_by_hand() -> None:
    scores = np.array([[0.0, 1.0], [0.0, 1.0]])
    chances = chances_by_temperature(scores, np.array([1, -1]), (1.0, 0.5))
    np.testing.assert_allclose(chances, [[1 / (1 + np.exp(-1)), 1 / (1 + np.exp(-2))], [0, 0]])
    queries, actions = np.array([[1.0, 0.0]], np.float32), np.array([[0.0, 1.0], [1.0, 1.0]], np.float32)
    np.testing.assert_allclose(
        catalogue_chances(queries, actions, np.array([1]), 1.0), [1 / (1 + np.exp(-1))], rtol=1e-6
    )


def test_which_plays_are_usable() -> None:
    rows = {
        "propensity": np.array([0.1, np.nan, 0.02, 0.3, 0.3]),
        "skip_grade": np.array([0, 3, 1, np.nan, 2]),
        "o_tm1": np.arange(10, dtype=np.float32).reshape(5, 2),
        "r_t": np.array([1, 0, 0.6, 0, 0.1], np.float32),
        "user_id": np.array(["b", "a", "a", "a", "b"], object),
    }
    kept = logged_plays(rows, np.array([0, 1, 1, 1, -1], np.int32), np.array([0.7, 0.3]))
    # Row 3 is of a uniform session (1/50 within a drawn pool), row 4 has no label, row 5 no known track.
    assert kept.tracks.tolist() == [0, 1]
    assert kept.propensities.tolist() == [0.1, 0.3]  # the second is the track's share of plays
    assert kept.estimated == 0.5
    assert kept.skips.tolist() == [0, 1]
    assert kept.users.tolist() == [1, 0]


def test_serving_is_chosen_by_the_lower_bound_and_only_with_evidence() -> None:
    n = 400
    draw = np.random.default_rng(0)
    columns = draw.integers(0, 2, n)
    plays = Logged(
        states=np.zeros((n, 1), np.float32),
        tracks=columns,
        rewards=(columns == 1).astype(np.float32),
        skips=(columns == 0).astype(np.float32),
        propensities=np.full(n, 0.5),
        users=np.arange(n),
        estimated=0.0,
    )
    right, wrong = np.tile([0.0, 0.2], (n, 1)), np.tile([0.2, 0.0], (n, 1))
    serving, value = choose_serving({0.0: (wrong, columns), 1.0: (right, columns)}, plays, Serving())
    assert serving == Serving(temperature=0.02, rerank=True, rerank_weight=1.0)
    assert value.mean == pytest.approx(1.0, abs=1e-3)
    few = choose_serving({0.0: (right[:20], columns[:20])}, logged([0.5] * 20, [1] * 20, list(range(20))), Serving())
    assert few[0] == Serving()
