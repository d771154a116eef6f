"""Slates: the written chance is the true chance, whatever the batch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from musicbox_lib.blocks.candidates import SOURCES, Candidates
from musicbox_lib.blocks.draws import keys_of, uniforms
from musicbox_lib.blocks.slates import Spread, draw_slates, probability_of, slot_chances

TRACKS = np.array([[4, 0, 7, -1, 2]], dtype=np.int32)
CHANCES = np.array([[0.4, 0.3, 0.2, 0.0, 0.1]])


def candidates_of(tracks: np.ndarray, chances: np.ndarray, explore: float = 0.0) -> Candidates:
    return Candidates(
        tracks=tracks.astype(np.int32),
        scores=np.log(np.maximum(chances, 1e-9)).astype(np.float32),
        probabilities=chances,
        sources=np.arange(tracks.shape[1], dtype=np.int8) * np.ones((len(tracks), 1), dtype=np.int8),
        explore=explore,
    )


def many(n: int, explore: float = 0.0) -> Candidates:
    """Probabilities of which a share `explore` is even over the four tracks, as policies give them."""
    even = np.where(TRACKS >= 0, 0.25, 0.0)
    return candidates_of(np.tile(TRACKS, (n, 1)), np.tile((1 - explore) * CHANCES + explore * even, (n, 1)), explore)


def chances_after(above: list[int], spread: Spread | None, explore: float = 0.0) -> np.ndarray:
    return slot_chances(many(1, explore), np.array([above], dtype=np.int32), spread)[0]


def a_spread() -> Spread:
    """Tracks 0 and 2 by one artist; 4 and 7 alike, the others at right angles."""
    vectors = np.zeros((8, 3), dtype=np.float32)
    vectors[[4, 7], 0], vectors[0, 1], vectors[2, 2] = 1.0, 1.0, 1.0
    artists = np.array([5, -1, 5, -1, 1, -1, -1, -1], dtype=np.int32)
    return Spread(vectors, artists)


@pytest.mark.parametrize("spread", [None, a_spread()], ids=["plain", "spread"])
@pytest.mark.parametrize("explore", [0.0, 0.1])
def test_chances_of_all_slates_sum_to_one(spread: Spread | None, explore: float) -> None:
    candidates = many(1, explore)
    total = 0.0
    for slate in itertools.permutations([0, 2, 4, 7], 3):
        chance = 1.0
        for rank, track in enumerate(slate):
            above = np.array([slate[:rank]], dtype=np.int32).reshape(1, rank)
            chance *= float(slot_chances(candidates, above, spread)[0][track == TRACKS][0])
        total += chance
    assert total == pytest.approx(1.0, abs=1e-12)


def test_second_rank_is_rescaled_without_the_first() -> None:
    chances = chances_after([4], None)
    np.testing.assert_allclose(chances, [[0.0, 0.3 / 0.6, 0.2 / 0.6, 0.0, 0.1 / 0.6]])


def test_a_track_like_one_above_loses_exactly_the_penalty() -> None:
    chances = chances_after([4], a_spread())
    near = 0.2 * np.exp(-2.0)  # track 7 has cosine 1 to track 4; .1 / .05 = 2
    np.testing.assert_allclose(chances, [[0.0, 0.3, near, 0.0, 0.1]] / (0.4 + near), atol=1e-12)


def test_one_track_per_artist_unless_nothing_else_is_left() -> None:
    spread = a_spread()
    after_0 = chances_after([0], spread)
    assert after_0[0, 4] == 0.0
    only_2_left = chances_after([0, 4, 7], spread)
    np.testing.assert_allclose(only_2_left, [[0, 0, 0, 0, 1.0]])


def test_exploring_keeps_its_share_at_every_rank() -> None:
    # The track that took nearly all of the chance is gone; of what is left the policy's own order still counts .9.
    sure = candidates_of(
        TRACKS, 0.9 * np.array([[0.97, 0.02, 0.01, 0.0, 0.0]]) + 0.1 * np.array([[0.25, 0.25, 0.25, 0.0, 0.25]]), 0.1
    )
    chances, exploring = slot_chances(sure, np.array([[4]], dtype=np.int32), None)
    third = 0.1 / 3
    np.testing.assert_allclose(chances, [[0, 0.9 * 2 / 3 + third, 0.9 / 3 + third, 0, third]])
    np.testing.assert_allclose(exploring, [[0, third, third, 0, third]])
    # Where the policy itself has nothing left, exploring is all there is.
    last = slot_chances(sure, np.array([[4, 0, 7]], dtype=np.int32), None)[0]
    np.testing.assert_allclose(last, [[0, 0, 0, 0, 1]])


def test_a_track_drawn_mostly_by_exploring_says_so() -> None:
    n = 4_000
    slates = draw_slates(many(n, 0.6), np.arange(n).astype(str), seed=4)
    # Even share .15 each; chosen .16 of track 4 and .04 of track 2.
    first = {int(track): set(slates.source[slates.tracks[:, 0] == track, 0].tolist()) for track in (4, 2)}
    assert first == {4: {0}, 2: {SOURCES.index("explore")}}


@pytest.mark.parametrize("spread", [None, a_spread()], ids=["plain", "spread"])
@pytest.mark.parametrize("explore", [0.0, 0.2])
def test_frequencies_over_users_match_the_written_chances(spread: Spread | None, explore: float) -> None:
    n = 60_000
    slates = draw_slates(many(n, explore), np.array([f"user-{i}" for i in range(n)]), seed=3, spread=spread)
    drawn, counts = np.unique(slates.tracks, axis=0, return_counts=True)
    # 24 possible slates; the written chances of each, multiplied, are its frequency within 4.5 standard errors.
    for slate, count in zip(drawn, counts, strict=True):
        row = int(np.flatnonzero((slates.tracks == slate).all(axis=1))[0])
        expected = float(slates.propensity[row].prod())
        assert abs(count / n - expected) < 4.5 * np.sqrt(expected * (1 - expected) / n), slate
    if spread is None:
        assert len(drawn) == 24


def test_written_chance_score_and_source_belong_to_the_drawn_track() -> None:
    candidates = many(200)
    slates = draw_slates(candidates, np.arange(200).astype(str), seed=1)
    for row in range(200):
        first = int(np.flatnonzero(TRACKS[0] == slates.tracks[row, 0])[0])
        assert slates.propensity[row, 0] == pytest.approx(CHANCES[0, first])
        assert slates.source[row, 0] == candidates.sources[0, first]
        assert slates.score[row, 0] == pytest.approx(np.log(CHANCES[0, first]), rel=1e-6)


def test_slates_do_not_depend_on_batches_or_on_the_order_of_candidates() -> None:
    rng = np.random.default_rng(5)
    tracks = np.array([rng.permutation(50)[:20] for _ in range(300)])
    chances = rng.dirichlet(np.ones(20), size=300)
    keys = np.array([f"user-{i}" for i in range(300)])
    whole = draw_slates(candidates_of(tracks, chances), keys, seed=9)
    order = rng.permutation(300)
    shuffled = draw_slates(candidates_of(tracks[order], chances[order]), keys[order], seed=9)
    np.testing.assert_array_equal(shuffled.tracks, whole.tracks[order])
    turned = draw_slates(candidates_of(tracks[:, ::-1], chances[:, ::-1]), keys, seed=9)
    np.testing.assert_array_equal(turned.tracks, whole.tracks)
    np.testing.assert_array_equal(turned.propensity, whole.propensity)
    single = [
        draw_slates(candidates_of(tracks[i : i + 1], chances[i : i + 1]), keys[i : i + 1], seed=9) for i in range(20)
    ]
    np.testing.assert_array_equal(np.concatenate([one.tracks for one in single]), whole.tracks[:20])
    assert (draw_slates(candidates_of(tracks, chances), keys, seed=10).tracks != whole.tracks).any()


def test_no_track_twice_and_minus_one_where_candidates_run_out() -> None:
    slates = draw_slates(many(2000), np.arange(2000).astype(str), seed=2)
    assert all(len(set(row)) == 3 and -1 not in row for row in slates.tracks)
    two = candidates_of(np.array([[3, -1, 1]]), np.array([[0.5, 0.0, 0.5]]))
    short = draw_slates(two, np.array(["u"]), seed=2)
    assert set(short.tracks[0, :2]) == {1, 3}
    assert short.tracks[0, 2] == -1


def test_probability_of() -> None:
    asked = np.array([7, 5, -1, 0], dtype=np.int32)
    np.testing.assert_allclose(probability_of(many(4), asked), [0.2, 0.0, 0.0, 0.3])


def test_keys_and_draws_are_fixed_numbers() -> None:
    # Fixed for good: a change would change every slate already written.
    assert [int(key) for key in keys_of(["a", "user-7"])] == [13950350942979735504, 13932939795534551808]
    np.testing.assert_allclose(
        uniforms(keys_of(["a", "user-7"]), 5, 2), [0.05005946117629645, 0.748539175111064], rtol=0, atol=1e-15
    )


def test_draws_are_even_and_independent_across_slots() -> None:
    keys = keys_of([f"user-{i}" for i in range(100_000)])
    draws = uniforms(keys, 1, np.arange(3))
    np.testing.assert_array_equal(draws[:, 1], uniforms(keys, 1, 1))
    assert np.abs(draws.mean(axis=0) - 0.5).max() < 0.004  # 4.4 standard errors of .29 / sqrt(100,000)
    assert np.abs(np.histogram(draws[:, 0], bins=10, range=(0, 1))[0] / 1e5 - 0.1).max() < 0.0045
    correlations = np.asarray(np.corrcoef(draws.T))[np.triu_indices(3, 1)]
    assert np.abs(correlations).max() < 0.014
