"""Measures of skip prediction against hand-computed values, the answers that they ask for, and the baselines."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from answered_sessions import block_of, play_rows, real_log

from musicbox_lib.skip_prediction import decision
from musicbox_lib.skip_prediction.baselines import answers_of
from musicbox_lib.skip_prediction.decision import likeliest_answers
from musicbox_lib.skip_prediction.measures import (
    BINS,
    area_under_curve,
    average_accuracies,
    calibration_error,
    log_losses,
    mean_of,
)
from musicbox_lib.skip_prediction.tasks import SecondHalf


@pytest.mark.parametrize(
    ("right", "average"),
    [
        ([True], 1.0),
        ([False], 0.0),
        # A(1) = 1, A(3) = 2/3: (1 + 2/3) / 3.
        ([True, False, True], 5 / 9),
        # A(2) = 1/2, A(3) = 2/3: (1/2 + 2/3) / 4.
        ([False, True, True, False], 7 / 24),
        # The same number right, later: A(3) = 1/3, A(4) = 2/4.
        ([False, False, True, True], 5 / 24),
    ],
)
def test_average_accuracy_of_one_session_by_hand(right: list[bool], average: float) -> None:
    sessions, averages, firsts = average_accuracies(np.array(right), np.full(len(right), 4))
    assert sessions.tolist() == [4]
    assert averages.tolist() == pytest.approx([average])
    assert firsts.tolist() == [float(right[0])]


def test_sessions_of_several_lengths_do_not_mix() -> None:
    right = np.array([True, False, True, False, True, True])
    sessions, averages, firsts = average_accuracies(right, np.array([0, 0, 0, 2, 3, 3]))
    assert sessions.tolist() == [0, 2, 3]
    assert averages.tolist() == pytest.approx([5 / 9, 0.0, 1.0])
    assert firsts.tolist() == [1.0, 0.0, 1.0]


def test_the_middle_play_of_an_odd_session_is_the_second_halfs_first() -> None:
    """The challenge's own evaluation takes positions with 2 p > n."""
    rows = [
        *play_rows("s2", "ada", "ab", [False, True]),
        *play_rows("s3", "ada", "abc", [False, True, True]),
        *play_rows("s5", "ada", "abcde", [True, True, False, True, False]),
    ]
    block = block_of(rows, {"ada": 0})
    s, h, i = SecondHalf(block).judged_rows(np.ones(3, dtype=np.bool_))
    assert [(block.session_ids[a], int(b), int(c) + 1) for a, b, c in zip(s, h, i, strict=True)] == [
        ("s2", 1, 2),
        ("s3", 1, 2),
        ("s3", 1, 3),
        ("s5", 2, 3),
        ("s5", 2, 4),
        ("s5", 2, 5),
    ]
    repeated = answers_of("repeat_last", block, (s, h, i))
    assert repeated.tolist() == [False, False, False, True, True, True]
    _, averages, _ = average_accuracies(repeated == (block.skips[s, i] > 0), s)
    # s2 wrong; s3 wrong twice; s5 wrong, right with A = 1/2, wrong.
    assert averages.tolist() == pytest.approx([0.0, 0.0, 1 / 6])


def test_a_play_without_a_label_is_not_judged_and_not_repeated() -> None:
    rows = play_rows("s", "ada", "abcd", [True, None, None, True])
    block = block_of(rows, {"ada": 0})
    found = SecondHalf(block).judged_rows(np.ones(1, dtype=np.bool_))
    assert found[2].tolist() == [3]
    assert answers_of("repeat_last", block, found).tolist() == [True]


def test_log_loss_area_and_calibration_by_hand() -> None:
    chances = np.array([0.9, 0.8, 0.3, 0.3])
    skipped = np.array([True, False, True, False])
    users = np.arange(4)
    assert log_losses(chances, skipped).tolist() == pytest.approx(-np.log([0.9, 0.2, 0.3, 0.7]))
    # Of the four pairs .9 beats .8 and .3, .3 loses to .8 and ties with .3.
    assert area_under_curve(chances, skipped, users, seed=1).value == pytest.approx(2.5 / 4)
    # Bins of equal mass: .3 and .3 share one (gap |.6 - 1| = .4), .8 (gap .8) and .9 (gap .1) have their own.
    assert calibration_error(chances, skipped, users, seed=1).value == pytest.approx((0.4 + 0.8 + 0.1) / 4)


def test_the_area_is_the_librarys() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(7001)
    chances = np.round(rng.random(500), 2)
    skipped = rng.random(500) < chances
    found = area_under_curve(chances, skipped, np.arange(500) // 5, seed=1)
    assert found.value == pytest.approx(roc_auc_score(skipped, chances), abs=1e-12)
    assert found.lo < found.value < found.hi


def test_true_chances_are_calibrated_and_shifted_ones_are_not() -> None:
    rng = np.random.default_rng(7001)
    chances = rng.uniform(0.2, 0.7, 30_000)
    skipped = rng.random(30_000) < chances
    users = np.arange(30_000) // 10
    # A bin of 2,000 plays is off by .01 on its own.
    assert calibration_error(chances, skipped, users, seed=1).value < 0.015
    assert calibration_error(chances + 0.1, skipped, users, seed=1).value == pytest.approx(0.1, abs=0.01)
    assert BINS == 15


def test_an_interval_knows_that_a_users_plays_hang_together() -> None:
    rng = np.random.default_rng(7001)
    each = np.repeat(rng.random(50) < 0.5, 20).astype(np.float64)
    users = np.repeat(np.arange(50), 20)
    together, apart = mean_of(each, users, seed=1), mean_of(each, np.arange(1000), seed=1)
    assert together.value == apart.value
    # The design effect of 20 equal plays is 20: the interval is sqrt(20) = 4.5 times as wide.
    assert (together.hi - together.lo) / (apart.hi - apart.lo) == pytest.approx(4.5, rel=0.1)


def test_the_answers_are_the_best_of_all_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the expectation over all outcomes of independent plays."""
    monkeypatch.setattr(decision, "AGREEMENT", 0.0)
    rng = np.random.default_rng(7001)
    session = np.zeros(4, dtype=np.int64)
    outcomes = np.array(list(product([False, True], repeat=4)))
    for _ in range(20):
        chances = rng.uniform(0.3, 0.7, 4)
        weights = np.where(outcomes, chances, 1 - chances).prod(axis=1)
        gained = np.array([[average_accuracies(said == out, session)[1][0] for out in outcomes] for said in outcomes])
        best = outcomes[int(np.argmax(gained @ weights))]
        assert likeliest_answers(chances, session).tolist() == best.tolist()


def test_answers_that_hang_together_are_kept_together() -> None:
    """Beside sure skips a play of .49 is answered with skip: where it is one, the others are likelier right too."""
    chances = np.array([0.9, 0.49, 0.9, 0.9])
    assert likeliest_answers(chances, np.zeros(4, dtype=np.int64)).tolist() == [True] * 4
    assert likeliest_answers(np.array([0.9, 0.1]), np.array([1, 2])).tolist() == [True, False]


@pytest.mark.mssd
def test_the_real_log_gives_the_published_baselines() -> None:
    """Of the whole file of 5,956 sessions: repeat-last .532 and .738, all-skip .411 and .548, never-skip .367 and
    .452. These are its first 4,000."""
    block = real_log()
    rows = SecondHalf(block).judged_rows(np.ones(len(block), dtype=np.bool_))
    found = {}
    for name in ("repeat_last", "always_skip", "never_skip"):
        right = answers_of(name, block, rows) == (block.skips[rows[0], rows[2]] > 0)
        _, averages, firsts = average_accuracies(right, rows[0])
        found[name] = (averages.mean(), firsts.mean())
    assert found["repeat_last"] == pytest.approx((0.5286, 0.7363), abs=5e-5)
    assert found["always_skip"] == pytest.approx((0.4122, 0.5463), abs=5e-5)
    assert found["never_skip"] == pytest.approx((0.3655, 0.4538), abs=5e-5)
