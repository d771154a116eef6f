"""Contexts: what is known of a user before each play, and after the last one. Window functions only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from musicbox_lib.blocks.contexts import HISTORY
from musicbox_lib.blocks.folds import FOLDS, TRAINING_FOLDS
from musicbox_lib.blocks.grades import UNLABELLED

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, WindowSpec

ORDER = ("session_date", "session_hour", "session_id", "session_position")
"""The order in which a user's plays were heard: by the day and hour at which their sessions began, equals by the
session's id. A session may be delivered days after it was heard; the day of delivery decides only what is known."""
CONTEXT = (
    "user_id",
    "fold",
    "session_id",
    "track_ids",
    "skip_grades",
    "n_in_session",
    "user_plays",
    "user_skips",
    "context_type",
    "hour_of_day",
    "is_shuffle",
    "premium",
)
"""The columns of a context, as `gold.last_sessions` has them."""


def user_fold(user_id: Column) -> Column:
    """The user's fold, 0 to 9, by a hash that no run, machine or language version changes."""
    return F.pmod(F.xxhash64(user_id), F.lit(FOLDS)).cast("int")


def is_training_fold(user_id: Column) -> Column:
    """Whether the user belongs to the folds that anything may be fitted on."""
    return user_fold(user_id) < TRAINING_FOLDS


def in_order() -> WindowSpec:
    """A user's plays, the one heard first first."""
    return Window.partitionBy("user_id").orderBy(*ORDER)


def as_contexts(events: DataFrame) -> DataFrame:
    """One row per play of `silver.listening_events`: the context *before* it, then the play: dt, session_date,
    session_hour, session_position, track_id, skip_grade, skip_1..3, not_skipped, propensity.

    Context, shuffle and premium are the play's own, which are known when it is chosen. The hour is that of the play
    before it in the session (a session's first play has its own): the real log notes a play's hour as it ends, and of
    the plays in another hour than the one before only .02 were skipped, of the others .54.

    `track_ids` are those of the last 64 plays before it that had been delivered by the play's own delivery: what came
    later was unknown to whoever could have recommended it, and is left out. `user_plays` and `user_skips` count what
    was delivered before, in the order of delivery, which is what `last_contexts` counts on the evening before. In this
    order a late session's own plays also count the user's plays heard after them but delivered before them: an exact
    count would compare all pairs of a user's sessions, and one late session of a thousand moves no rate."""
    before = in_order().rowsBetween(-HISTORY, -1)
    earlier = in_order().rowsBetween(Window.unboundedPreceding, -1)
    so_far = Window.partitionBy("user_id").orderBy("dt", *ORDER).rowsBetween(Window.unboundedPreceding, -1)
    upto = in_order().rowsBetween(Window.unboundedPreceding, 0)
    last_session = F.lag("session_id").over(in_order())
    opens = last_session.isNull() | (last_session != F.col("session_id"))
    return (
        events.withColumns(
            {
                "play": F.row_number().over(in_order()),
                "opens": opens,
                "hour_before": F.lag("hour_of_day").over(in_order()),
            }
        )
        .withColumns(
            {
                "opened": F.max(F.when(F.col("opens"), F.col("play"))).over(upto),
                "heard": F.collect_list(F.struct(*_heard_columns(), "dt")).over(before),
                "some_unknown": F.coalesce(F.max("dt").over(earlier) > F.col("dt"), F.lit(False)),
                "user_plays": F.coalesce(F.sum(_labelled()).over(so_far), F.lit(0)),
                "user_skips": F.coalesce(F.sum(_skipped()).over(so_far), F.lit(0)),
            }
        )
        # Late deliveries are rare: most lists are not looked through.
        .withColumn("heard", F.when(F.col("some_unknown"), _known_by(F.col("dt"))).otherwise(F.col("heard")))
        .withColumns(
            {
                "fold": user_fold(F.col("user_id")),
                "hour_of_day": F.when(F.col("opens"), F.col("hour_of_day")).otherwise(F.col("hour_before")),
                "track_ids": F.col("heard.track_id"),
                "skip_grades": F.col("heard.skip_grade"),
                "n_in_session": F.least(F.col("play") - F.col("opened"), F.lit(HISTORY)),
            }
        )
        .select(*CONTEXT, *PLAY)
    )


def last_contexts(events: DataFrame) -> DataFrame:
    """One row per user of `silver.listening_events`: the context *after* the last play, with the last play's
    context, hour, shuffle and premium, since the next play's are not known yet; `session_dt`, the day on which the
    last session was delivered, and `last_delivered`, the newest day on which any was.

    The last play is the one heard last among all of `events`, not the one delivered last."""
    backwards = Window.partitionBy("user_id").orderBy(*[F.desc(name) for name in ORDER])
    whole = Window.partitionBy("user_id")
    other = F.col("session_id") != F.first("session_id").over(backwards)
    newest = {name: F.min_by(name, "back") for name in (*_OF_THE_LAST, "user_plays", "user_skips", "last_delivered")}
    return (
        events.withColumns(
            {
                "back": F.row_number().over(backwards),
                "other": other,
                "user_plays": F.sum(_labelled()).over(whole),
                "user_skips": F.sum(_skipped()).over(whole),
                "last_delivered": F.max("dt").over(whole),
            }
        )
        .where(F.col("back") <= HISTORY)
        .withColumn("earlier", F.max("other").over(backwards))
        .withColumn("heard", F.struct((-F.col("back")).alias("order"), *_heard_columns()))
        # The rows lie by user already, so this costs no further shuffle.
        .groupBy("user_id")
        .agg(
            F.sort_array(F.collect_list("heard")).alias("heard"),
            F.sum((~F.col("earlier")).cast("int")).cast("int").alias("n_in_session"),
            F.min_by("dt", "back").alias("session_dt"),
            *[column.alias(name) for name, column in newest.items()],
        )
        .withColumns(
            {
                "fold": user_fold(F.col("user_id")),
                "track_ids": F.col("heard.track_id"),
                "skip_grades": F.col("heard.skip_grade"),
            }
        )
        .select(*CONTEXT, "session_dt", "last_delivered")
    )


PLAY = (
    *("dt", "session_date", "session_hour", "session_position", "track_id", "skip_grade"),
    *("skip_1", "skip_2", "skip_3", "not_skipped", "propensity"),
)
"""The columns of the play itself beside its context."""
_OF_THE_LAST = ("session_id", "context_type", "hour_of_day", "is_shuffle", "premium")


def _heard_columns() -> list[Column]:
    grade = F.coalesce(F.col("skip_grade"), F.lit(UNLABELLED)).cast("tinyint")
    return [F.col("track_id"), grade.alias("skip_grade")]


def _known_by(day: Column) -> Column:
    """Of the plays `heard`, those delivered up to that day."""
    return F.filter("heard", lambda play: play["dt"] <= day)


def _labelled() -> Column:
    return F.col("skip_grade").isNotNull().cast("int")


def _skipped() -> Column:
    """skip_2: grade 2 or 3."""
    return (F.coalesce(F.col("skip_grade"), F.lit(0)) >= 2).cast("int")
