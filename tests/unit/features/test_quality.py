"""Priors of tracks whose numbers of plays are very unlike, and what they make of rates and effects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from musicbox_lib.features.quality import BOUNDS, fitted_prior, quality_by_fold, shrunk_rate

Array = np.ndarray[Any, Any]
TRACKS = 3_000


def unlike_plays(rng: np.random.Generator) -> Array:
    """Plays of tracks by rank: from thousands down to none, 30 a track on average."""
    share = (np.arange(TRACKS) + 6.0) ** -0.85
    return rng.multinomial(30 * TRACKS, share / share.sum()).astype(np.float64)


def popular_are_skipped_less(n: Array) -> Array:
    """Mean rates from .56 for a track without plays down to .44 for the most played one."""
    plays = np.log1p(n)
    return np.asarray(0.56 - 0.12 * plays / plays.max())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("strength", [15.0, 30.0, 60.0])
def test_the_strength_of_a_beta_prior_is_found_within_a_third(seed: int, strength: float) -> None:
    rng = np.random.default_rng(seed)
    n = unlike_plays(rng)
    assert n.max() > 1_000 and n.min() < 5
    rates = rng.beta(0.4 * strength, 0.6 * strength, size=TRACKS)
    skips = rng.binomial(n.astype(np.int64), rates).astype(np.float64)
    prior = fitted_prior(n, skips, skips)
    assert prior.plays == pytest.approx(strength, rel=1 / 3)
    assert prior.mean == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_popular_tracks_that_are_skipped_less_leave_the_prior_where_it_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = unlike_plays(rng)
    mean = popular_are_skipped_less(n)
    rates = rng.beta(mean * 60, (1 - mean) * 60)
    skips = rng.binomial(n.astype(np.int64), rates).astype(np.float64)
    # What popularity adds is part of how tracks differ, so the prior weighs a little less than 60 plays.
    assert fitted_prior(n, skips, skips).plays == pytest.approx(60, rel=1 / 3)


def test_shrunk_rates_are_nearer_the_true_ones_than_raw_rates_and_the_mean() -> None:
    rng = np.random.default_rng(0)
    n = unlike_plays(rng)
    mean = popular_are_skipped_less(n)
    rates = rng.beta(mean * 60, (1 - mean) * 60)
    skips = rng.binomial(n.astype(np.int64), rates).astype(np.float64)
    shrunk, played = shrunk_rate(skips, n), n > 0
    raw = np.divide(skips, n, out=np.full(TRACKS, np.nan), where=played)
    errors = {
        "shrunk": np.square(shrunk - rates)[played].mean(),
        "raw": np.square(raw - rates)[played].mean(),
        "mean": np.square(skips.sum() / n.sum() - rates)[played].mean(),
    }
    assert errors["shrunk"] < 0.8 * errors["mean"] and errors["shrunk"] < 0.5 * errors["raw"]
    # A track of many plays keeps nearly its own rate.
    assert shrunk[0] == pytest.approx(raw[0], abs=0.01)


def test_a_track_with_a_third_of_171_plays_skipped_is_not_shown_as_an_ordinary_one() -> None:
    """What a generated world of 600 listeners had: 52 skips of 171 plays came out as .476."""
    rng = np.random.default_rng(3)
    n = unlike_plays(rng)
    mean = popular_are_skipped_less(n)
    skips = rng.binomial(n.astype(np.int64), rng.beta(mean * 60, (1 - mean) * 60)).astype(np.float64)
    n[0], skips[0] = 171, 52
    assert 0.30 < shrunk_rate(skips, n)[0] < 0.38


@pytest.mark.parametrize("deviation", [0.05, 0.1, 0.2])
def test_effects_of_tracks_with_unlike_plays_are_drawn_by_noise_over_signal(deviation: float) -> None:
    rng = np.random.default_rng(1)
    n = unlike_plays(rng)
    effects = rng.normal(scale=deviation, size=TRACKS) + 0.1 * (n > np.quantile(n, 0.99))
    total = rng.normal(n * effects, 0.4 * np.sqrt(n))
    # The squares of normal plays: their mean's square, and chi-squared noise around it.
    squares = total**2 / np.maximum(n, 1) + 0.32 * rng.standard_gamma(np.maximum(n - 1, 0) / 2)
    assert fitted_prior(n, total, squares).plays == pytest.approx(0.16 / deviation**2, rel=1 / 3)


def test_a_track_without_plays_has_the_mean_of_tracks_not_of_plays() -> None:
    n = np.zeros((200, 10, 1))
    n[:2], n[2:199] = 900, 20
    total = np.where(np.arange(200) < 2, 0.2, -0.1)[:, None, None] * n
    squares = total**2 / np.maximum(n, 1) + 0.2 * np.maximum(n - 1, 0)
    quality = quality_by_fold(n, total, squares)
    assert quality[199] == pytest.approx(quality[2:199].mean(axis=0), abs=0.01)
    assert (quality[:2] > quality[199]).all()


def test_without_signal_or_without_repeated_plays_everything_is_the_mean() -> None:
    rng = np.random.default_rng(0)
    n = unlike_plays(rng)
    skips = rng.binomial(n.astype(np.int64), 0.4).astype(np.float64)
    assert fitted_prior(n, skips, skips).plays > 300
    once = np.ones(50)
    answers = (np.arange(50) % 2).astype(np.float64)
    assert fitted_prior(once, answers, answers).plays == BOUNDS[1]
    assert shrunk_rate(answers, once) == pytest.approx(0.5, abs=0.01)
