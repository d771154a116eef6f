"""Random, popularity and item-kNN on catalogues small enough to reckon by hand."""

from __future__ import annotations

import numpy as np
import pytest
from catalogues import make_catalogue, make_contexts

from musicbox_lib.blocks.candidates import SOURCES, Policy
from musicbox_lib.blocks.slates import probability_of
from musicbox_lib.policies import random as random_policy
from musicbox_lib.policies.item_knn import ANSWER_WEIGHTS, FADE, TEMPERATURE, ItemKnn
from musicbox_lib.policies.popularity import Popularity
from musicbox_lib.policies.random import Random
from musicbox_lib.policies.ranking import EXPLORE
from musicbox_lib.policies.steps import drop_heard, first_of_equals, soften
from musicbox_lib.testing.policies import assert_candidates


def test_all_baselines_keep_the_house_rules() -> None:
    rng = np.random.default_rng(0)
    near = {t: [(int(o), 0.9 - 0.01 * i) for i, o in enumerate(rng.permutation(60)[:30]) if o != t] for t in range(60)}
    catalogue = make_catalogue(60, near, plays=list(range(60)))
    histories = [[(int(t), int(rng.integers(-1, 4))) for t in rng.integers(0, 60, size=30)] for _ in range(40)]
    contexts = make_contexts([*histories, []], [20] * 40 + [0])
    policies: list[Policy] = [Random(catalogue, 1), Popularity(catalogue), ItemKnn(catalogue)]
    for policy in policies:
        assert_candidates(policy.propose(contexts), contexts)
    assert [policy.name for policy in policies] == ["random", "popularity", "item_knn"]


def test_random_is_even_over_the_unheard() -> None:
    contexts = make_contexts([[(2, 0), (4, 3)]], [1])  # track 2 was heard in an older session
    candidates = Random(make_catalogue(5), 1).propose(contexts)
    np.testing.assert_allclose(probability_of(candidates, np.array([2], np.int32)), [0.25])
    np.testing.assert_allclose(probability_of(candidates, np.array([4], np.int32)), [0.0])


def test_random_over_a_large_catalogue_draws_by_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_policy, "WHOLE_CATALOGUE", 100)
    catalogue = make_catalogue(1000)
    contexts = make_contexts([[(5, 0)]] * 3000, [1] * 3000)
    policy = Random(catalogue, 1)
    candidates = policy.propose(contexts)
    assert_candidates(candidates, contexts)
    np.testing.assert_array_equal(policy.propose(contexts.take(slice(7, 9))).tracks, candidates.tracks[7:9])
    # Over users each unheard track has the same share: 999 tracks, 3,000 draws' worth of chances.
    share = np.bincount(candidates.tracks[candidates.tracks >= 0], minlength=1000) / (candidates.tracks >= 0).sum()
    assert share[5] == 0
    assert np.abs(share[share > 0] * 999 - 1).max() < 0.25  # about 545 of a track: 5 standard errors are .21


def test_popularity_is_proportional_to_plays() -> None:
    catalogue = make_catalogue(4, plays=[10, 30, 0, 60])
    candidates = Popularity(catalogue).propose(make_contexts([[(3, 0)], []], [1, 0]))
    chances = np.array([probability_of(candidates, np.full(2, t, np.int32)) for t in range(4)]).T
    np.testing.assert_allclose(chances[0], [10 / 41, 30 / 41, 1 / 41, 0])
    np.testing.assert_allclose(chances[1], [10 / 101, 30 / 101, 1 / 101, 60 / 101])
    assert (candidates.sources == SOURCES.index("popularity")).all()


def test_popularity_takes_no_track_by_its_name() -> None:
    """300 tracks: 30 with 9 plays, the others with 1, of which 170 would fit by their order alone."""
    counts = [9] * 30 + [1] * 270
    candidates = Popularity(make_catalogue(300, plays=counts)).propose(make_contexts([[]], [0]))
    assert sorted(candidates.tracks[0].tolist()) == list(range(30))
    # With 5 of 9 plays there are too few without the others.
    few = Popularity(make_catalogue(300, plays=[9] * 5 + [1] * 295)).propose(make_contexts([[]], [0]))
    assert few.tracks.shape == (1, 200)


def test_item_knn_scores_by_hand() -> None:
    near = {0: [(2, 0.8), (3, 0.4), (4, 0.5)], 1: [(3, 0.6), (4, 0.2)]}
    catalogue = make_catalogue(6, near)
    # Track 0 was not skipped, then track 1 was skipped late: skip_2.
    candidates = ItemKnn(catalogue).propose(make_contexts([[(0, 0), (1, 2)]], [1]))
    liked, skipped = ANSWER_WEIGHTS[1] * FADE, ANSWER_WEIGHTS[3]
    by_hand = {2: liked * 0.8, 3: liked * 0.4 + skipped * 0.6, 4: liked * 0.5 + skipped * 0.2}
    row = {int(t): float(s) for t, s in zip(candidates.tracks[0], candidates.scores[0], strict=True) if t >= 0}
    assert row == pytest.approx(by_hand, abs=1e-6)
    logits = np.array(list(by_hand.values())) / by_hand[2] / TEMPERATURE
    softmax = np.exp(logits) / np.exp(logits).sum()
    expected = (1 - EXPLORE) * softmax + EXPLORE / 3
    got = [float(probability_of(candidates, np.array([t], np.int32))[0]) for t in by_hand]
    np.testing.assert_allclose(got, expected, atol=1e-3)
    assert (candidates.sources[candidates.tracks >= 0] == SOURCES.index("item_knn")).all()


def test_item_knn_falls_back_to_popularity_with_less_than_three() -> None:
    near = {0: [(2, 0.8), (3, 0.4)], 1: [(2, 0.8), (3, 0.4), (4, 0.2)]}
    catalogue = make_catalogue(6, near, plays=[1, 2, 3, 4, 5, 6])
    contexts = make_contexts([[(0, 0)], [(1, 0)], []], [1, 1, 0])
    candidates = ItemKnn(catalogue).propose(contexts)
    popular = Popularity(catalogue).propose(contexts)
    for row in (0, 2):
        held = candidates.tracks[row] >= 0
        assert (candidates.sources[row, held] == SOURCES.index("popularity")).all()
        for track in range(6):
            asked = np.full(3, track, np.int32)
            even = np.isin(track, popular.tracks[row]) / (popular.tracks[row] >= 0).sum()
            expected = (1 - EXPLORE) * probability_of(popular, asked)[row] + EXPLORE * even
            assert probability_of(candidates, asked)[row] == pytest.approx(expected)
    assert set(candidates.tracks[1][candidates.tracks[1] >= 0]) == {2, 3, 4}


def test_blocks_do_not_change_item_knn(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    near = {t: [(int(o), 0.5) for o in rng.permutation(60)[:30] if o != t] for t in range(60)}
    contexts = make_contexts([[(int(t), 0) for t in rng.integers(0, 60, size=30)] for _ in range(20)], [10] * 20)
    whole = ItemKnn(make_catalogue(60, near)).propose(contexts)
    monkeypatch.setattr("musicbox_lib.policies.item_knn.CELLS", 60 * 3)
    blocked = ItemKnn(make_catalogue(60, near)).propose(contexts)
    np.testing.assert_array_equal(whole.tracks, blocked.tracks)
    np.testing.assert_array_equal(whole.probabilities, blocked.probabilities)


def test_shared_steps() -> None:
    tracks = np.array([[3, 1, 3, -1, 1], [0, 1, 2, 3, 4]], dtype=np.int32)
    np.testing.assert_array_equal(first_of_equals(tracks), [[3, 1, -1, -1, -1], [0, 1, 2, 3, 4]])
    contexts = make_contexts([[(3, 0)], [(4, 0), (0, 1)]], [1, 1])
    np.testing.assert_array_equal(drop_heard(tracks, contexts), [[-1, 1, -1, -1, 1], [-1, 1, 2, 3, 4]])
    chances = soften(np.array([[1, -1, 2], [-1, -1, -1]], np.int32), np.array([[0.2, 9.0, 0.1], [1, 1, 1.0]]), 0.1, 0.1)
    odds = float(np.exp(1) / (1 + np.exp(1)))
    np.testing.assert_allclose(chances, np.array([[0.9 * odds + 0.05, 0, 0.9 * (1 - odds) + 0.05], [0, 0, 0]]))
