"""A boosted skip model, greedy over what the logistic model ranks best: some 150 trees for each of 2,000 tracks would
take minutes for a night's users, for 200 of them it is seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from musicbox_lib.policies.catalogue import Catalogue
from musicbox_lib.policies.interface import ContextBlock
from musicbox_lib.policies.pair_features import FEATURES, Pairs
from musicbox_lib.policies.ranking import TEMPERATURE, Ranked
from musicbox_lib.policies.skip_logistic import SkipLogistic

if TYPE_CHECKING:
    import lightgbm

ROWS = 500
"""Contexts whose 200 candidates are listed at a time: 500 x 200 x 42 floats are 17 MB."""


class SkipLightgbm(Ranked):
    """Score = -logit of skip_2 by the trees, for the candidates of `skip_logistic`."""

    name = "skip_lightgbm"

    def __init__(
        self,
        catalogue: Catalogue,
        booster: lightgbm.Booster,
        shortlist: SkipLogistic,
        temperature: float = TEMPERATURE,
    ) -> None:
        super().__init__(catalogue, temperature)
        self._booster = booster
        self._shortlist = shortlist

    def candidates(self, contexts: ContextBlock) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The logistic model's candidates (n, C) with the trees' scores."""
        tracks, _ = self._shortlist.candidates(contexts)
        scores = np.zeros(tracks.shape)
        for at in range(0, len(contexts), ROWS):
            rows = slice(at, at + ROWS)
            held = tracks[rows].clip(min=0)
            listed = Pairs(contexts.take(rows), self.catalogue).features(held, self.catalogue.quality[held])
            flat = listed.reshape(-1, len(FEATURES))
            logits = np.asarray(self._booster.predict(flat, raw_score=True, num_threads=1))
            scores[rows] = -np.round(logits, 5).reshape(held.shape)
        return tracks, np.where(tracks >= 0, scores, 0.0)
