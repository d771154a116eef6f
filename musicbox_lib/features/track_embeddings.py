"""`gold.track_embeddings`: where each track lies among those it is heard with."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Window
from pyspark.sql import functions as F

from musicbox_lib.contract.tables import table
from musicbox_lib.contract.typed import contract
from musicbox_lib.features.coordinates import Pairs, coordinates
from musicbox_lib.features.neighbours import nearest
from musicbox_lib.features.rows import as_rows
from musicbox_lib.sessions.contexts import is_training_fold

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

REACH = 19
"""Plays of one session at most so far apart make a pair: a whole session of the real log, which ends at 20."""
MOST_PAIRS = 10_000_000
"""Pairs that go to one process: about 100 bytes each with their ids, and 200 for each of 50,000 tracks."""


@contract(
    takes={"events": "silver.listening_events", "track_features": "gold.track_features"}, gives="gold.track_embeddings"
)
def track_embeddings(events: DataFrame, track_features: DataFrame, run_date: dt.date) -> DataFrame:
    """One row per track of `track_features`, learned from the plays up to `run_date` of the training folds' users.
    Counts of pairs of tracks come to one process, plays never."""
    tracks = track_features.select("track_id", "audio").toPandas().sort_values("track_id", ignore_index=True)
    track_ids = tracks["track_id"].to_numpy(dtype=np.str_)
    counted = events.transform(pairs_of_plays)
    if len(tracks) * (len(tracks) + 1) / 2 > MOST_PAIRS:
        counted = strongest(counted, MOST_PAIRS // (2 * len(tracks)))
    pairs = _as_positions(counted.toPandas(), track_ids)
    has_audio = tracks["audio"].notna().to_numpy()
    audio = np.stack(tracks.loc[has_audio, "audio"].tolist()) if has_audio.any() else None
    embedding, heard = coordinates(pairs, has_audio, audio)
    neighbours, similarities, lengths = nearest(pairs)
    source = np.select([heard & has_audio, heard, has_audio], ["sessions+audio", "sessions", "audio"], "none")
    columns = {
        "dt": [run_date] * len(tracks),
        "track_id": track_ids,
        "embedding": embedding,
        "source": source,
        "neighbours": _lists(pa.array(track_ids[neighbours].tolist(), pa.string()), lengths),
        "similarities": _lists(pa.array(similarities, pa.float32()), lengths),
    }
    return as_rows(events.sparkSession, columns, table("gold.track_embeddings"))


def pairs_of_plays(events: DataFrame) -> DataFrame:
    """One row per pair of tracks (`a` <= `b`) heard in one session of a training user at most 19 plays apart:
    `liked`, how often neither was skipped, and `weight_0`, `weight_1`, how often they were heard so, counted twice
    where neither was skipped, in two halves of the users. A track with itself counts its plays.

    What was played says more of a taste than how it was answered (in the pilot a session model closed
    .61 of the gap without what was played, .80 with it: docs/method.md#sources-of-constants), so every play counts."""
    back = Window.partitionBy("session_id").orderBy("session_position").rowsBetween(-REACH, 0)
    liked = F.coalesce(F.col("skip_grade") == 0, F.lit(False))
    both = (F.col("liked") & F.col("other.liked")).cast("int")
    weight = 1 + F.col("both")
    return (
        events.where(is_training_fold(F.col("user_id")))
        .select(
            "session_id",
            "session_position",
            "track_id",
            liked.alias("liked"),
            # Another hash than the folds', of which these are halves.
            F.pmod(F.xxhash64("user_id", F.lit("half")), F.lit(2)).alias("half"),
        )
        .withColumn("others", F.collect_list(F.struct("track_id", "liked")).over(back))
        .select("track_id", "liked", "half", F.explode("others").alias("other"))
        .select(
            F.least("track_id", "other.track_id").alias("a"),
            F.greatest("track_id", "other.track_id").alias("b"),
            "half",
            both.alias("both"),
        )
        .groupBy("a", "b")
        .agg(
            F.sum("both").cast("int").alias("liked"),
            F.sum(F.when(F.col("half") == 0, weight).otherwise(0)).cast("int").alias("weight_0"),
            F.sum(F.when(F.col("half") == 1, weight).otherwise(0)).cast("int").alias("weight_1"),
        )
    )


def strongest(pairs: DataFrame, n: int) -> DataFrame:
    """Of the pairs of two tracks, those among the n strongest of `a` with tracks after it or of `b` with tracks before
    it, which is at most 2n for each track; of a track with itself, all."""
    apart = F.col("a") < F.col("b")
    strength = F.desc(F.when(apart, F.col("weight_0") + F.col("weight_1")))
    return (
        pairs.withColumn("rank_of_a", F.row_number().over(Window.partitionBy("a").orderBy(strength, "b")))
        .withColumn("rank_of_b", F.row_number().over(Window.partitionBy("b").orderBy(strength, "a")))
        .where((F.col("rank_of_a") <= n) | (F.col("rank_of_b") <= n) | ~apart)
        .drop("rank_of_a", "rank_of_b")
    )


def _as_positions(counted: pd.DataFrame, track_ids: NDArray[np.str_]) -> Pairs:
    """The counted pairs by position, sorted: sums of floats then always add up in one order."""
    position = pd.Series(np.arange(len(track_ids), dtype=np.int64), index=track_ids)
    a, b = (position.reindex(counted[side]).to_numpy(dtype=np.int64) for side in ("a", "b"))
    order = np.lexsort((b, a))
    liked, first, second = (
        counted[name].to_numpy(dtype=np.float64)[order] for name in ("liked", "weight_0", "weight_1")
    )
    return Pairs(len(track_ids), a[order], b[order], liked, first, second)


def _lists(values: pa.Array, lengths: NDArray[np.int64]) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values)
