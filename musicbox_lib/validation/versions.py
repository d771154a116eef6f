"""A session's versions: the days that delivered it whole, each longer than the one before.

A log is exported while sessions run: a day may deliver plays 1 to 5 of a session as a session of five, and the next day
all ten. The first delivery of a length counts; a longer one takes its place from its own day on. What a day accepts
depends on its own and on earlier deliveries alone, so nights may run in any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

KEY = ("session_id", "dt")
COLUMNS = (*KEY, "length", "user_id", "is_sound")


def of_rows(rows: DataFrame, is_sound: Column) -> DataFrame:
    """What each day's rows (`session_facts.with_session_facts`) make of their session (`COLUMNS`): the length they
    name, the user, and whether any of them `is_sound`, that is, whether the session is whole."""
    from pyspark.sql import functions as F

    known = rows.where(F.col("session_id").isNotNull())
    return known.groupBy(*KEY).agg(
        F.coalesce(F.max(F.when(F.col("is_parsed"), F.col("session_length"))), F.lit(0)).alias("length"),
        F.max("user_id").alias("user_id"),
        F.coalesce(F.max(is_sound), F.lit(False)).alias("is_sound"),
    )


def judged(versions: DataFrame) -> DataFrame:
    """`versions` (`COLUMNS`, a row per session and day) with `is_accepted`, `is_repeated` (an earlier day was accepted
    at this length or a greater one, or for another user) and `superseded_on` (the day that delivers it longer).

    A session without a user has its own id as user_id, which contradicts nobody."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    in_order = Window.partitionBy("session_id").orderBy("dt")
    before = in_order.rowsBetween(Window.unboundedPreceding, -1)
    upto = in_order.rowsBetween(Window.unboundedPreceding, 0)
    after = in_order.rowsBetween(1, Window.unboundedFollowing)
    named = F.when(F.col("user_id") != F.col("session_id"), F.col("user_id"))
    owner = F.first(F.when(F.col("is_sound"), named), ignorenulls=True).over(upto)
    fits = F.col("is_sound") & F.coalesce(named == owner, F.lit(True))
    longest = F.max(F.when(F.col("fits"), F.col("length"))).over(before)
    return (
        versions.withColumns({"owner": owner, "fits": fits, "named": named})
        .withColumn("longest", longest)
        .withColumns(
            {
                "is_accepted": F.col("fits") & (F.col("longest").isNull() | (F.col("length") > F.col("longest"))),
                "is_repeated": F.col("longest").isNotNull()
                & ((F.col("length") <= F.col("longest")) | F.coalesce(F.col("named") != F.col("owner"), F.lit(False))),
            }
        )
        .withColumn("superseded_on", F.min(F.when(F.col("is_accepted"), F.col("dt"))).over(after))
        .select(*KEY, "is_accepted", "is_repeated", "superseded_on")
    )
