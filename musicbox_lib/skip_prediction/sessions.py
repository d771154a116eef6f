"""Whole sessions of silver.listening_events as blocks of numpy, and how tracks were answered, by fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pyspark.sql import Window
from pyspark.sql import functions as F

from musicbox_lib.blocks.folds import FOLDS
from musicbox_lib.errors import DataRefused
from musicbox_lib.sessions.contexts import user_fold

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

PLAYS = 20
"""Plays of the longest session: the dataset cuts there, and silver refuses more."""
FITTED_SESSIONS = 10_000
"""Sessions, chosen by a hash, that one process fits on and judges. With the splits that `second_half` learns from,
the four parts that a model reads are 560,000 rows of 100 floats, 220 MB; of the challenge's 130 million sessions they
would be 3 TB."""
UNIT = 10_000
"""Track sums are of whole ten-thousandths, so that they do not depend on the order in which partitions arrive."""
CONTEXTS = ("catalog", "charts", "editorial_playlist", "personalized_playlist", "radio", "user_collection")
STARTS = (*("appload", "backbtn", "clickrow", "endplay", "fwdbtn", "playbtn", "remote", "trackdone", "trackerror"),)
ENDS = ("backbtn", "endplay", "fwdbtn", "logout", "remote", "trackdone")
"""The words of the real log (silver's rules); a new one is a missing value."""
FLAGS = ("skip_1", "skip_2", "skip_3", "not_skipped", "is_shuffle", "premium")
NUMBERS = (
    *("skip_grade", "hour_of_day", "context_switch", "no_pause_before_play", "short_pause_before_play"),
    *("long_pause_before_play", "n_seekfwd", "n_seekback"),
)
WORDS: Mapping[str, tuple[str, ...]] = {"context_type": CONTEXTS, "reason_start": STARTS, "reason_end": ENDS}


@dataclass(frozen=True)
class Sessions:
    """S whole sessions, sorted by session_id, play p in column p - 1 of (S, 20) arrays."""

    session_ids: npt.NDArray[Any]
    user_ids: npt.NDArray[Any]
    folds: Integers
    """(S,) the user's fold, 0 to 9."""
    lengths: Integers
    tracks: Integers
    """(S, 20) positions in track_ids, -1 beyond the session's end."""
    track_ids: npt.NDArray[Any]
    columns: Mapping[str, Floats]
    """Flags, numbers, and words by their position; NaN beyond the session's end and where not delivered."""

    @classmethod
    def of(cls, plays: pa.Table) -> Sessions:
        """From the rows of `as_plays`. Raises DataRefused where there are none."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not plays.num_rows:
            raise DataRefused("skip_prediction: there is no whole session of two plays or more to judge.")
        plays = plays.sort_by([("session_id", "ascending"), ("session_position", "ascending")]).combine_chunks()
        place = plays["session_position"].to_numpy().astype(np.int64) - 1
        opens = np.flatnonzero(place == 0)
        session = np.cumsum(place == 0) - 1

        def grid(values: npt.NDArray[Any], missing: float) -> Floats:
            block = np.full((len(opens), PLAYS), missing)
            block[session, place] = values
            return block

        columns = {name: grid(_number(plays[name].cast(pa.float64())), np.nan) for name in (*FLAGS, *NUMBERS)}
        for name, words in WORDS.items():
            columns[name] = grid(_number(pc.index_in(plays[name], pa.array(words)).cast(pa.float64())), np.nan)
        track_ids = pc.unique(plays["track_id"]).sort()
        tracks = _number(pc.index_in(plays["track_id"], track_ids))
        return cls(
            session_ids=plays["session_id"].take(pa.array(opens)).to_numpy(),
            user_ids=plays["user_id"].take(pa.array(opens)).to_numpy(),
            folds=plays["fold"].to_numpy().astype(np.int64)[opens],
            lengths=plays["session_length"].to_numpy().astype(np.int64)[opens],
            tracks=grid(tracks, -1).astype(np.int64),
            track_ids=track_ids.to_numpy(zero_copy_only=False),
            columns=columns,
        )

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, name: str) -> Floats:
        return self.columns[name]

    def with_column(self, name: str, values: Floats) -> Sessions:
        """The same sessions with one column replaced."""
        return replace(self, columns={**self.columns, name: values})

    @cached_property
    def played(self) -> Bools:
        """(S, 20) which cells are plays."""
        return np.arange(PLAYS) < self.lengths[:, None]

    @cached_property
    def halves(self) -> Integers:
        """(S,) plays of the first half, floor(n / 2): the challenge takes positions with 2 p > n as the second half,
        so the middle play of an odd session is the second half's first."""
        return self.lengths // 2

    @cached_property
    def labelled(self) -> Bools:
        """(S, 20) plays whose skip_2 was delivered: the others are not judged. The challenge's log marks a play that
        nobody graded as false in all four flags; it counts it as not skipped, and so does this."""
        return self.played & np.isfinite(self["skip_2"])

    @cached_property
    def skips(self) -> Floats:
        """(S, 20) skip_2 as 0 or 1, 0 where there is no label."""
        return np.where(self.labelled, self["skip_2"], 0.0)

    @cached_property
    def earlier(self) -> Bools:
        """(S, 20, 20) whether play j (last) came before play i and had its track."""
        same = (self.tracks[:, :, None] == self.tracks[:, None, :]) & self.played[:, :, None]
        before: Bools = same & np.tri(PLAYS, PLAYS, -1, dtype=np.bool_)
        return before


def _number(column: Any) -> npt.NDArray[Any]:
    return np.asarray(column.to_numpy(zero_copy_only=False) if hasattr(column, "type") else column)


def as_plays(events: DataFrame, sessions: int, seed: int) -> DataFrame:
    """The plays of about `sessions` of the whole sessions of two plays or more, chosen by a hash of the session, with
    the user's `fold`. A session that lost a play to the quarantine has no first half as the challenge knows it."""
    session = Window.partitionBy("session_id")
    columns = ["session_id", "session_position", "session_length", "user_id", "track_id", *FLAGS, *NUMBERS, *WORDS]
    whole = (
        events.withColumn("plays", F.count(F.lit(1)).over(session))
        .where((F.col("plays") == F.col("session_length")) & (F.col("plays") >= 2))
        .select(*columns, user_fold(F.col("user_id")).alias("fold"))
    )
    share = sessions / max(whole.where("session_position = 1").count(), 1)
    place = F.pmod(F.xxhash64(F.lit(seed), F.col("session_id")), F.lit(1_000_000)) / 1_000_000
    return whole.where(place < share)


def answers_by_fold(events: DataFrame) -> DataFrame:
    """One row per (track_id, fold) of the labelled plays: `n`, those skipped `skips`, and `above`, the sum of skip_2
    less its session's mean, in ten-thousandths."""
    mean = F.avg("skip").over(Window.partitionBy("session_id"))
    return (
        events.where("skip_2 IS NOT NULL")
        .select("track_id", "session_id", "user_id", F.col("skip_2").cast("int").alias("skip"))
        .withColumn("fold", user_fold(F.col("user_id")))
        .withColumn("residual", F.round(UNIT * (F.col("skip") - mean)).cast("bigint"))
        .groupBy("track_id", "fold")
        .agg(
            F.count(F.lit(1)).cast("double").alias("n"),
            F.sum("skip").cast("double").alias("skips"),
            (F.sum("residual") / UNIT).alias("above"),
        )
    )


@dataclass(frozen=True)
class Answers:
    """How each track was answered, (K, 10) by fold of the user: labelled plays, skips, skips above sessions' means."""

    n: Floats
    skips: Floats
    above: Floats

    @classmethod
    def of(cls, sums: pa.Table, track_ids: npt.NDArray[Any]) -> Answers:
        """From the rows of `answers_by_fold`; tracks that are not among `track_ids` are left out."""
        import pyarrow as pa
        import pyarrow.compute as pc

        track = pc.index_in(sums["track_id"], pa.array(track_ids)).fill_null(-1).to_numpy()
        known = track >= 0
        found = []
        for name in ("n", "skips", "above"):
            block = np.zeros((len(track_ids), FOLDS))
            block[track[known], sums["fold"].to_numpy()[known]] = sums[name].to_numpy()[known]
            found.append(block)
        return cls(*found)

    def without(self, folds: tuple[int, ...]) -> Answers:
        """(K, 10) where element f is the sum over all folds but f and `folds`: what a session of fold f may know of a
        track in a model that never saw `folds`."""
        kept = np.array([[g != f and g not in folds for f in range(FOLDS)] for g in range(FOLDS)], dtype=np.float64)
        return Answers(self.n @ kept, self.skips @ kept, self.above @ kept)
