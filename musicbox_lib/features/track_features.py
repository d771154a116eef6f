"""`gold.track_features`: what is known of each track at the end of a day."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import Window
from pyspark.sql import functions as F

from musicbox_lib.blocks.folds import FOLDS, TRAINING_FOLDS
from musicbox_lib.contract.tables import table
from musicbox_lib.contract.typed import contract
from musicbox_lib.errors import DataRefused
from musicbox_lib.features.audio import COLUMNS, legacy_audio, scaled_audio
from musicbox_lib.features.quality import quality_by_fold, shrunk_rate
from musicbox_lib.features.rows import as_rows
from musicbox_lib.sessions.contexts import user_fold
from musicbox_lib.sessions.reward import reward

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

UNIT = 10_000
"""Residuals are summed as whole ten-thousandths: sums of integers do not depend on the order in which partitions
arrive, so a re-run gives the same bits."""
USER_PRIOR = (0.4, 5.0)
"""Reward of the real log (.333 not skipped, .02 to .13 skip_3 only) and the plays it weighs in a user's mean: a user's
level has a variance of about .04, a play one of .2 (docs/method.md#sources-of-constants). An offset of the first is
taken out with the places."""
PLACES = 6
"""The real log's skip rate climbs from .377 to .53 over the first five places and is level from there
(docs/method.md#the-generated-world)."""
DESCRIBED = ("title", "artist", "genre", "release_year", "duration", "preview_url")


@contract(takes={"events": "silver.listening_events", "tracks": "silver.known_tracks"}, gives="gold.track_features")
def track_features(events: DataFrame, tracks: DataFrame, run_date: dt.date) -> DataFrame:
    """One row per track played or delivered up to `run_date`, from the plays and the delivered track rows up to
    then; `tracks` may be empty: audio and names are null then. Sums by track come to one process, plays never.
    Raises DataRefused where there is no track at all."""
    sums = events.transform(sums_by_track).toPandas()
    described = tracks.transform(newest_delivery).toPandas()
    track_ids = np.unique(np.concatenate([sums["track_id"], described["track_id"]]).astype(np.str_))
    if not len(track_ids):
        raise DataRefused(f"there is no play and no track up to {run_date}: land a delivery and run the jobs before.")
    described = described.set_index("track_id").reindex(track_ids)
    measured = {name: _by_fold_and_place(sums, name, track_ids) for name in ("plays", "n", "skips", "total", "squares")}
    plays, n, skips = (measured[name].sum(axis=(1, 2)) for name in ("plays", "n", "skips"))
    audio, has_audio = scaled_audio(described)
    legacy, has_legacy = legacy_audio(described)
    columns: dict[str, Any] = {
        "dt": [run_date] * len(track_ids),
        "track_id": track_ids,
        "plays": plays,
        "labelled_plays": n,
        "skip_rate": np.divide(skips, n, out=np.full(len(n), np.nan), where=n > 0),
        "skip_rate_shrunk": shrunk_rate(skips.astype(np.float64), n.astype(np.float64)),
        "play_share": plays / max(plays.sum(), 1),
        "quality_by_fold": quality_by_fold(
            measured["n"].astype(np.float64), measured["total"] / UNIT, measured["squares"] / UNIT**2
        ),
        "train_plays": measured["plays"][:, :TRAINING_FOLDS].sum(axis=(1, 2)),
        "audio": (audio, has_audio),
        "legacy_audio": (legacy, has_legacy),
        **{name: described[name] for name in DESCRIBED},
    }
    return as_rows(events.sparkSession, columns, table("gold.track_features"))


def newest_delivery(tracks: DataFrame) -> DataFrame:
    """One row per track of `silver.known_tracks`, what is described and its audio: of several deliveries the newest, in
    one delivery the last line."""
    values = list(dict.fromkeys([*DESCRIBED, *COLUMNS]))
    newest = F.max_by(F.struct(*values), F.struct("dt", "file", "line"))
    return tracks.groupBy("track_id").agg(newest.alias("newest")).select("track_id", "newest.*")


def sums_by_track(events: DataFrame) -> DataFrame:
    """One row per (track_id, fold, place) of the plays: `plays`, of these labelled `n` and skipped (skip_2) `skips`,
    and `total` and `squares` of the rewards above their users' means, in ten-thousandths and their squares."""
    level, weight = USER_PRIOR
    user = Window.partitionBy("user_id")
    mean = (F.sum("reward").over(user) + level * weight) / (F.count("reward").over(user) + weight)
    place = F.least("session_position", F.lit(PLACES)) - 1
    return (
        events.select("user_id", "track_id", "skip_grade", place.alias("place"))
        .withColumns({"fold": user_fold(F.col("user_id")), "reward": reward(F.col("skip_grade"))})
        .withColumn("residual", F.round(UNIT * (F.col("reward") - mean)).cast("bigint"))
        .groupBy("track_id", "fold", "place")
        .agg(
            F.count("*").alias("plays"),
            F.count("skip_grade").alias("n"),
            F.coalesce(F.sum((F.col("skip_grade") >= 2).cast("int")), F.lit(0)).alias("skips"),
            F.coalesce(F.sum("residual"), F.lit(0)).alias("total"),
            F.coalesce(F.sum(F.col("residual") * F.col("residual")), F.lit(0)).alias("squares"),
        )
    )


def _by_fold_and_place(sums: pd.DataFrame, name: str, track_ids: NDArray[np.str_]) -> NDArray[np.int64]:
    """(K, 10, 6) one measure of `sums_by_track`; 0 where nothing was played."""
    block = np.zeros((len(track_ids), FOLDS, PLACES), dtype=np.int64)
    tracks = np.searchsorted(track_ids, sums["track_id"].to_numpy(dtype=np.str_))
    block[tracks, sums["fold"], sums["place"]] = sums[name]
    return block
