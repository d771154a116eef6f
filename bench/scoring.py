"""Contexts scored per second: candidates, chances and a slate of three, blocked as the job does it, against a plain
loop over users that does the same. The model is a stand-in with the networks' sizes: what is measured is selection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.measured import Row, against, measure
from musicbox_lib.blocks.candidates import Policy
from musicbox_lib.blocks.catalogue import FOLDS, NEIGHBOURS, Catalogue
from musicbox_lib.blocks.contexts import HISTORY, ContextBlock
from musicbox_lib.blocks.slates import Spread, draw_slates
from musicbox_lib.blocks.state import encode_states, state_dim
from musicbox_lib.ddpg.config import Serving
from musicbox_lib.policies.ddpg_w import DdpgW
from musicbox_lib.policies.item_knn import ANSWER_WEIGHTS, FADE, TEMPERATURE, ItemKnn
from musicbox_lib.policies.popularity import Popularity
from musicbox_lib.policies.ranking import EXPLORE
from musicbox_lib.scoring.top3_recommendations import ROWS

SIZES = {"small": (2_000, 2_000), "full": (50_000, 50_000)}
"""Tracks and contexts."""
LOOPED = 200
"""Users of the plain loop; its rate does not depend on how many there are."""
COORDINATES = 32
HIDDEN = 128

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class StandIn:
    """A two-layer actor and a bilinear critic with random weights, of the trained networks' sizes."""

    serving: Serving
    first: Floats
    second: Floats
    wide: Floats

    def actor(self, states: Floats) -> Floats:
        """(n, S) -> (n, E + 1)"""
        vectors = np.maximum(states @ self.first, 0) @ self.second
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))

    def critic(self, states: Floats, actions: Floats) -> Floats:
        """(n, S), (n, C, E + 1) -> (n, C)"""
        return np.asarray(np.einsum("na,nca->nc", states @ self.wide, actions))


def make_world(tracks: int, users: int, seed: int = 1) -> tuple[Catalogue, ContextBlock]:
    """A catalogue of random tracks and users who played 40 of them, 15 in the last session."""
    rng = np.random.default_rng(seed)
    embedding = rng.normal(size=(tracks, COORDINATES)).astype(np.float32)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    plays = rng.integers(1, 1_000, size=tracks)
    catalogue = Catalogue(
        track_ids=np.array([f"t{at:08d}" for at in range(tracks)]),
        embedding=embedding,
        quality_by_fold=rng.normal(scale=0.1, size=(tracks, FOLDS)).astype(np.float32),
        plays=plays,
        play_share=plays / plays.sum(),
        audio=None,
        artists=rng.integers(0, max(tracks // 8, 1), size=tracks).astype(np.int32),
        neighbours=rng.integers(0, tracks, size=(tracks, NEIGHBOURS)).astype(np.int32),
        similarities=-np.sort(-rng.random((tracks, NEIGHBOURS)).astype(np.float32), axis=1),
    )
    heard = np.arange(HISTORY) >= HISTORY - 40
    contexts = ContextBlock(
        keys=np.array([f"u{at:08d}" for at in range(users)]),
        tracks=np.where(heard, rng.integers(0, tracks, size=(users, HISTORY)), -1).astype(np.int32),
        grades=np.where(heard, rng.integers(0, 4, size=(users, HISTORY)), -1).astype(np.int8),
        in_session=np.tile(np.arange(HISTORY) >= HISTORY - 15, (users, 1)),
        n_in_session=np.full(users, 15, dtype=np.int32),
        context=rng.integers(0, 6, size=users).astype(np.int8),
        hour=rng.integers(0, 24, size=users).astype(np.int8),
        shuffle=rng.random(users) < 0.3,
        premium=rng.random(users) < 0.8,
        user_plays=np.full(users, 40, dtype=np.int64),
        user_skips=np.full(users, 20, dtype=np.int64),
        fold=np.zeros(users, dtype=np.int8),
    )
    return catalogue, contexts


def blocked(policy: Policy, contexts: ContextBlock, spread: Spread) -> None:
    """As the job works: block after block."""
    for first in range(0, len(contexts), ROWS):
        block = contexts.take(slice(first, first + ROWS))
        draw_slates(policy.propose(block), block.keys, 1, 3, spread)


def looped(scores_of: list[npt.NDArray[np.float64]], contexts: ContextBlock) -> None:
    """The plain way for given scores over the catalogue: per user sort, softmax, draw one after the other."""
    rng = np.random.default_rng(1)
    for row, scores in enumerate(scores_of):
        heard = set(contexts.tracks[row][contexts.in_session[row]].tolist())
        best = [track for track in np.argsort(-scores)[:230].tolist() if track not in heard][:200]
        chances = np.exp((scores[best] - scores[best].max()) / TEMPERATURE)
        chances = (1 - EXPLORE) * chances / chances.sum() + EXPLORE / len(best)
        for _ in range(3):
            drawn = int(rng.choice(len(best), p=chances / chances.sum()))
            chances[drawn] = 0


def knn_loop(catalogue: Catalogue, contexts: ContextBlock) -> None:
    """Item-kNN for one user after the other."""
    for row in range(min(LOOPED, len(contexts))):
        scores = np.zeros(len(catalogue))
        for age, place in enumerate(range(HISTORY - 1, -1, -1)):
            track = contexts.tracks[row, place]
            if track >= 0:
                weight = ANSWER_WEIGHTS[contexts.grades[row, place] + 1] * FADE**age
                np.add.at(scores, catalogue.neighbours[track], weight * catalogue.similarities[track])
        looped([scores / max(scores.max(), 1e-9)], contexts.take(slice(row, row + 1)))


def ddpg_loop(catalogue: Catalogue, contexts: ContextBlock, model: StandIn) -> None:
    """The actor's products and the critic's word for one user after the other."""
    actions = catalogue.actions
    for row in range(min(LOOPED, len(contexts))):
        one = contexts.take(slice(row, row + 1))
        states = encode_states(one, catalogue)
        products = (model.actor(states) @ actions.T)[0].astype(np.float64)
        near = np.argsort(-products)[:200]
        products[near] += model.serving.rerank_weight * model.critic(states, actions[near][None])[0]
        looped([products], one)


def run(size: str) -> list[Row]:
    """Rows of the bench: each policy blocked, and beside it the loop."""
    tracks, users = SIZES[size]
    catalogue, contexts = make_world(tracks, users)
    rng = np.random.default_rng(2)
    states, width = state_dim(COORDINATES), COORDINATES + 1
    model = StandIn(
        Serving(rerank=True, rerank_weight=1.0),
        rng.normal(size=(states, HIDDEN)).astype(np.float32),
        rng.normal(size=(HIDDEN, width)).astype(np.float32),
        rng.normal(scale=0.01, size=(states, width)).astype(np.float32),
    )
    spread, few = Spread.of(catalogue), min(LOOPED, users)
    label = f"{tracks:,} tracks, {users:,} contexts"
    loops = {
        "item_knn": measure("item_knn, a loop over users", size, few, lambda: knn_loop(catalogue, contexts)),
        "ddpg_w": measure("ddpg_w, a loop over users", size, few, lambda: ddpg_loop(catalogue, contexts, model)),
    }
    rows = list(loops.values())
    policies: list[Policy] = [Popularity(catalogue), ItemKnn(catalogue), DdpgW(model, catalogue)]
    for policy in policies:
        row = measure(f"{policy.name}, {label}", size, users, lambda policy=policy: blocked(policy, contexts, spread))  # type: ignore[misc]
        rows.append(against(row, loops[policy.name]) if policy.name in loops else row)
    return rows
