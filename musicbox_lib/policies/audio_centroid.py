"""What sounds like that which was liked: cosine to the centroid of the liked plays' audio."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.blocks.grades import REWARDS
from musicbox_lib.policies.base import TEMPERATURE, Arrays
from musicbox_lib.policies.pair_features import audio_units
from musicbox_lib.policies.ranking import WholeCatalogue

# By grade; -1, the unlabelled play, says nothing.
_LIKED = np.array([*REWARDS, 0.0], dtype=np.float32)


class AudioCentroid(WholeCatalogue):
    """Score = cosine of the track's audio with the reward-weighted mean of all plays' audio; embeddings take audio's
    place in a catalogue without any. A track without a vector, or a context with nothing liked, has no score."""

    name = "audio_centroid"
    label = "liked sound"

    def __init__(self, catalogue: Catalogue, temperature: float = TEMPERATURE) -> None:
        super().__init__(catalogue, temperature)
        self._units = catalogue.embedding if catalogue.audio is None else audio_units(catalogue)
        self._has_vector = (self._units != 0).any(axis=1)

    @classmethod
    def from_arrays(cls, arrays: Arrays, catalogue: Catalogue, temperature: float = TEMPERATURE) -> Self:  # noqa: ARG003
        """The policy of the catalogue alone: only its temperature is chosen on plays."""
        return cls(catalogue, temperature)

    def scores(self, contexts: ContextBlock) -> NDArray[np.float64]:
        """(n, K)"""
        liked = np.where(contexts.tracks >= 0, _LIKED[contexts.grades], np.float32(0))
        centroids = (liked[:, None, :] @ self._units[contexts.tracks.clip(min=0)])[:, 0]
        norms = np.linalg.norm(centroids, axis=1, keepdims=True)
        cosines = np.divide(centroids, norms, out=np.zeros_like(centroids), where=norms > 1e-6) @ self._units.T
        return np.where((norms > 1e-6) & self._has_vector, cosines.astype(np.float64), -np.inf)
