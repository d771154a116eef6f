"""The generated log against the real log's marginals, on seeds that the calibration did not use."""

from __future__ import annotations

import numpy as np
import pytest

from musicbox_lib.synthetic import calibration as real
from musicbox_lib.synthetic.calibration import Plays, simulate
from musicbox_lib.synthetic.world import World, load_world

PREMIUM_SHARE, SHUFFLE, SWITCH, AGREES = 0.803, 0.309, 0.041, 0.74
# Real skip_2 beyond position 10.
LATER = (0.508, 0.546)


def graded(plays: Plays) -> dict[str, float]:
    return {
        "skip_1": (plays.grade == 3).mean(),
        "skip_2": (plays.grade >= 2).mean(),
        "skip_3": (plays.grade >= 1).mean(),
        "not_skipped": (plays.grade == 0).mean(),
    }


REAL_GRADED = {"skip_1": real.SKIP_1, "skip_2": real.SKIP_2, "skip_3": real.SKIP_3, "not_skipped": real.NOT_SKIPPED}


def agreement(plays: Plays) -> float:
    """Share of pairs of plays in a row that agree in skip_2."""
    skipped = plays.grade >= 2
    return float((skipped[1:] == skipped[:-1])[~plays.first[1:]].mean())


@pytest.fixture(scope="module")
def world() -> World:
    return load_world()


def test_a_small_world_is_near_the_real_log(world: World) -> None:
    # 200 users: users differ by a deviation of 1.4 logits, so the overall share has one of .02.
    plays = simulate(world, users=200, tracks=2000, seeds=[41, 42])
    assert graded(plays) == pytest.approx(REAL_GRADED, abs=0.06)
    skipped = plays.grade >= 2
    by_position = plays.shares(skipped, plays.position - 1, 20)
    assert by_position[:10] == pytest.approx(real.BY_POSITION[:10], abs=0.08)
    assert by_position[0] < by_position[1:].min()
    assert agreement(plays) == pytest.approx(AGREES, abs=0.03)
    assert plays.shuffle.mean() == pytest.approx(SHUFFLE, abs=0.04)
    assert plays.switched.mean() == pytest.approx(SWITCH, abs=0.006)
    assert plays.premium[plays.first].mean() == pytest.approx(PREMIUM_SHARE, abs=0.06)


@pytest.mark.slow
def test_a_large_world_is_within_every_tolerance(world: World) -> None:
    """The tolerances are those of the specification; 1.3 million plays of 4 worlds leave a deviation of .002 overall
    and .007 in the rarest context."""
    plays = simulate(world, users=5000, tracks=2000, seeds=[201, 202, 203, 204])
    skipped = plays.grade >= 2
    assert graded(plays) == pytest.approx(REAL_GRADED, abs=0.01)
    by_position = plays.shares(skipped, plays.position - 1, 20)
    assert by_position[:10] == pytest.approx(real.BY_POSITION[:10], abs=0.02)
    assert by_position[10:].min() > LATER[0] - 0.02
    assert by_position[10:].max() < LATER[1] + 0.02
    by_context = dict(zip(world.contexts, plays.shares(skipped, plays.context, 6).tolist(), strict=True))
    assert by_context == pytest.approx(real.BY_CONTEXT, abs=0.02)
    assert skipped[plays.premium].mean() == pytest.approx(real.PREMIUM, abs=0.015)
    assert skipped[~plays.premium].mean() == pytest.approx(real.FREE, abs=0.015)
    assert plays.premium[plays.first].mean() == pytest.approx(PREMIUM_SHARE, abs=0.01)
    assert plays.shuffle.mean() == pytest.approx(SHUFFLE, abs=0.01)
    assert plays.switched.mean() == pytest.approx(SWITCH, abs=0.003)
    lengths = np.bincount(plays.length[plays.first], minlength=21)[10:] / plays.first.sum()
    assert lengths == pytest.approx(np.array(world.length_share), abs=0.01)
    assert agreement(plays) == pytest.approx(AGREES, abs=0.02)


def test_the_threshold_gives_the_share() -> None:
    eta = np.random.default_rng(3).normal(size=20_000)
    t = real.threshold(eta, 0.3)
    assert (1 / (1 + np.exp(t - eta))).mean() == pytest.approx(0.3, abs=1e-6)


def test_calibration_finds_its_way_from_a_wrong_start() -> None:
    from dataclasses import replace

    wrong = replace(load_world(), base_level=1.0, position_effect=(0.0,) * 20, context_effect=(0.0,) * 6)
    mended = real.calibrate(wrong, users=300, tracks=100, seeds=[51], rounds=6)
    plays = simulate(mended, users=300, tracks=100, seeds=[51])
    chances = 1 / (1 + np.exp(-plays.eta))
    assert chances.mean() == pytest.approx(real.SKIP_2, abs=0.01)
    assert plays.shares(chances, plays.position - 1, 20)[:10] == pytest.approx(real.BY_POSITION[:10], abs=0.03)
