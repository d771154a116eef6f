"""What all fitted baselines share, and those of them that are counted: answers that a hand can reckon."""

from __future__ import annotations

import dataclasses
from typing import Self

import numpy as np
import pytest
from catalogues import make_catalogue, make_contexts
from numpy.typing import NDArray
from scipy import sparse

from musicbox_lib.blocks.candidates import SOURCES, Candidates
from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.blocks.grades import REWARDS
from musicbox_lib.blocks.slates import probability_of
from musicbox_lib.policies.als import RATINGS, Als, Factors
from musicbox_lib.policies.audio_centroid import AudioCentroid
from musicbox_lib.policies.base import TEMPERATURE, Arrays
from musicbox_lib.policies.item_knn_by_user import CHANCE, ItemKnnByUser, Neighbours, neighbours_by_user
from musicbox_lib.policies.popularity import Popularity
from musicbox_lib.policies.popularity_in_context import OVERALL, PopularityInContext
from musicbox_lib.policies.ranking import EXPLORE, Ranked, WholeCatalogue
from musicbox_lib.policies.session_knn import SessionKnn, Sessions
from musicbox_lib.policies.steps import LIMIT
from musicbox_lib.testing.policies import assert_candidates


class Fixed(WholeCatalogue):
    """The same scores for everybody."""

    name = "fixed"
    label = "fixed"

    def __init__(self, catalogue: Catalogue, row: list[float], temperature: float) -> None:
        super().__init__(catalogue, temperature)
        self._row = np.array(row)

    @classmethod
    def from_arrays(cls, arrays: Arrays, catalogue: Catalogue, temperature: float = TEMPERATURE) -> Self:
        return cls(catalogue, arrays["row"].tolist(), temperature)

    def scores(self, contexts: ContextBlock) -> NDArray[np.float64]:
        return np.tile(self._row, (len(contexts), 1))


def scores_of(candidates: Candidates, row: int = 0) -> dict[int, float]:
    held = candidates.tracks[row] >= 0
    return dict(zip(candidates.tracks[row, held].tolist(), candidates.scores[row, held].tolist(), strict=True))


def test_the_best_unheard_tracks_by_softmax_and_an_even_share() -> None:
    catalogue = make_catalogue(5)
    contexts = make_contexts([[(0, 0), (3, 2)]], [1])  # track 0 was heard in an older session
    candidates = Fixed(catalogue, [0.3, 0.1, 0.2, 0.9, -np.inf], 0.1).propose(contexts)
    assert_candidates(candidates, contexts)
    assert scores_of(candidates) == pytest.approx({0: 0.3, 1: 0.1, 2: 0.2})
    softmax = np.exp([3.0, 1.0, 2.0]) / np.exp([3.0, 1.0, 2.0]).sum()
    chances = [probability_of(candidates, np.array([track], np.int32))[0] for track in range(3)]
    np.testing.assert_allclose(chances, (1 - EXPLORE) * softmax + EXPLORE / 3)
    assert candidates.explore == EXPLORE
    assert (candidates.sources[candidates.tracks >= 0] == SOURCES.index("baseline")).all()


def test_less_than_three_scores_fall_back_to_popularity() -> None:
    catalogue = make_catalogue(6, plays=[1, 2, 3, 4, 5, 6])
    contexts = make_contexts([[(5, 0)], []], [1, 0])
    candidates = Fixed(catalogue, [0.3, -np.inf, 0.2, -np.inf, -np.inf, 0.1], 0.1).propose(contexts)
    assert_candidates(candidates, contexts)
    popular = Popularity(catalogue).propose(contexts)
    for track in range(6):
        asked = np.full(2, track, np.int32)
        even = np.array([track != 5, 0]) / 5
        expected = (1 - EXPLORE) * probability_of(popular, asked) + EXPLORE * even
        assert probability_of(candidates, asked)[0] == pytest.approx(expected[0])
    assert (candidates.sources[0] == SOURCES.index("popularity")).all()
    assert set(scores_of(candidates, 1)) == {0, 2, 5}


def test_no_more_than_the_limit_and_equals_alike_on_every_run() -> None:
    catalogue = make_catalogue(LIMIT + 50)
    policy = Fixed(catalogue, [1.0] * 100 + [2.0] * (LIMIT - 50), 0.1)
    contexts = make_contexts([[(150, 0)], [(3, 0)]], [1, 1])
    first, again = policy.propose(contexts), policy.propose(contexts)
    assert first.tracks.shape == (2, LIMIT)
    np.testing.assert_array_equal(first.tracks, again.tracks)
    assert set(range(100, LIMIT + 50)) - {150} <= set(first.tracks[0].tolist())
    assert (np.diff(first.tracks[1]) > 0).all(), "in the order of positions, so that ties go to the first"


def test_popularity_in_context_by_hand() -> None:
    catalogue = make_catalogue(4, plays=[9, 19, 29, 39])
    plays = np.zeros((6, 4), dtype=np.int64)
    plays[3] = [60, 0, 0, 0]
    contexts = dataclasses.replace(make_contexts([[], [], []], [0, 0, 0]), context=np.array([3, 0, -1], np.int8))
    candidates = PopularityInContext(catalogue, plays, 1.0).propose(contexts)
    assert_candidates(candidates, contexts)
    overall = np.array([0.1, 0.2, 0.3, 0.4])
    radio = (plays[3] + OVERALL * overall) / (60 + OVERALL)
    for row, shares in enumerate((radio, overall, overall)):
        assert scores_of(candidates, row) == pytest.approx(dict(enumerate(np.log(shares))), abs=1e-5)
    # At temperature 1 the chances are the shares.
    np.testing.assert_allclose(candidates.probabilities[0], (1 - EXPLORE) * radio + EXPLORE / 4, atol=1e-5)


def with_audio(catalogue: Catalogue, rows: list[list[float]]) -> Catalogue:
    return dataclasses.replace(catalogue, audio=np.array(rows, dtype=np.float32))


def test_audio_centroid_by_hand() -> None:
    nothing = [np.nan, np.nan]
    audio = [[2.0, 0.0], [0.0, 3.0], [1.0, 1.0], [-1.0, 0.0], nothing, [4.0, 3.0]]
    catalogue = with_audio(make_catalogue(6), audio)
    # Track 0 not skipped, track 1 skip_3 only, then an unlabelled play and a skip_1 that say nothing.
    contexts = make_contexts([[(0, 0), (1, 1), (3, -1), (3, 3)], [(3, 3)]], [1, 1])
    candidates = AudioCentroid(catalogue).propose(contexts)
    assert_candidates(candidates, contexts)
    centroid = np.array([REWARDS[0], REWARDS[1]]) / np.linalg.norm(REWARDS[:2])
    expected = {
        track: float(np.array(audio[track]) @ centroid / np.linalg.norm(audio[track])) for track in (0, 1, 2, 5)
    }
    assert scores_of(candidates) == pytest.approx(expected, abs=1e-5)
    assert (candidates.sources[1] == SOURCES.index("popularity")).all(), "nothing was liked"


def test_embeddings_stand_in_where_there_is_no_audio() -> None:
    catalogue = make_catalogue(6)
    contexts = make_contexts([[(2, 0)]], [0])
    found = scores_of(AudioCentroid(catalogue).propose(contexts))
    assert found == pytest.approx(dict(enumerate(catalogue.embedding @ catalogue.embedding[2])), abs=1e-5)


def stored(rows: list[dict[int, float]], size: int) -> Sessions:
    """Sessions of {track: reward above average}."""
    rewards, played = np.zeros((len(rows), size)), np.zeros((len(rows), size))
    for at, session in enumerate(rows):
        for track, reward in session.items():
            rewards[at, track], played[at, track] = reward, 1 / np.sqrt(len(session))
    return Sessions(sparse.csr_matrix(played), sparse.csr_matrix(rewards))


def test_session_knn_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{0: 0.5, 2: 0.6, 3: -0.4}, {0: 0.1, 4: 0.6}, {1: 0.6, 5: 0.6, 6: 0.5}, {7: 0.5}]
    catalogue = make_catalogue(8)
    policy = SessionKnn(catalogue, stored(rows, 8))
    # Track 7 was heard in an older session, which is not the running one; 0 was not skipped, 1 skip_1 (half).
    contexts = make_contexts([[(7, 0), (0, 0), (1, 3)]], [2])
    candidates = policy.propose(contexts)
    assert_candidates(candidates, contexts)
    length = np.hypot(1.0, 0.5)
    near = np.array([1 / np.sqrt(3), 1 / np.sqrt(2), 0.5 / np.sqrt(3)]) / length
    sums = {2: near[0] * 0.6, 4: near[1] * 0.6, 5: near[2] * 0.6, 6: near[2] * 0.5}
    # The row's best is among the heard ones: 0, of which both of its sessions think well.
    best = max(*sums.values(), near[0] * 0.5 + near[1] * 0.1)
    assert scores_of(candidates) == pytest.approx({track: value / best for track, value in sums.items()}, abs=1e-4)
    # With one neighbour only the second session has a say: too little for a slate.
    monkeypatch.setattr("musicbox_lib.policies.session_knn.NEIGHBOURS", 1)
    assert (policy.propose(contexts).sources == SOURCES.index("popularity")).all()


def test_a_context_between_sessions_takes_its_history_for_the_running_one() -> None:
    catalogue = make_catalogue(6)
    policy = SessionKnn(catalogue, stored([{0: 0.5, 2: 0.6, 3: 0.4, 4: 0.1}], 6))
    between, within = (policy.propose(make_contexts([[(0, 0)]], [n])) for n in (0, 1))
    assert set(scores_of(between)) == {0, 2, 3, 4}
    assert set(scores_of(within)) == {2, 3, 4}
    assert set(scores_of(policy.propose(make_contexts([[]], [0])))) == set(range(6)), "popularity"


def test_neighbours_by_user_are_those_beyond_chance() -> None:
    played = np.array([[2.0, 1.0, 0.0, 0.0], [1.0, 2.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
    pairs = played.T @ played
    np.fill_diagonal(pairs, 0.0)
    expected = np.outer(pairs.sum(axis=1), pairs.sum(axis=1)) / pairs.sum()
    lift = (pairs - expected) / np.sqrt(expected + CHANCE)
    found = neighbours_by_user(sparse.csr_matrix(played))
    # Pairs with others are 5, 6, 1, 4 of 16: 0 with 1 has 4 where chance expects 30 / 16, 1 with 3 has 2 of 24 / 16,
    # 2 with 3 has 1 of 4 / 16; 0 with 3 has 1 of 20 / 16, which is not beyond chance.
    np.testing.assert_array_equal(found.positions[:, :3], [[1, -1, -1], [0, 3, -1], [3, -1, -1], [2, 1, -1]])
    expected_first = [lift[0, 1], lift[1, 0], lift[2, 3], lift[3, 2]]
    np.testing.assert_allclose(found.similarities[:, 0], expected_first, rtol=1e-5)
    np.testing.assert_allclose(found.similarities[[1, 3], 1], lift[1, 3], rtol=1e-5)


def test_item_knn_by_user_scores_by_hand() -> None:
    catalogue = make_catalogue(6)
    positions, similarities = np.full((6, 50), -1, np.int32), np.zeros((6, 50), np.float32)
    positions[0, :3], similarities[0, :3] = [2, 3, 4], [2.0, 1.0, 0.5]
    positions[1, :1], similarities[1, :1] = [5], [9.0]
    policy = ItemKnnByUser(catalogue, Neighbours(positions, similarities))
    contexts = make_contexts([[(0, 1), (1, 2)]], [1])
    candidates = policy.propose(contexts)
    assert_candidates(candidates, contexts)
    assert scores_of(candidates) == pytest.approx({2: 1.0, 3: 0.5, 4: 0.25}), "a skipped track says nothing"


def test_als_folds_a_user_in_by_the_closed_form() -> None:
    rng = np.random.default_rng(3)
    items = np.round(rng.normal(size=(7, 3)), 3).astype(np.float32)
    items[6] = 0  # a track that nobody rated
    factors = Factors(items, alpha=4.0, regularisation=0.2)
    catalogue = make_catalogue(7)
    # Track 1 twice, skip_1 is worth 0: it is no rating.
    contexts = make_contexts([[(1, 0), (2, 1), (1, 2), (4, 3)], [(4, 3)]], [0, 0])
    policy = Als(catalogue, factors)
    rated = {1: RATINGS[0] + RATINGS[2], 2: RATINGS[1]}
    y = items.astype(np.float64)
    left = y.T @ y + 0.2 * 2 * np.eye(3) + sum(4.0 * r * np.outer(y[t], y[t]) for t, r in rated.items())
    right = sum((1 + 4.0 * r) * y[t] for t, r in rated.items())
    expected = np.linalg.solve(left, right)
    np.testing.assert_allclose(policy.user_factors(contexts)[0], expected, rtol=1e-6)
    candidates = policy.propose(contexts)
    assert_candidates(candidates, contexts)
    assert scores_of(candidates) == pytest.approx(dict(enumerate(y[:6] @ expected)), abs=1e-5)
    assert (candidates.sources[1] == SOURCES.index("popularity")).all(), "a user without a rating"


def test_answers_do_not_depend_on_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    size = 60
    catalogue = with_audio(make_catalogue(size, plays=list(range(size))), rng.normal(size=(size, 4)).tolist())
    histories = [[(int(t), int(rng.integers(-1, 4))) for t in rng.integers(0, size, size=30)] for _ in range(20)]
    contexts = make_contexts([*histories, []], [10] * 20 + [0])
    sessions = stored([{int(t): float(rng.normal()) for t in rng.integers(0, size, 8)} for _ in range(40)], size)
    policies: list[Ranked] = [
        PopularityInContext(catalogue, rng.integers(0, 9, (6, size))),
        AudioCentroid(catalogue),
        SessionKnn(catalogue, sessions),
        Als(catalogue, Factors(rng.normal(size=(size, 4)).astype(np.float32), 2.0, 0.1)),
    ]
    whole = [policy.propose(contexts) for policy in policies]
    monkeypatch.setattr("musicbox_lib.policies.ranking.CELLS", size * 3)
    monkeypatch.setattr("musicbox_lib.policies.session_knn.SIMILARITIES", 40 * 2)
    monkeypatch.setattr("musicbox_lib.policies.als.ROWS", 2)
    for policy, before in zip(policies, whole, strict=True):
        assert_candidates(before, contexts)
        after = policy.propose(contexts)
        alone = policy.propose(contexts.take(slice(7, 8)))
        for name in ("tracks", "scores", "probabilities", "sources"):
            np.testing.assert_array_equal(getattr(after, name), getattr(before, name), err_msg=policy.name)
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(before, name)[7], err_msg=policy.name)
