"""The intervals: right on a known case, clusters respected, blocks and seeds exact."""

import numpy as np
import pytest

from musicbox_lib.evaluation import bootstrap
from musicbox_lib.evaluation.bootstrap import clustered_mean, paired_bootstrap


def test_difference_and_width_agree_with_the_normal_formula() -> None:
    generator = np.random.default_rng(1)
    a = generator.normal(0.5, 1.0, 4000)
    b = generator.normal(0.3, 1.0, 4000)
    difference, lo, hi = paired_bootstrap(a, b, None, seed=7)
    half = 1.96 * np.std(a - b) / np.sqrt(4000)
    assert difference == pytest.approx(np.mean(a - b))
    assert (hi - lo) / 2 == pytest.approx(half, rel=0.08)
    assert lo < difference < hi


def test_plays_of_one_user_are_not_independent() -> None:
    # 100 users with ten equal plays each carry what 100 plays carry, not 1,000.
    generator = np.random.default_rng(2)
    per_user = generator.normal(0.0, 1.0, 100)
    values, users = np.repeat(per_user, 10), np.repeat(np.arange(100), 10)
    _, lo, hi = clustered_mean(values, np.ones(1000), users, seed=3)
    _, lo_alone, hi_alone = clustered_mean(per_user, np.ones(100), None, seed=3)
    assert (lo, hi) == pytest.approx((lo_alone, hi_alone))


def test_weights_make_a_ratio_of_sums() -> None:
    mean, lo, hi = clustered_mean([1.0, 0.0, 0.0], [3.0, 1.0, 0.0], ["a", "b", "c"], seed=1)
    assert mean == pytest.approx(0.75)
    assert (lo, hi) == (0.0, 1.0)


def test_same_seed_same_interval_whatever_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(4).normal(size=50)
    whole = clustered_mean(values, np.ones(50), None, seed=5, draws=500)
    monkeypatch.setattr(bootstrap, "_BLOCK_CELLS", 50 * 7)
    assert clustered_mean(values, np.ones(50), None, seed=5, draws=500) == whole
    assert clustered_mean(values, np.ones(50), None, seed=6, draws=500) != whole


def test_interval_covers_the_truth_about_95_times_in_100() -> None:
    generator = np.random.default_rng(8)
    covered = 0
    for trial in range(200):
        users = np.repeat(np.arange(80), 5)
        values = generator.normal(size=80)[users] + generator.normal(size=400)
        _, lo, hi = clustered_mean(values, np.ones(400), users, seed=trial, draws=400)
        covered += lo <= 0 <= hi
    # 200 trials at .95 have a deviation of .015.
    assert 0.90 <= covered / 200 <= 0.99


@pytest.mark.parametrize(
    ("values", "weights"), [([], []), ([1.0], [1.0, 2.0]), ([np.nan], [1.0]), ([1.0], [0.0]), ([1.0, 2.0], [-1.0, 2.0])]
)
def test_unusable_numbers_are_refused(values: list[float], weights: list[float]) -> None:
    with pytest.raises(ValueError, match="values"):
        clustered_mean(values, weights, None, seed=1)
