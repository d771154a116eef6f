"""The plays of a session that earlier days delivered: a log that is cut at midnight has its first half there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicbox_lib.validation.session_facts import GIANT, LONGEST, with_row_facts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

LOOK_BACK = 30
"""Days before a delivery whose rows may complete its sessions: the bound of the rule date_not_late. Sessions do not run
longer than two days, but deliveries come late."""


def incomplete(sessions: DataFrame) -> DataFrame:
    """(session_id, target_dt, length) of the `session_facts` that are not whole by themselves: earlier plays may
    complete them."""
    from pyspark.sql import functions as F

    # Null lengths: the day's rows disagree, and the rule one_session_length keeps them.
    wanted = sessions.where(~F.col("is_whole") & F.col("length").between(1, LONGEST) & (F.col("session_rows") <= GIANT))
    return wanted.select("session_id", F.col("dt").alias("target_dt"), "length")


def with_no_session(rows: DataFrame) -> DataFrame:
    """Bronze rows of days that are not judged, with the columns of `listening_events.looked_at`."""
    from pyspark.sql import functions as F

    unknown = {"session_rows": "bigint", "first_play": "bigint", "first_accepted": "date"}
    return rows.withColumns(
        {name: F.lit(None).cast(kind) for name, kind in unknown.items()}
        | {"is_suspect": F.lit(True), "is_plain": F.lit(False)}
    ).transform(with_row_facts)


def carried(targets: DataFrame, rows: DataFrame) -> DataFrame:
    """Of the `rows` of several days (`listening_events.looked_at`), those that count for a later day's session: as rows
    of that day (`dt`), with its session_length, `delivered_on` their own day and `is_carried` true.

    Per position the newest delivery counts, so a row of the day itself leaves no room for an earlier one. A row that
    names a longer session than the day does tells of another one.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    is_of_it = F.coalesce(F.col("session_length") <= F.col("length"), F.lit(True)) | ~F.col("is_parsed")
    place = Window.partitionBy("session_id", "target_dt", "session_position")
    return (
        rows.join(targets, "session_id")
        .where(F.datediff("target_dt", "dt").between(0, LOOK_BACK))
        .where(F.col("session_position").between(1, F.col("length")) & is_of_it)
        .withColumn("newest", F.max("dt").over(place))
        .where((F.col("dt") == F.col("newest")) & (F.col("dt") < F.col("target_dt")))
        .withColumns(
            {
                "delivered_on": F.col("dt"),
                "dt": F.col("target_dt"),
                "session_length": F.col("length"),
                "is_carried": F.lit(True),
                "is_plain": F.lit(False),
                "first_play": F.lit(None).cast("bigint"),
            }
        )
        .drop("newest", "target_dt", "length")
    )
