"""Implicit-feedback matrix factorisation (Hu, Koren, Volinsky 2008), fitted by Spark's ALS; users are folded in from
their contexts, so that one whom no training has seen is served like any other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.blocks.grades import REWARDS
from musicbox_lib.policies.base import TEMPERATURE, Arrays
from musicbox_lib.policies.fit_inputs import FitInputs
from musicbox_lib.policies.ranking import WholeCatalogue

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

RATINGS = np.array([*REWARDS, 0.3], dtype=np.float64)
"""What a play adds to the rating of its track, by grade 0 to 3, then unlabelled (about the mean of the real log, whose
plays are a third not skipped)."""
RANK = 16
ITERATIONS = 8
ALPHA = 5.0
REGULARISATION = 0.3
"""Of ALS, the best of nine settings by the validation fold's plays (docs/decisions/0013)."""
BLOCKS = 2
"""Of ALS's users and tracks. Y'Y is added up over blocks in the order in which tasks end; two numbers have one sum."""
MOST_USERS = 2**31 - 1
"""ALS wants numbers below that for users: a hash gives them, and of a million users some 230 share one with another,
which makes one rater of the two."""
ROWS = 500
"""Users solved at a time: 500 x 64 x 32 doubles are 8 MB."""


@dataclass(frozen=True)
class Factors:
    """What Spark's ALS found, and with which settings."""

    items: NDArray[np.float32]
    """(K, r), zeros for tracks that no training user was worth a rating for."""
    alpha: float
    """Confidence in a rating r is 1 + alpha r."""
    regularisation: float
    """Times the number of a user's rated tracks, as Spark scales it."""


class Als(WholeCatalogue):
    """Score = the user's factor times the track's; nothing for a track without factor or a user without a rating."""

    name = "als"
    label = "ALS"

    def __init__(self, catalogue: Catalogue, factors: Factors, temperature: float = TEMPERATURE) -> None:
        super().__init__(catalogue, temperature)
        self._items = factors.items.astype(np.float64)
        self._factors = factors
        self._gram = self._items.T @ self._items
        self._has_factor = (factors.items != 0).any(axis=1)

    @classmethod
    def fit(cls, inputs: FitInputs) -> Arrays:
        """The factors of the tracks, and the settings that a fold-in needs."""
        found = als_factors(inputs.plays, inputs.catalogue, inputs.seed)
        return {"items": found.items, "settings": np.array([found.alpha, found.regularisation])}

    @classmethod
    def from_arrays(cls, arrays: Arrays, catalogue: Catalogue, temperature: float = TEMPERATURE) -> Self:
        """The policy of those factors."""
        alpha, regularisation = (float(value) for value in arrays["settings"])
        return cls(catalogue, Factors(arrays["items"], alpha, regularisation), temperature)

    def scores(self, contexts: ContextBlock) -> NDArray[np.float64]:
        """(n, K)"""
        users = np.concatenate(
            [self.user_factors(contexts.take(slice(at, at + ROWS))) for at in range(0, max(len(contexts), 1), ROWS)]
        )
        usable = (users != 0).any(axis=1, keepdims=True) & self._has_factor
        return np.where(usable, users @ self._items.T, -np.inf)

    def user_factors(self, contexts: ContextBlock) -> NDArray[np.float64]:
        """(n, r) the closed form of ALS's user step for the plays of the contexts' histories: the u of
        (Y'Y + alpha sum r y y' + regularisation n_u) u = sum (1 + alpha r) y over the user's n_u rated tracks."""
        alpha, rank = self._factors.alpha, self._items.shape[1]
        ratings, first = _by_track(contexts)
        tracks = self._items[contexts.tracks.clip(min=0)]  # (n, 64, r)
        confidence = alpha * ratings
        rated = first & (ratings > 0)
        weighted = tracks * np.where(first, confidence, 0.0)[:, :, None]
        left = self._gram + tracks.transpose(0, 2, 1) @ weighted
        left = left + (self._factors.regularisation * rated.sum(axis=1) + 1e-9)[:, None, None] * np.eye(rank)
        right = (tracks * np.where(rated, 1 + confidence, 0.0)[:, :, None]).sum(axis=1)
        return np.asarray(np.linalg.solve(left, right[:, :, None])[:, :, 0], np.float64)


def _by_track(contexts: ContextBlock) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(n, 64) the sum of ratings of the play's track over the history, and whether the play is the track's first
    there, which stands for all of them."""
    order = np.argsort(contexts.tracks, axis=1, kind="stable")
    tracks = np.take_along_axis(contexts.tracks, order, axis=1)
    opens = np.ones(tracks.shape, dtype=np.bool_)
    opens[:, 1:] = tracks[:, 1:] != tracks[:, :-1]
    group = np.cumsum(opens.ravel()).reshape(tracks.shape) - 1
    plays = np.where(contexts.tracks >= 0, RATINGS[contexts.grades], 0.0)
    sums = np.bincount(group.ravel(), np.take_along_axis(plays, order, axis=1).ravel())
    ratings, first = np.empty(tracks.shape), np.empty(tracks.shape, dtype=np.bool_)
    np.put_along_axis(ratings, order, sums[group], axis=1)
    np.put_along_axis(first, order, opens, axis=1)
    return ratings, first & (contexts.tracks >= 0)


def als_factors(plays: DataFrame, catalogue: Catalogue, seed: int) -> Factors:
    """Item factors by Spark's ALS on the sums of RATINGS by user and track, from `FitInputs.plays`."""
    from pyspark.ml.recommendation import ALS
    from pyspark.sql import functions as F

    rated = (
        plays.withColumn("rating", rating(F.coalesce("skip_grade", F.lit(-1))))
        .groupBy(F.pmod(F.xxhash64("user_id"), F.lit(MOST_USERS)).cast("int").alias("user"), "position")
        # Ratings are tenths: their sum is the same in any order, once it is rounded to them.
        .agg(F.round(F.sum("rating"), 1).cast("float").alias("rating"))
        .where("rating > 0")
        # One sorted partition, for ALS lays out its blocks in the order of arrival: 13 million ratings are 150 MB.
        .coalesce(1)
        .sortWithinPartitions("user", "position")
    )
    items = np.zeros((len(catalogue), RANK), dtype=np.float32)
    if not rated.isEmpty():
        model: Any = ALS(
            rank=RANK, maxIter=ITERATIONS, regParam=REGULARISATION, implicitPrefs=True, alpha=ALPHA, seed=seed,
            numUserBlocks=BLOCKS, numItemBlocks=BLOCKS, userCol="user", itemCol="position", ratingCol="rating",
        ).fit(rated)  # fmt: skip
        found = model.itemFactors.toPandas()
        items[found["id"].to_numpy(np.int64)] = np.stack(found["features"].to_list())
    return Factors(items=items, alpha=ALPHA, regularisation=REGULARISATION)


def rating(grade: Column) -> Column:
    """RATINGS of a grade 0 to 3, or of -1 for a play without a label."""
    from pyspark.sql import functions as F

    values = F.array(*[F.lit(float(value)) for value in (*RATINGS[:4], RATINGS[-1])])
    return F.element_at(values, F.when(grade >= 0, grade + 1).otherwise(F.lit(len(RATINGS))).cast("int"))
