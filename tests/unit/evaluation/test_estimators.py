"""IPS, SNIPS, DR against hand-computed values, and their intervals against a bandit whose truth is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from musicbox_lib.blocks.draws import keys_of
from musicbox_lib.evaluation.estimators import (
    DRAWS,
    Measure,
    Sums,
    clustered_wilson,
    difference,
    difference_from_log,
    estimate,
    poisson_counts,
    sums_of,
    weighable,
)
from musicbox_lib.evaluation.reward_model import USER_PRIOR_PLAYS, RewardModel

Floats = npt.NDArray[np.float64]


def users(n: int, plays_each: int = 1) -> npt.NDArray[np.uint64]:
    return np.repeat(keys_of([f"u{number}" for number in range(n)]), plays_each)


def repeated(values: list[float], times: int) -> Floats:
    return np.tile(np.array(values, dtype=np.float64), times)


def test_hand_computed_estimates() -> None:
    """Four plays, 100 times over: w = 2, 0, 1, 1; r = 1, 1, 0, 1.

    IPS = (2 + 0 + 0 + 1) / 4 = .75; SNIPS = 3 / 4 = .75 too (the weights sum to 4); with m = .5 and q = .4:
    DR = .5 + (2 x .6 + 0 + 1 x -.4 + 1 x .6) / 4 = .85; ESS = 400^2 / (600) = 266.7.
    """
    weights, skips = repeated([2, 0, 1, 1], 100), repeated([1, 1, 0, 1], 100)
    expected, at_played = np.full(400, 0.5), np.full(400, 0.4)
    [sums] = sums_of([(weights, expected, at_played)], skips, users(400), seed=1, draws=200)
    found = estimate(sums)
    assert (found.n, found.n_users, found.evidence) == (400, 400, "ok")
    assert found.ess == pytest.approx(400**2 / 600)
    values = {measure: interval.value for measure, interval in found.intervals.items()}
    assert values == pytest.approx({"dm": 0.5, "ips": 0.75, "snips": 0.75, "dr": 0.85, "dr_clipped": 0.85})
    assert found.intervals["dr"].lo < 0.85 < found.intervals["dr"].hi


def test_the_clipped_estimate_counts_no_play_for_more_than_ten() -> None:
    """A play of weight 16 and 15 of weight 0, 1,000 times over; r = 1, q = .5, m = .25. DR = .25 + 16 x .5 / 16 = .75;
    clipped at 10 it is .25 + 10 x .5 / 16 = .5625."""
    weights = repeated([16, *([0] * 15)], 1000)
    ones, model = np.ones(16_000), np.full(16_000, 0.25)
    [sums] = sums_of([(weights, model, 2 * model)], ones, users(16_000), seed=1, draws=50)
    found = estimate(sums).intervals
    assert (found["dr"].value, found["dr_clipped"].value) == pytest.approx((0.75, 0.5625))


def test_a_policy_that_plays_what_the_log_never_plays_gets_no_number() -> None:
    """Half of the policy lies where the log never goes: weights of what is left have mean one half. The same policy
    all of whose plays the log could make has mean 1."""
    generator = np.random.default_rng(2)
    skips = (generator.random(4000) < 0.5).astype(np.float64)
    played, model = np.where(generator.random(4000) < 0.5, 2.0, 0.0), np.full(4000, 0.5)
    whole, half = sums_of([(played, model, model), (played / 2, model, model)], skips, users(800, 5), seed=1, draws=200)
    assert (estimate(whole).evidence, estimate(half).evidence) == ("ok", "no_support")
    assert half.amount == "ok"
    assert not estimate(half).intervals
    assert difference(whole, half, "dr") is None
    assert difference_from_log(half, "snips") is None


def test_ips_and_snips_differ_where_the_weights_do_not_sum_to_n() -> None:
    weights, skips = repeated([3, 1], 200), repeated([1, 0], 200)
    [sums] = sums_of([(weights, skips, skips)], skips, users(400), seed=1, draws=100)
    found = estimate(sums)
    assert found.intervals["ips"].value == pytest.approx(1.5)
    assert found.intervals["snips"].value == pytest.approx(0.75)


def test_a_policy_equal_to_the_log_gives_the_logged_rate() -> None:
    generator = np.random.default_rng(5)
    skips = (generator.random(600) < 0.4).astype(np.float64)
    model = np.full(600, 0.7)
    [sums] = sums_of([(np.ones(600), model, model)], skips, users(120, 5), seed=1, draws=300)
    found = estimate(sums)
    assert found.intervals["snips"].value == pytest.approx(skips.mean())
    assert found.intervals["dr"].value == pytest.approx(skips.mean())
    gap = difference_from_log(sums, "snips")
    assert gap is not None and (gap.value, gap.lo, gap.hi) == pytest.approx((0, 0, 0), abs=1e-12)


@pytest.mark.parametrize(
    ("weights", "evidence"),
    [
        (np.ones(99), "low_ess"),  # fewer than 100 effective plays
        (np.ones(100), "ok"),
        (np.concatenate([np.ones(150), np.zeros(8_000)]), "low_ess"),  # 150 of 8,150 is below 2 %
        (np.zeros(500), "low_ess"),  # the policy would have played none of these tracks
        (np.zeros(0), "no_propensity"),
    ],
)
def test_no_number_without_evidence(weights: Floats, evidence: str) -> None:
    half = np.full(len(weights), 0.5)
    [sums] = sums_of([(weights, half, half)], np.ones(len(weights)), users(len(weights)), seed=1, draws=50)
    found = estimate(sums)
    assert found.evidence == evidence
    assert len(found.intervals) == (5 if evidence == "ok" else 0)
    assert (difference(sums, sums, "dr") is None) == (evidence != "ok")


def test_numbers_that_are_none_are_refused() -> None:
    ones = np.ones(3)
    with pytest.raises(ValueError, match="not negative"):
        sums_of([(-ones, ones, ones)], ones, users(3), seed=1, draws=5)
    with pytest.raises(ValueError, match="finite"):
        sums_of([(ones, ones * np.nan, ones)], ones, users(3), seed=1, draws=5)


def test_blocks_of_whole_users_add_up_to_the_whole() -> None:
    """The draws belong to users, not to places in a block, so any split by user gives the same sums."""
    generator = np.random.default_rng(7)
    weights, skips = generator.random(600), (generator.random(600) < 0.5).astype(np.float64)
    model, keys = generator.random(600), users(300, 2)
    [whole] = sums_of([(weights, model, model)], skips, keys, seed=3, draws=64)
    parts = [
        sums_of([(weights[rows], model[rows], model[rows])], skips[rows], keys[rows], seed=3, draws=64)[0]
        for rows in (slice(400, 600), slice(0, 400))
    ]
    added = parts[0] + parts[1]
    assert (added.users, added.plays) == (whole.users, whole.plays) == (300, 600)
    assert np.allclose(added.drawn, whole.drawn)
    assert added.ess == pytest.approx(whole.ess)


def test_draws_are_poisson_with_mean_and_variance_one_and_follow_the_seed() -> None:
    counts = poisson_counts(users(500), seed=9, draws=400)
    assert counts.mean() == pytest.approx(1, abs=0.01)
    assert counts.var() == pytest.approx(1, abs=0.02)
    assert np.array_equal(counts, poisson_counts(users(500), seed=9, draws=400))
    assert not np.array_equal(counts, poisson_counts(users(500), seed=10, draws=400))


def test_a_paired_difference_is_narrower_than_two_intervals_apart() -> None:
    """Two policies which differ little, judged on the same plays: what the users share cancels."""
    generator = np.random.default_rng(3)
    level = np.repeat(generator.random(200), 5)
    skips = (generator.random(1000) < level).astype(np.float64)
    ones, tilted = np.ones(1000), np.tile(np.array([1.0, 1.2]), 500)
    first, second = sums_of([(ones, level, level), (tilted, level, level)], skips, users(200, 5), seed=1, draws=DRAWS)
    gap = difference(first, second, "snips")
    alone = estimate(first).intervals["snips"]
    assert gap is not None
    assert gap.lo <= gap.value <= gap.hi
    assert gap.hi - gap.lo < 0.5 * (alone.hi - alone.lo)


def test_uniform_sessions_and_unknown_propensities_are_not_weighed() -> None:
    given = np.array([0.3, 1 / 50, 0.02, 0.0, np.nan, 0.0200001])
    assert weighable(given).tolist() == [True, False, False, False, False, True]


def test_weighing_uniform_sessions_would_be_wrong() -> None:
    """Pools of 2 out of 3 tracks, played evenly: 1/2 is the chance given the pool. Track 0 is in every pool, the
    others in half of them; a policy that plays evenly over all three has skip rate (0 + 1 + 1) / 3, yet weights
    (1/3) / (1/2) = 2/3 on the half of plays that are not track 0 give 1/3."""
    generator = np.random.default_rng(11)
    other = generator.integers(1, 3, 20_000)
    played = np.where(generator.random(20_000) < 0.5, 0, other)
    skips = (played > 0).astype(np.float64)
    [sums] = sums_of([(np.full(20_000, 2 / 3), skips, skips)], skips, users(20_000), seed=1, draws=2)
    assert sums.totals[3] / sums.totals[0] == pytest.approx(1 / 3, abs=0.01)
    # The weights tell: their mean is 1/3 where a policy that the log supports has 1.
    assert estimate(sums).evidence == "no_support"


def test_the_reward_model_adds_user_and_track_in_logits() -> None:
    """Overall .5: user with 10 plays, 10 skips has (10 + 5) / 20 = .75, odds 3; track of .8 has odds 4: odds 12."""
    model = RewardModel.of(np.array([0.8, np.nan]), overall=0.5)
    found = model.skip(np.array([10, 0]), np.array([10, 0]), np.array([[0, 1, -1], [0, 1, -1]], dtype=np.int32))
    assert USER_PRIOR_PLAYS == 10
    assert found == pytest.approx(np.array([[12 / 13, 0.75, 0.75], [0.8, 0.5, 0.5]]))


def test_a_clustered_share_is_wilsons_where_every_user_has_one_play() -> None:
    """100 users, 40 hits: n_eff = 99 (the sample variance), z = t_99 = 1.984; Wilson by hand gives .308 to .500."""
    found = clustered_wilson(100, 40, 100, 40, 40, 100)
    assert (found.value, found.lo, found.hi) == pytest.approx((0.4, 0.3080, 0.4996), abs=5e-4)


def test_plays_that_hang_together_widen_the_interval() -> None:
    """The same 400 plays, 160 hits, by 100 users of 4 plays who hit always or never: a quarter of the evidence."""
    apart = clustered_wilson(400, 160, 400, 160, 160, 400)
    together = clustered_wilson(400, 160, 100 * 16, 40 * 16, 40 * 16, 100)
    assert (together.hi - together.lo) == pytest.approx(2 * (apart.hi - apart.lo), rel=0.03)


def test_one_user_alone_proves_nothing() -> None:
    found = clustered_wilson(20, 5, 400, 100, 25, 1)
    assert (found.value, found.lo, found.hi) == (0.25, 0.0, 1.0)
    same = clustered_wilson(20, 0, 200, 0, 0, 2)
    assert same.value == same.lo == 0
    assert same.hi > 0.5


class Bandit:
    """Five kinds of user, twenty tracks; users also differ by a level of their own, so their plays hang together."""

    def __init__(self) -> None:
        generator = np.random.default_rng(20261105)
        taste = generator.normal(size=(5, 20))
        self.target = _softmax(1.2 * taste)
        self.logging = 0.8 * _softmax(0.6 * taste + 0.5 * generator.normal(size=20)) + 0.2 / 20
        self.logits = 0.3 - taste + 0.3 * generator.normal(size=(5, 20))
        self.levels = np.array([-0.8, 0.8])
        skip = 1 / (1 + np.exp(-(self.logits[:, None, :] + self.levels[None, :, None])))
        self.truth = float((self.target[:, None, :] * skip).sum(axis=2).mean())
        # A reward model that is wrong on purpose: no levels, and drawn half way to one half.
        self.model = 0.25 + 0.5 / (1 + np.exp(-self.logits))

    def log(self, seed: int, n_users: int = 150, plays: int = 8) -> Sums:
        generator = np.random.default_rng(seed)
        kind = np.repeat(generator.integers(0, 5, n_users), plays)
        level = np.repeat(self.levels[generator.integers(0, 2, n_users)], plays)
        reached = self.logging.cumsum(axis=1)[kind]
        played = (reached < generator.random(len(kind))[:, None]).sum(axis=1).clip(max=19)
        skips = (generator.random(len(kind)) < 1 / (1 + np.exp(-(self.logits[kind, played] + level)))).astype(float)
        weights = self.target[kind, played] / self.logging[kind, played]
        expected = (self.target * self.model).sum(axis=1)[kind]
        policy = (weights, expected, self.model[kind, played])
        keys = keys_of([f"{seed}-{user}" for user in range(n_users)])
        return sums_of([policy], skips, np.repeat(keys, plays), seed=seed, draws=500)[0]


def _softmax(scores: Floats) -> Floats:
    weights: Floats = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: Floats = weights / weights.sum(axis=-1, keepdims=True)
    return shares


def test_intervals_hold_the_truth_of_a_bandit_in_about_95_of_100_logs() -> None:
    """200 logs of 150 users x 8 plays. 95 % of 200 has a deviation of 1.5 %: .90 to .985 is +- 3 of them."""
    bandit = Bandit()
    found = [estimate(bandit.log(seed)) for seed in range(200)]
    assert all(one.evidence == "ok" for one in found)
    measures: tuple[Measure, ...] = ("dr", "snips")
    for measure in measures:
        intervals = [one.intervals[measure] for one in found]
        held = sum(interval.lo <= bandit.truth <= interval.hi for interval in intervals) / len(intervals)
        bias = float(np.mean([interval.value for interval in intervals])) - bandit.truth
        assert 0.90 <= held <= 0.985, f"{measure}: {held:.3f} of the intervals hold the truth"
        assert abs(bias) < 0.006, f"{measure}: bias {bias:.4f}"
    # The reward model alone is far off: nothing but the weights can have put the estimates right.
    assert abs(float(np.mean([one.intervals["dm"].value for one in found])) - bandit.truth) > 0.02
