"""What the rules look at besides the delivered columns: facts of a row, of its session, of earlier deliveries.

Nearly every session is plain: all its positions once, one length, one user, one day. One aggregation tells which are,
so only the others' rows are laid side by side (at 10,000,000 rows a window over all of them took six times as long).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from musicbox_lib.landing.torn import is_well_formed

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

LABELS = ("skip_1", "skip_2", "skip_3", "not_skipped")
FLAGS = ("context_switch", "no_pause_before_play", "short_pause_before_play", "long_pause_before_play")
REQUIRED = (
    *("session_id", "session_position", "session_length", "track_id", *FLAGS),
    *("n_seekfwd", "n_seekback", "is_shuffle", "hour_of_day", "date", "premium"),
    *("context_type", "reason_start", "reason_end"),
)
SESSION_FACTS = (
    *("session_rows", "copy_number", "position_contents", "session_lengths", "session_users"),
    *("missing_positions", "earlier_deliveries"),
)
"""What is known of a row only once its whole session is: the columns that session rules look at."""
LONGEST = 20
"""Plays of the longest session that the dataset has."""
GIANT = 1_000
"""Rows of one session and day from which on nothing is asked about their order: that is 50 times the longest one, and
a window over a million rows of one session would be the work of one task."""
FRESH_DAYS = 2
"""A play at most so many days older than its delivery is fresh: 99 % of the real log's are."""


def _count_of(conditions: list[Column]) -> Column:
    from pyspark.sql import functions as F

    return reduce(add, [F.coalesce(condition, F.lit(False)).cast("int") for condition in conditions])


def with_row_facts(events: DataFrame) -> DataFrame:
    """Add what one line tells: `open_quotes` (0 or 1), `missing_values`, `odd_flags`, `labels_given`,
    `label_contradictions` (counts), `has_label`, `plays_left` (session_length - session_position) and
    `days_ahead` (the play's day minus the delivery's)."""
    from pyspark.sql import functions as F

    skip_1, skip_2, skip_3, not_skipped = (F.col(label) for label in LABELS)
    contradictions = [skip_1 & ~skip_2, skip_2 & ~skip_3, not_skipped & (skip_1 | skip_2 | skip_3)]
    return events.withColumns(
        {
            "open_quotes": open_quotes(),
            "missing_values": _count_of([F.col(name).isNull() for name in REQUIRED]),
            "odd_flags": _count_of([~F.col(name).isin(0, 1) for name in FLAGS]),
            "labels_given": _count_of([F.col(label).isNotNull() for label in LABELS]),
            "label_contradictions": _count_of(contradictions),
            "has_label": F.coalesce(F.greatest(*LABELS), F.lit(False)),
            "plays_left": F.col("session_length") - F.col("session_position"),
            "days_ahead": F.datediff("date", "dt"),
        }
    )


def open_quotes() -> Column:
    """1 where quotes are not as RFC 4180 has them: around a whole value, doubled inside it; else 0."""
    from pyspark.sql import functions as F

    return (~is_well_formed(F.col("raw_line"))).cast("int")


def breaks(rule: str) -> str:
    """The column that tells whether a row breaks the rule, and of a session how many of its rows do."""
    return f"breaks_{rule}"


def session_facts(events: DataFrame, warnings: Sequence[str] = ()) -> DataFrame:
    """One row per (dt, session_id) that could be read: `session_rows`, `is_whole`, `faulty_rows` (those with
    `breaks_alone`, a column that tells whether the row goes to quarantine by itself), `first_play` (see `date_of` and
    `hour_of`), `length` (the session_length that all its rows name, else null) and what a day's measures are
    summed from: `labelled`, `skipped`, `fresh`, `without_propensity`, `without_user`, and the `warnings` (columns as
    `breaks` names them).

    Every line of a whole session parsed, and it has each of its positions 1..session_length once, under one length
    and one user or none.
    """
    from pyspark.sql import functions as F

    user = F.when(F.col("user_id").isNotNull(), F.xxhash64("user_id"))
    # Numbers alone: a string in the buffer would make Spark sort all rows instead of hashing them.
    counted = (
        events.where(F.col("session_id").isNotNull())
        .groupBy("dt", "session_id")
        .agg(
            F.count(F.lit(1)).alias("session_rows"),
            F.count_if("is_parsed").alias("parsed"),
            F.count_if("breaks_alone").alias("faulty_rows"),
            F.bit_or(F.when(_is_place(), F.expr("shiftleft(1, session_position)"))).alias("places"),
            F.min("session_length").alias("least"),
            F.max("session_length").alias("most"),
            F.min(user).alias("one_user"),
            F.max(user).alias("other_user"),
            F.count_if(F.col("user_id").isNull()).alias("without_user"),
            F.count_if(F.col("propensity").isNull()).alias("without_propensity"),
            F.min(first_play()).alias("first_play"),
            F.count_if(F.greatest(*LABELS)).alias("labelled"),
            F.count_if("skip_2").alias("skipped"),
            F.count_if(F.datediff("dt", "date") <= FRESH_DAYS).alias("fresh"),
            *[F.count_if(name).alias(name) for name in warnings],
        )
    )
    rows, nobody = F.col("session_rows"), F.col("without_user")
    whole = (
        rows.between(1, LONGEST)
        & (F.col("parsed") == rows)
        & (F.col("least") == rows)
        & (F.col("most") == rows)
        & (F.col("places") == F.expr("shiftleft(1, int(session_rows) + 1) - 2"))
        & ((nobody == rows) | ((nobody == 0) & (F.col("one_user") == F.col("other_user"))))
    )
    length = F.when(F.col("least") == F.col("most"), F.col("most"))
    told = counted.withColumns({"is_whole": F.coalesce(whole, F.lit(False)), "length": length})
    return told.drop("parsed", "places", "least", "most", "one_user", "other_user")


def with_deliveries(sessions: DataFrame, accepted: DataFrame, several_days: bool = True) -> DataFrame:
    """`session_facts` with `first_accepted` (the first other day whose delivery of the session was accepted, null
    where none was), `is_plain` (whole, delivered and accepted on no other day) and `is_clean` (plain, and none of its
    rows goes to quarantine by itself). Persist `sessions`, they are read twice.

    `accepted` (session_id, dt): the sessions accepted on other days. `several_days`: whether `sessions` has more than
    one; of one alone nobody needs to ask whether a session comes twice.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    of_session = Window.partitionBy("session_id")
    one_day = F.min("dt").over(of_session) == F.max("dt").over(of_session) if several_days else F.lit(True)
    known = accepted.join(sessions.select("session_id"), "session_id", "left_semi")
    before = known.groupBy("session_id").agg(F.min("dt").alias("first_accepted"))
    return (
        sessions.join(before, "session_id", "left")
        .withColumn("is_plain", F.col("is_whole") & one_day & F.col("first_accepted").isNull())
        .withColumn("is_clean", F.col("is_plain") & (F.col("faulty_rows") == 0))
    )


def _is_place() -> Column:
    from pyspark.sql import functions as F

    return F.col("session_position").between(1, LONGEST)


# A play of a session's beginning in one number, so that the least is the first: place, day, hour.
_DAY, _HOUR = 32, 2**20 * 32


def first_play() -> Column:
    """Place, day (from 1970, 2^19 more so that none is below 0) and hour of a play whose own values hold, packed."""
    from pyspark.sql import functions as F

    day = F.unix_date("date")
    holds = _is_place() & F.col("hour_of_day").between(0, 23) & day.between(-(2**19), 2**19 - 1)
    holds &= F.datediff("date", "dt") <= 1
    packed = F.col("session_position").cast("bigint") * _HOUR + (day + 2**19) * _DAY + F.col("hour_of_day")
    return F.when(holds, packed)


def date_of(first_play: Column) -> Column:
    """The day of a session's first play."""
    from pyspark.sql import functions as F

    return F.date_from_unix_date((F.floor(first_play / _DAY) % 2**20 - 2**19).cast("int"))


def hour_of(first_play: Column) -> Column:
    """The hour of a session's first play."""
    return (first_play % _DAY).cast("int")


def with_plain_facts(rows: DataFrame) -> DataFrame:
    """Add the session facts that every row of a plain session has, and its user: its own, else the session."""
    from pyspark.sql import functions as F

    one = F.lit(1)
    return rows.withColumns(
        {
            **dict.fromkeys(("copy_number", "position_contents", "session_lengths", "session_users"), one),
            "missing_positions": F.lit(0),
            "earlier_deliveries": F.lit(0),
            "user_id": F.coalesce("user_id", "session_id"),
        }
    )


def with_plain_or_giant_facts(rows: DataFrame) -> DataFrame:
    """Add the session facts of plain sessions and of those of more than `GIANT` rows: that a session is a giant says
    enough, its others are null."""
    from pyspark.sql import functions as F

    nothing_more = {name: F.when(F.col("is_plain"), F.col(name)) for name in SESSION_FACTS[1:]}
    return rows.transform(with_plain_facts).withColumns(nothing_more)


def with_session_facts(events: DataFrame) -> DataFrame:
    """Add what the rows of one session and day tell together, null where a row's session cannot be read:
    `copy_number` (1 for the first of equal rows), `position_contents` (different rows for one position, 2 for two or
    more), `session_lengths` and `session_users` (the same), `missing_positions` (session_length minus the positions
    delivered).

    `user_id` becomes the delivered one, else that of the session's other rows, else the session's own id.

    A row that breaks a rule of its own still counts as delivered: one bad label must not cost a session. So does one
    that an earlier day delivered (`earlier_plays`).
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    # A key of its own for every unreadable session: a null would gather them all in one task.
    key = F.coalesce("session_id", F.concat_ws(":", F.lit(""), "file", "line"))
    told = [name for name in events.columns if name not in {"dt", "file", "line", "raw_line", *_OF_THE_SESSION}]
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
    return facts.withColumn("missing_positions", F.when(whole, missing).cast("int")).drop(
        "content", "told_length", "told_user"
    )


# Columns that a row has from its session: no part of what the line tells.
_OF_THE_SESSION = (
    *("session_rows", "is_plain", "is_suspect", "first_play", "first_accepted"),
    *("delivered_on", "is_carried"),
)


def _one_or_two(name: str, window: object) -> Column:
    """1 where the window holds one value of the column, 2 where it holds more, null where it holds none."""
    from pyspark.sql import functions as F

    return F.when(F.min(name).over(window) == F.max(name).over(window), 1).otherwise(  # type: ignore[arg-type]
        F.when(F.count(name).over(window) > 0, 2)  # type: ignore[arg-type]
    )
