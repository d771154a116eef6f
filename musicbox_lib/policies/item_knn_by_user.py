"""Item k-nearest neighbours of another reach: tracks are alike that the same users play more often than chance, in
whichever session. The night's own neighbours (`item_knn`) are of one session, which leaves most pairs of tracks without
a single count."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from musicbox_lib.blocks.catalogue import NEIGHBOURS, Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.policies.base import TEMPERATURE, Arrays
from musicbox_lib.policies.fit_inputs import FitInputs
from musicbox_lib.policies.item_knn import ItemKnn
from musicbox_lib.policies.ranking import CELLS, Ranked
from musicbox_lib.policies.steps import highest

if TYPE_CHECKING:
    from scipy import sparse

    from musicbox_lib.policies.training_plays import StoredSessions

PLAYED_ON = np.array([0.25, 1.0, 1.0, 0.0, 0.0])
"""What a play says of its neighbours by its answer -1 to 3: those that skip_2 does not hold of, and unlabelled
ones a little (docs/decisions/0013)."""
CHANCE = 10.0
"""Added to the pairs that chance expects, below the root; 3 and 10 measured alike (docs/decisions/0013)."""


@dataclass(frozen=True)
class Neighbours:
    """As in a catalogue: (K, 50) positions, nearest first, -1 pads; and their similarities."""

    positions: NDArray[np.int32]
    similarities: NDArray[np.float32]


class ItemKnnByUser(Ranked):
    """Score = that of `item_knn` with these neighbours, as a share of the row's best."""

    name = "item_knn_by_user"
    label = "item-kNN over users"

    def __init__(self, catalogue: Catalogue, neighbours: Neighbours, temperature: float = TEMPERATURE) -> None:
        super().__init__(catalogue, temperature)
        self._knn = ItemKnn(
            replace(catalogue, neighbours=neighbours.positions, similarities=neighbours.similarities), PLAYED_ON
        )

    @classmethod
    def fit(cls, inputs: FitInputs) -> Arrays:
        """The neighbours of each track among the users of the newest sessions."""
        found = neighbours_by_user(plays_by_user(inputs.newest_sessions, len(inputs.catalogue)))
        return {"positions": found.positions, "similarities": found.similarities}

    @classmethod
    def from_arrays(cls, arrays: Arrays, catalogue: Catalogue, temperature: float = TEMPERATURE) -> Self:
        """The policy of those neighbours."""
        return cls(catalogue, Neighbours(arrays["positions"], arrays["similarities"]), temperature)

    def candidates(self, contexts: ContextBlock) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The LIMIT best unheard tracks with a score above 0."""
        scores, tracks = self._knn.best(contexts)
        best = scores.max(axis=1, keepdims=True, initial=0.0)
        return tracks, np.round(np.divide(scores, best, out=np.zeros_like(scores), where=best > 0), 5)


def plays_by_user(stored: StoredSessions, tracks: int) -> sparse.csr_matrix:
    """(users, K) weights of plays. Every play counts, one that was let play up to twice: what is played says more of a
    taste than how it is answered."""
    from scipy import sparse

    users = stored.users
    counted = 1 + np.nan_to_num(stored.worth)
    shape = (users.max(initial=-1) + 1, tracks)
    return sparse.csr_matrix((counted, (users[stored.session], stored.tracks)), shape=shape)


def neighbours_by_user(played: sparse.csr_matrix) -> Neighbours:
    """From (users, K) weights of plays, for each track the 50 that users have together with it most beyond chance:
    (c - e) / sqrt(e + CHANCE) above 0, for c the pairs counted and e = m_a m_b / T those expected. In blocks of tracks;
    equal ones by position."""
    size = played.shape[1]
    itself = np.asarray(played.multiply(played).sum(axis=0)).ravel()
    pairs = played.T @ np.asarray(played.sum(axis=1)).ravel() - itself
    positions = np.full((size, NEIGHBOURS), -1, dtype=np.int32)
    similarities = np.zeros((size, NEIGHBOURS), dtype=np.float32)
    step = max(1, CELLS // max(size, 1))
    by_track = played.T.tocsr()
    for at in range(0, size, step):
        expected = np.outer(pairs[at : at + step], pairs) / max(pairs.sum(), 1.0)
        block = ((by_track[at : at + step] @ played).toarray() - expected) / np.sqrt(expected + CHANCE)
        rows = np.arange(len(block))
        block[rows, at + rows] = 0.0
        columns = highest(block, NEIGHBOURS)
        order = np.argsort(-np.take_along_axis(block, columns, axis=1), axis=1, kind="stable")
        nearest = np.take_along_axis(columns, order, axis=1)
        found = np.take_along_axis(block, nearest, axis=1)
        positions[at : at + step, : nearest.shape[1]] = np.where(found > 0, nearest, -1)
        similarities[at : at + step, : nearest.shape[1]] = np.where(found > 0, found, 0.0)
    return Neighbours(positions, similarities)
