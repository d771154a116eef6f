"""The plays that baselines are fitted on: the training folds' plays as a frame, and a bounded sample with the contexts
before them, from Spark to this process in one fixed order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import functions as F

from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import HISTORY, ContextBlock
from musicbox_lib.blocks.folds import TRAINING_FOLDS, VALIDATION_FOLD
from musicbox_lib.blocks.grades import REWARDS
from musicbox_lib.sessions.contexts import as_contexts, is_training_fold, user_fold

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MOST_SESSIONS = 20_000
"""Stored training sessions, the newest: some 340,000 plays, 4 MB, and 2,000 contexts against them in a second."""
_BLOCK = (
    "place bigint, user_id string, tracks array<int>, grades array<tinyint>, n_in_session int, context tinyint, "
    "hour tinyint, shuffle boolean, premium boolean, user_plays bigint, user_skips bigint, fold tinyint, "
    "track int, grade tinyint, propensity double"
)


@dataclass(frozen=True)
class Plays:
    """n labelled plays of tracks that the catalogue knows, each with the context before it."""

    contexts: ContextBlock
    tracks: NDArray[np.int32]
    """(n,)"""
    grades: NDArray[np.int8]
    """(n,) 0 to 3."""
    propensities: NDArray[np.float64]
    """(n,) NaN where the log has none."""

    def __len__(self) -> int:
        return len(self.tracks)

    @property
    def skips(self) -> NDArray[np.int64]:
        """(n,) skip_2, 0 or 1."""
        return (self.grades >= 2).astype(np.int64)

    @property
    def rewards(self) -> NDArray[np.float64]:
        """(n,)"""
        rewards: NDArray[np.float64] = np.array(REWARDS)[self.grades]
        return rewards

    def take(self, rows: NDArray[Any]) -> Plays:
        """The plays of a mask or of positions."""
        return Plays(self.contexts.take(rows), self.tracks[rows], self.grades[rows], self.propensities[rows])


@dataclass(frozen=True)
class StoredSessions:
    """S sessions with N plays in all, the plays in the order of the sessions."""

    users: NDArray[np.int64]
    """(S,) codes."""
    session: NDArray[np.int64]
    """(N,) 0 to S - 1."""
    tracks: NDArray[np.int32]
    """(N,) positions in the catalogue."""
    grades: NDArray[np.int8]
    """(N,) 0 to 3, -1 for a play without a label."""

    @property
    def worth(self) -> NDArray[np.float64]:
        """(N,) the reward of each play, NaN for a play without a label."""
        worth: NDArray[np.float64] = np.array([*REWARDS, np.nan])[self.grades]
        return worth


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


def newest_sessions(plays: DataFrame) -> StoredSessions:
    """The training sessions heard last, at most MOST_SESSIONS, newest first, from `training_plays`."""
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
    return StoredSessions(
        users=np.unique(rows.column("user").to_numpy(), return_inverse=True)[1],
        session=np.repeat(np.arange(len(lengths)), lengths),
        tracks=positions,
        grades=grades,
    )


def sampled_plays(
    events: DataFrame, catalogue: Catalogue, *, most_training: int, most_validation: int, seed: int
) -> tuple[Plays, Plays]:
    """Plays of the training folds and of the validation fold, at most so many of each, chosen by a hash of session,
    position and seed. The rows that reach this process are those and no others, 400 bytes each."""
    kept = events.where(user_fold(F.col("user_id")) <= VALIDATION_FOLD)
    trains = user_fold(F.col("user_id")) < TRAINING_FOLDS
    counted = kept.where("skip_grade IS NOT NULL").groupBy(trains.alias("trains")).count().collect()
    counts = {bool(row["trains"]): int(row["count"]) for row in counted}
    shares = {True: most_training / max(counts.get(True, 0), 1), False: most_validation / max(counts.get(False, 0), 1)}
    place = F.xxhash64(F.lit(seed), "session_id", "session_position")
    share = F.when(F.col("fold") < TRAINING_FOLDS, F.lit(shares[True])).otherwise(F.lit(shares[False]))
    sent = events.sparkSession.sparkContext.broadcast(catalogue)

    def encode(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield encoded(batch, sent.value)

    rows = (
        kept.transform(as_contexts)
        .where(F.col("skip_grade").isNotNull())
        .withColumn("place", place)
        # 64 bits over 2 to the 53: a number in [0, 1) for every hash.
        .where(F.shiftrightunsigned("place", 11) / F.lit(float(2**53)) < share)
        .mapInArrow(encode, _BLOCK)
        .toArrow()
    )
    plays, places = _as_plays(rows)
    trains_now = plays.contexts.fold < TRAINING_FOLDS
    return (
        plays.take(_first(places, trains_now, most_training)),
        plays.take(_first(places, ~trains_now, most_validation)),
    )


def encoded(batch: pa.RecordBatch, catalogue: Catalogue) -> pa.RecordBatch:
    """A batch of contexts with their plays, tracks as positions; plays of unknown tracks are left out."""
    tracks = catalogue.positions(batch.column("track_id"))
    batch, tracks = batch.filter(pa.array(tracks >= 0)), tracks[tracks >= 0]
    block = ContextBlock.of(batch, catalogue)
    offsets = pa.array(np.arange(len(block) + 1, dtype=np.int32) * HISTORY)
    columns = {
        "place": batch.column("place"),
        "user_id": batch.column("user_id"),
        "tracks": pa.ListArray.from_arrays(offsets, pa.array(block.tracks.ravel())),
        "grades": pa.ListArray.from_arrays(offsets, pa.array(block.grades.ravel())),
        "track": pa.array(tracks),
        "grade": batch.column("skip_grade"),
        "propensity": batch.column("propensity"),
    }
    names = [field.split()[0] for field in _BLOCK.split(", ")]
    return pa.RecordBatch.from_arrays(
        [columns[name] if name in columns else pa.array(getattr(block, name)) for name in names], names=names
    )


def _as_plays(rows: pa.Table) -> tuple[Plays, NDArray[np.int64]]:
    """The plays in the order of their hashes, which no partitioning changes."""

    def column(name: str, kind: Any) -> NDArray[Any]:
        return np.asarray(rows.column(name).to_numpy(zero_copy_only=False)).astype(kind)

    def history(name: str, kind: Any) -> NDArray[Any]:
        lists = rows.column(name).combine_chunks()
        values = lists.flatten() if rows.num_rows else pa.array([], pa.int32())
        return np.asarray(values.to_numpy(zero_copy_only=False)).astype(kind).reshape(-1, HISTORY)

    n_in_session = column("n_in_session", np.int32)
    contexts = ContextBlock(
        keys=column("user_id", np.str_),
        tracks=history("tracks", np.int32),
        grades=history("grades", np.int8),
        in_session=np.arange(HISTORY) >= HISTORY - n_in_session[:, None],
        n_in_session=n_in_session,
        context=column("context", np.int8),
        hour=column("hour", np.int8),
        shuffle=column("shuffle", np.bool_),
        premium=column("premium", np.bool_),
        user_plays=column("user_plays", np.int64),
        user_skips=column("user_skips", np.int64),
        fold=column("fold", np.int8),
    )
    propensities = column("propensity", np.float64)
    plays = Plays(contexts, column("track", np.int32), column("grade", np.int8), propensities)
    places = column("place", np.int64)
    order = np.argsort(places.view(np.uint64), kind="stable")
    return plays.take(order), places[order]


def _first(places: NDArray[np.int64], mask: NDArray[np.bool_], most: int) -> NDArray[np.int64]:
    """Positions of the first `most` rows where the mask holds: the hash's share is near the bound, this is it."""
    return np.flatnonzero(mask)[: min(most, len(places))]
