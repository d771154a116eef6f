"""What the unsupervised baselines are made of, counted and factorised in Spark from the training folds' plays: track-
level arrays and a bounded number of sessions come to this process, plays and users never."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import functions as F
from scipy import sparse

from musicbox_lib.policies.als import RATINGS, Factors
from musicbox_lib.policies.candidates import highest
from musicbox_lib.policies.catalogue import NEIGHBOURS, Catalogue
from musicbox_lib.policies.interface import CONTEXT_TYPES
from musicbox_lib.policies.item_knn_by_user import Neighbours
from musicbox_lib.policies.ranking import CELLS
from musicbox_lib.policies.session_knn import MOST_SESSIONS, Sessions
from musicbox_lib.sessions.contexts import is_training_fold
from musicbox_lib.training.reward import REWARDS

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

RANK = 16
ITERATIONS = 8
ALPHA = 5.0
REGULARISATION = 0.3
"""Of ALS, the best of nine settings by the validation fold's plays (docs/decisions/0013)."""
BLOCKS = 2
"""Of ALS's users and tracks. Y'Y is added up over blocks in the order in which tasks end; two numbers have one sum."""
CHANCE = 10.0
"""Added to the pairs that chance expects, below the root; 3 and 10 measured alike (docs/decisions/0013)."""
MOST_USERS = 2**31 - 1
"""ALS wants numbers below that for users: a hash gives them, and of a million users some 230 share one with another,
which makes one rater of the two."""


def training_plays(events: DataFrame, catalogue: Catalogue) -> DataFrame:
    """The plays of the training folds' users with their track's `position` in the catalogue."""
    spark = events.sparkSession
    positions: Any = pa.table(
        {
            "track_id": pa.array(catalogue.track_ids.astype(object), pa.string()),
            "position": pa.array(np.arange(len(catalogue), dtype=np.int32)),
        }
    )
    known = F.broadcast(spark.createDataFrame(positions))
    return events.where(is_training_fold(F.col("user_id"))).join(known, "track_id")


def plays_by_context(plays: DataFrame, catalogue: Catalogue) -> NDArray[np.int64]:
    """(contexts, K) plays in the order of CONTEXT_TYPES, from `training_plays`."""
    counted = plays.groupBy("context_type", "position").count().toPandas()
    counted = counted[counted["context_type"].isin(CONTEXT_TYPES)]
    block = np.zeros((len(CONTEXT_TYPES), len(catalogue)), dtype=np.int64)
    codes = counted["context_type"].map({name: code for code, name in enumerate(CONTEXT_TYPES)})
    block[codes.to_numpy(np.int64), counted["position"].to_numpy(np.int64)] = counted["count"]
    return block


def newest_sessions(plays: DataFrame, catalogue: Catalogue) -> tuple[Sessions, Neighbours]:
    """The training sessions heard last, at most MOST_SESSIONS, newest first, from `training_plays`; and the neighbours
    of each track among the users of those sessions."""
    heard = F.struct("session_position", "position", F.coalesce("skip_grade", F.lit(-1)).alias("grade"))
    rows: Any = (
        plays.groupBy("session_id")
        .agg(
            F.max("user_id").alias("user_id"),
            F.max("session_date").alias("session_date"),
            F.max("session_hour").alias("session_hour"),
            F.sort_array(F.collect_list(heard)).alias("heard"),
        )
        .orderBy(F.desc("session_date"), F.desc("session_hour"), "session_id")
        .limit(MOST_SESSIONS)
        .select(
            F.xxhash64("user_id").alias("user"),
            F.col("heard.position").alias("positions"),
            F.col("heard.grade").alias("grades"),
        )
        .toArrow()
    )
    lists = [rows.column(name).combine_chunks() for name in ("positions", "grades")]
    lengths = np.asarray(pa.compute.list_value_length(lists[0]).to_numpy(zero_copy_only=False), np.int64)
    positions, grades = (np.asarray(column.flatten().to_numpy(zero_copy_only=False)) for column in lists)
    # An unlabelled play is worth what the plays are worth on average, so above it nothing.
    worth = np.array([*REWARDS, np.nan])[grades]
    above = np.nan_to_num(worth - (np.nanmean(worth) if (grades >= 0).any() else 0.0))
    at = (np.repeat(np.arange(len(lengths)), lengths), positions)
    shape = (len(lengths), len(catalogue))
    played = sparse.csr_matrix((np.ones(len(positions)), at), shape=shape)
    played.data[:] = 1.0  # a track heard twice in a session counts once
    norms = np.sqrt(np.asarray(played.sum(axis=1)).ravel())
    scaled = sparse.diags(1 / np.maximum(norms, 1.0)) @ played
    users = np.unique(rows.column("user").to_numpy(), return_inverse=True)[1]
    # Every play counts, one that was let play up to twice: what is played says more of a taste than how it is answered.
    counted = 1 + np.nan_to_num(worth)
    by_user = sparse.csr_matrix((counted, (users[at[0]], positions)), shape=(users.max(initial=-1) + 1, len(catalogue)))
    sessions = Sessions(played=scaled.tocsr(), rewards=sparse.csr_matrix((above, at), shape=shape))
    return sessions, neighbours_by_user(by_user)


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


def als_factors(plays: DataFrame, catalogue: Catalogue, seed: int) -> Factors:
    """Item factors by Spark's ALS on the sums of RATINGS by user and track, from `training_plays`."""
    from pyspark.ml.recommendation import ALS

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
    values = F.array(*[F.lit(float(value)) for value in (*RATINGS[:4], RATINGS[-1])])
    return F.element_at(values, F.when(grade >= 0, grade + 1).otherwise(F.lit(len(RATINGS))).cast("int"))
