"""What the rules look at besides the delivered columns: facts of a row, of its session, of earlier deliveries."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

LABELS = ("skip_1", "skip_2", "skip_3", "not_skipped")
FLAGS = ("context_switch", "no_pause_before_play", "short_pause_before_play", "long_pause_before_play")
REQUIRED = (
    *("session_id", "session_position", "session_length", "track_id", *FLAGS),
    *("n_seekfwd", "n_seekback", "is_shuffle", "hour_of_day", "date", "premium"),
    *("context_type", "reason_start", "reason_end"),
)


def _count_of(conditions: list[Column]) -> Column:
    from pyspark.sql import functions as F

    return reduce(add, [F.coalesce(condition, F.lit(False)).cast("int") for condition in conditions])


def with_row_facts(events: DataFrame) -> DataFrame:
    """Add what one line tells: `open_quotes` (0 or 1), `missing_values`, `odd_flags`, `labels_given`,
    `label_contradictions` (counts), `has_label`, `plays_left` (session_length - session_position) and
    `days_ahead` (the play's day minus the delivery's)."""
    from pyspark.sql import functions as F

    skip_1, skip_2, skip_3, not_skipped = (F.col(label) for label in LABELS)
    quotes = F.length("raw_line") - F.length(F.replace(F.col("raw_line"), F.lit('"'), F.lit("")))
    contradictions = [skip_1 & ~skip_2, skip_2 & ~skip_3, not_skipped & (skip_1 | skip_2 | skip_3)]
    return events.withColumns(
        {
            "open_quotes": quotes % 2,
            "missing_values": _count_of([F.col(name).isNull() for name in REQUIRED]),
            "odd_flags": _count_of([~F.col(name).isin(0, 1) for name in FLAGS]),
            "labels_given": _count_of([F.col(label).isNotNull() for label in LABELS]),
            "label_contradictions": _count_of(contradictions),
            "has_label": F.coalesce(F.greatest(*LABELS), F.lit(False)),
            "plays_left": F.col("session_length") - F.col("session_position"),
            "days_ahead": F.datediff("date", "dt"),
        }
    )


def with_session_facts(events: DataFrame) -> DataFrame:
    """Add what the rows of one session and day tell together, null where a row's session cannot be read:
    `copy_number` (1 for the first of equal rows), `position_contents` (different rows for one position, 2 for two or
    more), `session_lengths` and `session_users` (the same), `missing_positions` (session_length minus the positions
    delivered).

    `user_id` becomes the delivered one, else that of the session's other rows, else the session's own id.

    A row that breaks a rule of its own still counts as delivered: one bad label must not cost a session.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    # A key of its own for every unreadable session: a null would gather them all in one task.
    key = F.coalesce("session_id", F.concat_ws(":", F.lit(""), "file", "line"))
    told = [name for name in events.columns if name not in {"dt", "file", "line", "raw_line"}]
    content = F.when(F.col("is_parsed"), F.xxhash64(*told))
    # One shuffle serves every window here and the next one over days.
    keyed = events.withColumns(
        {
            "session_key": key,
            "content": content,
            # What a line says that does not fit its columns is no evidence against the rest of its session.
            "told_length": F.when(F.col("is_parsed"), F.col("session_length")),
            "told_user": F.when(F.col("is_parsed"), F.col("user_id")),
        }
    ).repartition("session_key")
    session = Window.partitionBy("dt", "session_key")
    position = Window.partitionBy("dt", "session_key", "session_position")
    whole = F.col("session_id").isNotNull() & F.col("session_position").isNotNull()
    facts = keyed.withColumns(
        {
            "copy_number": F.when(
                whole, F.row_number().over(position.orderBy(F.col("is_parsed").desc(), "file", "line"))
            ),
            "position_contents": F.when(whole, _one_or_two("content", position)),
            "session_lengths": _one_or_two("told_length", session),
            "session_users": _one_or_two("told_user", session),
            "user_id": F.coalesce("user_id", F.max("told_user").over(session), "session_id"),
        }
    )
    delivered = (F.col("copy_number") == 1) & F.col("session_position").between(1, F.col("session_length"))
    missing = F.max("told_length").over(session) - F.sum(delivered.cast("int")).over(session)
    return facts.withColumn("missing_positions", F.when(whole, missing)).drop("content", "told_length", "told_user")


def _one_or_two(name: str, window: object) -> Column:
    """1 where the window holds one value of the column, 2 where it holds more, null where it holds none."""
    from pyspark.sql import functions as F

    return F.when(F.min(name).over(window) == F.max(name).over(window), 1).otherwise(  # type: ignore[arg-type]
        F.when(F.count(name).over(window) > 0, 2)  # type: ignore[arg-type]
    )


def with_earlier_deliveries(events: DataFrame, accepted: DataFrame, is_sound: Column) -> DataFrame:
    """Add `earlier_deliveries`: 1 where an earlier day's delivery of the row's session was accepted, else 0.

    `accepted` (session_id, dt): the sessions of silver on days that are not in `events`. `is_sound` is true for a row
    that breaks no other rule. A session that waits in quarantine is not known yet: its second delivery is welcome.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    first = accepted.groupBy(F.col("session_id").alias("session_key")).agg(F.min("dt").alias("first_accepted"))
    in_batch = F.min(F.when(is_sound, F.col("dt"))).over(Window.partitionBy("session_key"))
    earlier = F.least(F.col("first_accepted"), in_batch) < F.col("dt")
    return (
        events.join(first, "session_key", "left")
        .withColumn("earlier_deliveries", F.coalesce(earlier, F.lit(False)).cast("int"))
        .drop("first_accepted")
    )
