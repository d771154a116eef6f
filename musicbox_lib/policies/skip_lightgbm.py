"""A boosted skip model, greedy over what the logistic model ranks best: some 150 trees for each of 2,000 tracks would
take minutes for a night's users, for 200 of them it is seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.policies.base import TEMPERATURE, Arrays
from musicbox_lib.policies.fit_inputs import FitInputs
from musicbox_lib.policies.pair_features import FEATURES, Pairs, refuse_other_features
from musicbox_lib.policies.ranking import Ranked
from musicbox_lib.policies.skip_logistic import SkipLogistic

if TYPE_CHECKING:
    import lightgbm

TREES = 100
LIGHTGBM = {
    "objective": "binary",
    "learning_rate": 0.08,
    "num_leaves": 15,
    "min_data_in_leaf": 100,
    "lambda_l2": 10.0,
    "feature_fraction": 0.7,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
"""Small trees, well regularised (docs/decisions/0013). `deterministic` wants one way of building histograms, and the
number of threads is part of the result: one, because two wait for each other at full speed where a core is busy (100
trees took them 27 s on one run and 157 s on another)."""
ROWS = 500
"""Contexts whose 200 candidates are listed at a time: 500 x 200 x 42 floats are 17 MB."""


class SkipLightgbm(Ranked):
    """Score = -logit of skip_2 by the trees, for the candidates of `skip_logistic`."""

    name = "skip_lightgbm"
    label = "skip model, trees"

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

    @classmethod
    def fit(cls, inputs: FitInputs) -> Arrays:
        """The trees as the bytes of LightGBM's own text, and the shortlist's coefficients: fitted here a second time,
        which takes some 2 s, so that the arrays of a policy are whole by themselves."""
        booster = fit_lightgbm(inputs.features, inputs.sample.skips, inputs.seed)
        text = np.frombuffer(booster.model_to_string().encode(), np.uint8)
        return {"booster": text, **SkipLogistic.fit(inputs)}

    @classmethod
    def from_arrays(cls, arrays: Arrays, catalogue: Catalogue, temperature: float = TEMPERATURE) -> Self:
        """The policy of those trees; raises DataRefused where their features are not this code's."""
        import lightgbm

        refuse_other_features(cls.name, arrays["features"])
        booster = lightgbm.Booster(model_str=arrays["booster"].tobytes().decode())
        return cls(catalogue, booster, SkipLogistic.from_arrays(arrays, catalogue), temperature)

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


def fit_lightgbm(features: NDArray[np.float32], skips: NDArray[np.int64], seed: int) -> lightgbm.Booster:
    """Boosted trees for the logit of skip_2."""
    import lightgbm

    rows = lightgbm.Dataset(features, label=skips, feature_name=list(FEATURES))
    return lightgbm.train({**LIGHTGBM, "seed": seed}, rows, num_boost_round=TREES)
