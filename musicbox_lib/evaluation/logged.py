"""What the log itself says of a night's plays: shares of each answer, in every segment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from musicbox_lib.blocks.folds import HELD_OUT_FOLD
from musicbox_lib.evaluation.estimators import UNIFORM_POOL, Interval, clustered_wilson
from musicbox_lib.sessions.contexts import user_fold

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

ANSWERS = ("skip_1", "skip_2", "skip_3", "not_skipped")


@dataclass(frozen=True)
class Logged:
    """One segment's labelled plays: `all`, `premium`, `free`, `held_out` or a context."""

    segment: str
    n: int
    n_users: int
    n_sessions: int
    n_weighable: int
    """Plays with a propensity that can be weighed (`estimators.weighable`)."""
    skip_1: float
    skip_3: float
    not_skipped: float
    skip: Interval
    """skip_2 with an interval clustered by user."""


def by_user(events: DataFrame) -> DataFrame:
    """Counts per segment and user of the labelled plays of `silver.listening_events`; a play stands in `all`, in
    `premium` or `free`, in `held_out` where its user is of that fold, and in its context."""
    pays = F.when(F.col("premium"), F.lit("premium")).when(~F.col("premium"), F.lit("free"))
    held_out = F.when(user_fold(F.col("user_id")) == HELD_OUT_FOLD, F.lit("held_out"))
    segments = F.array_compact(F.array(F.lit("all"), pays, held_out, F.col("context_type")))
    return (
        events.where("skip_grade IS NOT NULL")
        # A row without a label has all four answers false, so its grade alone tells it from a play that was kept.
        .withColumn("segment", F.explode(segments))
        .groupBy("segment", "user_id")
        .agg(
            F.count(F.lit(1)).alias("n"),
            F.count_distinct("session_id").alias("sessions"),
            F.sum(_weighable().cast("long")).alias("weighable"),
            *[F.sum(F.coalesce(F.col(name), F.lit(False)).cast("long")).alias(name) for name in ANSWERS],
        )
    )


def _weighable() -> Column:
    known = F.coalesce(F.col("propensity"), F.lit(0.0))
    return (known > 0) & (known != 1 / UNIFORM_POOL)


def by_segment(counts: DataFrame) -> DataFrame:
    """A row per segment from `by_user`'s: what an interval clustered by user needs, and no user."""
    n, hits = F.col("n").cast("double"), F.col("skip_2").cast("double")
    return counts.groupBy("segment").agg(
        F.count(F.lit(1)).alias("n_users"),
        *[F.sum(name).alias(name) for name in ("n", "sessions", "weighable", *ANSWERS)],
        F.sum(n * n).alias("n_squares"),
        F.sum(n * hits).alias("n_hits"),
        F.sum(hits * hits).alias("hits_squares"),
    )


def logged(events: DataFrame) -> list[Logged]:
    """Every segment of the plays, `all` first; empty where no play carries a label."""
    found = [
        Logged(
            segment=row["segment"],
            n=row["n"],
            n_users=row["n_users"],
            n_sessions=row["sessions"],
            n_weighable=row["weighable"],
            skip_1=row["skip_1"] / row["n"],
            skip_3=row["skip_3"] / row["n"],
            not_skipped=row["not_skipped"] / row["n"],
            skip=clustered_wilson(
                row["n"], row["skip_2"], row["n_squares"], row["n_hits"], row["hits_squares"], row["n_users"]
            ),
        )
        for row in events.transform(by_user).transform(by_segment).collect()
    ]
    return sorted(found, key=lambda one: (one.segment != "all", one.segment))
