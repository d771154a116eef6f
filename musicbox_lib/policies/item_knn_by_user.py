"""Item k-nearest neighbours of another reach: tracks are alike that the same users play more often than chance, in
whichever session. The night's own neighbours (`item_knn`) are of one session, which leaves most pairs of tracks without
a single count."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from musicbox_lib.policies.catalogue import Catalogue
from musicbox_lib.policies.interface import ContextBlock
from musicbox_lib.policies.item_knn import ItemKnn
from musicbox_lib.policies.ranking import TEMPERATURE, Ranked

PLAYED_ON = np.array([0.25, 1.0, 1.0, 0.0, 0.0])
"""What a play says of its neighbours by its answer -1 to 3: those that skip_2 does not hold of, and unlabelled
ones a little (docs/decisions/0013)."""


@dataclass(frozen=True)
class Neighbours:
    """As in a catalogue: (K, 50) positions, nearest first, -1 pads; and their similarities."""

    positions: NDArray[np.int32]
    similarities: NDArray[np.float32]


class ItemKnnByUser(Ranked):
    """Score = that of `item_knn` with these neighbours, as a share of the row's best."""

    name = "item_knn_by_user"

    def __init__(self, catalogue: Catalogue, neighbours: Neighbours, temperature: float = TEMPERATURE) -> None:
        super().__init__(catalogue, temperature)
        self._knn = ItemKnn(
            replace(catalogue, neighbours=neighbours.positions, similarities=neighbours.similarities), PLAYED_ON
        )

    def candidates(self, contexts: ContextBlock) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The LIMIT best unheard tracks with a score above 0."""
        scores, tracks = self._knn.best(contexts)
        best = scores.max(axis=1, keepdims=True, initial=0.0)
        return tracks, np.round(np.divide(scores, best, out=np.zeros_like(scores), where=best > 0), 5)
