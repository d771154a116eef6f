"""Wolpertinger selection with a model whose answers are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from catalogues import make_catalogue, make_contexts

from musicbox_lib.blocks.candidates import SOURCES
from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.blocks.state import encode_states
from musicbox_lib.ddpg.config import Serving
from musicbox_lib.policies import ddpg_w, ddpg_w_actor
from musicbox_lib.policies.ddpg_w import DdpgW
from musicbox_lib.policies.ddpg_w_actor import ActorAlone
from musicbox_lib.testing.policies import assert_candidates

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class KnownModel:
    """An actor that always points at one vector, a critic that likes the tracks' first coordinate."""

    serving: Serving
    point: Floats

    def actor(self, states: Floats) -> Floats:
        return np.tile(self.point, (len(states), 1))

    def critic(self, states: Floats, actions: Floats) -> Floats:
        assert actions.shape[::2] == (len(states), len(self.point))
        return np.asarray(actions[:, :, 0])


def random_world() -> tuple[Catalogue, ContextBlock]:
    rng = np.random.default_rng(0)
    near = {t: [(int(o), 0.5) for o in rng.permutation(90)[:30] if o != t] for t in range(90)}
    catalogue = make_catalogue(90, near, plays=list(range(90)))
    histories = [[(int(t), int(rng.integers(-1, 4))) for t in rng.integers(0, 90, size=30)] for _ in range(30)]
    return catalogue, make_contexts([*histories, []], [20] * 30 + [0])


def test_candidates_keep_the_house_rules_and_do_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue, contexts = random_world()
    model = KnownModel(Serving(k=20, rerank=True, rerank_weight=0.3), catalogue.actions[5])
    whole = DdpgW(model, catalogue).propose(contexts)
    assert_candidates(whole, contexts)
    monkeypatch.setattr(ddpg_w, "CELLS", 90 * 4)
    blocked = DdpgW(model, catalogue).propose(contexts)
    np.testing.assert_array_equal(blocked.tracks, whole.tracks)
    np.testing.assert_allclose(blocked.probabilities, whole.probabilities, atol=1e-4)


def test_the_actors_nearest_neighbours_of_liked_and_popular_are_candidates() -> None:
    embedding = np.eye(30, 8, dtype=np.float32)
    embedding[8:] = -np.eye(30, 8, dtype=np.float32)[0]
    near = {10: [(11, 0.9), (12, 0.8)], 13: [(14, 0.9)]}
    catalogue = make_catalogue(30, near, plays=[1] * 29 + [99], embedding=embedding)
    point = np.array([0.9, 0.4, 0.1, 0, 0, 0, 0, 0, 0], dtype=np.float32)
    contexts = make_contexts([[(10, 0), (13, 3), (1, 0)]], [1])  # 10 liked, 13 skipped, 1 heard in this session
    ddpg = DdpgW(KnownModel(Serving(k=3, temperature=0.1, explore=0.0), point), catalogue)
    ddpg._popular = np.array([29], dtype=np.int32)
    candidates = ddpg.propose(contexts)
    found = {int(t): SOURCES[s] for t, s in zip(candidates.tracks[0], candidates.sources[0], strict=True) if t >= 0}
    assert found == {0: "actor", 2: "actor", 11: "item_knn", 12: "item_knn", 29: "popularity"}
    # Greatest inner product, greatest chance: e^((.9 - .1) / .1) = e^8 to 1.
    chances = dict(zip(candidates.tracks[0], candidates.probabilities[0], strict=True))
    assert chances[0] / chances[2] == pytest.approx(np.exp(8), rel=1e-4)


def test_critic_moves_scores_only_where_the_manifest_says_so() -> None:
    catalogue, contexts = random_world()
    point = catalogue.actions[5]
    alone = DdpgW(KnownModel(Serving(k=200, rerank=False, rerank_weight=2.0), point), catalogue).propose(contexts)
    reranked = DdpgW(KnownModel(Serving(k=200, rerank=True, rerank_weight=2.0), point), catalogue).propose(contexts)
    held = alone.tracks >= 0
    np.testing.assert_array_equal(alone.tracks, reranked.tracks)
    np.testing.assert_allclose(alone.scores[held], (catalogue.actions @ point)[alone.tracks[held]], atol=2e-5)
    critics = catalogue.actions[alone.tracks[held], 0]
    np.testing.assert_allclose(reranked.scores[held], alone.scores[held] + 2.0 * critics, atol=2e-5)


def test_the_exploring_share_is_told_and_even() -> None:
    catalogue, contexts = random_world()
    quiet = KnownModel(Serving(k=50, temperature=0.05, explore=0.0), catalogue.actions[5])
    trying = KnownModel(Serving(k=50, temperature=0.05, explore=0.2), catalogue.actions[5])
    alone, mixed = (DdpgW(model, catalogue).propose(contexts) for model in (quiet, trying))
    assert (alone.explore, mixed.explore) == (0.0, 0.2)
    held = mixed.tracks >= 0
    even = held / held.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(mixed.probabilities, 0.8 * alone.probabilities + 0.2 * even, atol=1e-12)


def test_state_reaches_the_actor() -> None:
    catalogue, contexts = random_world()
    seen: list[Floats] = []

    class Listening(KnownModel):
        def actor(self, states: Floats) -> Floats:
            seen.append(states)
            return super().actor(states)

    DdpgW(Listening(Serving(), catalogue.actions[5]), catalogue).propose(contexts)
    np.testing.assert_array_equal(seen[0], encode_states(contexts, catalogue))


def test_the_actor_alone_asks_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first unheard track is the one of greatest inner product, whatever the critic and the neighbours say."""
    catalogue, contexts = random_world()
    model = KnownModel(Serving(k=20, rerank=True, rerank_weight=5.0), catalogue.actions[5])
    actor = ActorAlone(model, catalogue)
    found = actor.propose(contexts)
    assert_candidates(found, contexts)
    assert (found.sources == SOURCES.index("actor")).all()
    products = catalogue.actions @ catalogue.actions[5]
    for row in range(len(contexts)):
        heard = contexts.tracks[row][contexts.in_session[row]]
        best = int(np.argmax(np.where(np.isin(np.arange(90), heard), -np.inf, products)))
        assert found.tracks[row][np.argmax(found.probabilities[row])] == best
    monkeypatch.setattr(ddpg_w_actor, "CELLS", 90 * 4)
    np.testing.assert_array_equal(actor.propose(contexts).tracks, found.tracks)
