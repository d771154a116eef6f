"""Draws in two steps are draws from the policy: its chances, its propensities, nothing that it never plays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from threadpoolctl import threadpool_limits

from musicbox_lib.errors import UsageError
from musicbox_lib.synthetic.logging_draws import SEGMENT, PolicyDraws, first_time
from musicbox_lib.synthetic.logging_policy import affinities, policy_probabilities
from musicbox_lib.synthetic.tracks import Tracks, draw_tracks, unit
from musicbox_lib.synthetic.world import World, load_world

Floats = npt.NDArray[np.float64]
ROWS = 6


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


def made(world: World, n: int = 300) -> tuple[Tracks, PolicyDraws, Floats, Floats]:
    """Tracks, their draws, moods of one row per context, and all chances (rows, n)."""
    tracks = draw_tracks(world, n, 41, 60)
    mood = unit(np.random.default_rng(1).normal(size=(ROWS, world.dimension)))
    newest = np.full(ROWS, len(tracks.releases) - 1)
    chances = policy_probabilities(world, tracks, affinities(mood, tracks), np.arange(ROWS), newest)
    return tracks, PolicyDraws(world, tracks), mood, chances


@pytest.mark.parametrize("name", ["default", "unlogged_cluster", "cold_tracks"])
def test_numbers_spread_evenly_find_each_track_as_often_as_its_chance(name: str) -> None:
    tracks, draws, mood, chances = made(load_world(name))
    assert tracks.size > 2 * SEGMENT
    stages = np.full(ROWS, len(tracks.releases) - 1)
    choosers = draws.choosers(mood, np.arange(ROWS), stages)
    n = 50_000
    even = (np.arange(n) + 0.5) / n
    for row in range(ROWS):
        track, chance = draws.draw(choosers, np.full(n, row), even)
        found = np.bincount(track, minlength=tracks.size) / n
        # Each track has one stretch of the numbers, whose ends fall between two of them.
        assert found == pytest.approx(chances[row], abs=1.5 / n)
        assert chance == pytest.approx(chances[row, track], rel=1e-5)
        assert (np.diff(track) >= 0).all()


def test_the_first_stage_plays_only_what_is_there() -> None:
    world = load_world("cold_tracks")
    tracks, draws, mood, _ = made(world)
    choosers = draws.choosers(mood, np.arange(ROWS), np.zeros(ROWS, np.int64))
    track, chance = draws.draw(choosers, np.repeat(np.arange(ROWS), 2_000), np.tile(np.arange(2_000) / 2_000, ROWS))
    assert tracks.playable[0][track].all()
    early = policy_probabilities(world, tracks, affinities(mood, tracks), np.arange(ROWS), np.zeros(ROWS, np.int64))
    assert chance == pytest.approx(early[np.repeat(np.arange(ROWS), 2_000), track], rel=1e-5)


def test_the_ends_of_the_numbers_find_tracks_with_a_chance() -> None:
    world = load_world()
    tracks = draw_tracks(world, 300, 41, 60)
    # Neither the first segment nor the last has anything to play.
    silent = replace(tracks, logged=(np.arange(300) >= SEGMENT) & (np.arange(300) < 2 * SEGMENT))
    draws = PolicyDraws(world, silent)
    mood = unit(np.random.default_rng(1).normal(size=(1, world.dimension)))
    choosers = draws.choosers(mood, np.zeros(1, np.int64), np.zeros(1, np.int64))
    ends = np.array([0.0, np.nextafter(1, 0)])
    track, chance = draws.draw(choosers, np.zeros(2, np.int64), ends)
    assert track.tolist() == [SEGMENT, 2 * SEGMENT - 1]
    assert (chance > 0).all()


def test_pools_are_drawn_without_replacement() -> None:
    world = replace(load_world(), uniform_pool=2)
    tracks, draws, mood, chances = made(world, 50)
    n = 8_000
    choosers = draws.choosers(mood, np.arange(ROWS), np.zeros(ROWS, np.int64))
    pools = draws.pools(choosers, np.zeros(n, np.int64), np.random.default_rng(2))
    assert pools.shape == (n, 2)
    assert (pools[:, 0] < pools[:, 1]).all()
    p = chances[0]
    # In the pool first, or second after any other.
    inside = p + np.array([sum(p[i] * p[k] / (1 - p[i]) for i in range(50) if i != k) for k in range(50)])
    found = np.bincount(pools.ravel(), minlength=50) / n
    assert found == pytest.approx(inside, abs=5 * np.sqrt(inside.max() / n))
    assert tracks.size == 50


def test_a_pool_of_the_whole_catalogue_is_the_catalogue() -> None:
    _, draws, mood, _ = made(load_world(), 50)
    choosers = draws.choosers(mood, np.arange(ROWS), np.zeros(ROWS, np.int64))
    pools = draws.pools(choosers, np.arange(ROWS), np.random.default_rng(3))
    assert (pools == np.arange(50)).all()


def test_a_policy_that_plays_too_few_tracks_is_refused() -> None:
    world = replace(load_world("unlogged_cluster"), unlogged_clusters=30)
    with pytest.raises(UsageError, match="100 tracks leave the logging policy"):
        draw_tracks(world, 100, 41, 60)


def test_the_first_of_each_value_in_its_row() -> None:
    found = first_time(np.array([[3, 3, 1, 3, 1], [2, 1, 2, 0, 0]]))
    assert found.tolist() == [[True, False, True, False, False], [True, True, False, True, False]]
