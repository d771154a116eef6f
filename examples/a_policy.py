"""A policy of one's own: the tracks that are skipped least. It is fitted, judged every night and shown on the page with

export MUSICBOX_POLICIES=examples.a_policy:LeastSkipped
"""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.policies.base import TEMPERATURE, Arrays
from musicbox_lib.policies.fit_inputs import FitInputs
from musicbox_lib.policies.ranking import WholeCatalogue

PRIOR = 20.0
"""Plays of the mean track that stand for what is not known of a track yet."""


class LeastSkipped(WholeCatalogue):
    """Score = share of the track's plays that were not skipped (skip_2), shrunk to that of all tracks."""

    name, label = "least_skipped", "least skipped"
    kept: NDArray[np.float64]

    @classmethod
    def fit(cls, inputs: FitInputs) -> Arrays:
        sample, size = inputs.sample, len(inputs.catalogue)
        plays, skips = (np.bincount(sample.tracks, weights, size) for weights in (None, sample.skips))
        return {"kept": 1 - (skips + PRIOR * sample.skips.mean()) / (plays + PRIOR)}

    @classmethod
    def from_arrays(cls, arrays: Arrays, catalogue: Catalogue, temperature: float = TEMPERATURE) -> Self:
        policy = cls(catalogue, temperature)
        policy.kept = arrays["kept"]
        return policy

    def scores(self, contexts: ContextBlock) -> NDArray[np.float64]:
        return np.tile(self.kept, (len(contexts), 1))
