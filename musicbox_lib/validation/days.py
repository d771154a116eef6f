"""The days that a night judges, and their rows: its own, earlier ones that changed, later ones that follow."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from musicbox_lib import lake
from musicbox_lib.contract.jobs import writer_of
from musicbox_lib.errors import DataRefused
from musicbox_lib.lake import ReadPartition, WritePartition, ledger
from musicbox_lib.validation.history import Nights, measured_nights

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Past:
    """The days to judge, oldest first, all days delivered, and what the day rules measured in the nights around them;
    a day looks at what lies before it alone."""

    days: list[dt.date]
    delivered: list[dt.date]
    nights: Nights


def past(bronze: ReadPartition, valid: WritePartition, results: WritePartition, entered: str) -> Past:
    """What a night knows before it judges an input; `entered` is the input's name in the results."""
    return past_of(days_to_judge(bronze, valid), bronze, results, entered)


def past_of(days: list[dt.date], bronze: ReadPartition, results: WritePartition, entered: str) -> Past:
    """The past of those days."""
    return Past(days, lake.days_of(bronze.table.name), measured_nights(results.table.name, entered, days))


def days_to_judge(bronze: ReadPartition, valid: WritePartition) -> list[dt.date]:
    """The last day if it was delivered, and the earlier ones whose newest bronze write the valid rows have not seen,
    oldest first."""
    delivered, judged = ledger.last_writes(bronze.table.name), ledger.last_writes(valid.table.name)
    return [
        day
        for day, write in sorted(delivered.items())
        if day == bronze.run_date
        or (day < bronze.run_date and (day not in judged or judged[day].written_at < write.written_at))
    ]


def tracks_to_judge(
    spark: SparkSession, bronze: ReadPartition, valid: WritePartition, results: WritePartition
) -> tuple[DataFrame, Past]:
    """The delivered track rows of the days to judge; no rows where there is none."""
    found = past(bronze, valid, results, "tracks")
    return only(lake.read_if_written(spark, bronze), found.days), found


def events_to_judge(
    spark: SparkSession,
    bronze: ReadPartition,
    valid: WritePartition,
    aside: Sequence[WritePartition],
    results: WritePartition,
) -> tuple[DataFrame, Past]:
    """The delivered events of the days to judge, later ones among them (`later_days`). `aside`: where a judged day's
    rows lie that are not in `valid`. Raises DataRefused where bronze does not hold the night's own day."""
    found = past(bronze, valid, results, "session_logs")
    if bronze.run_date not in found.days:
        raise DataRefused(
            f"{bronze.table.name} has no rows of {bronze.run_date}: "
            f"run the job {writer_of(bronze.table.name)} for that day first."
        )
    events = only(lake.read(spark, bronze), found.days)
    later = later_days(events, found.days, [valid, *aside])
    if not later:
        return events, found
    log.warning(
        "judged anew, because an earlier day delivers sessions of theirs: %s; run the nights of these days again",
        ", ".join(map(str, later)),
    )
    days = sorted([*found.days, *later])
    whole = past_of(days, bronze, results, "session_logs")
    return only(lake.read(spark, ReadPartition(bronze.table, None, days[-1])), days), whole


def later_days(events: DataFrame, days: Sequence[dt.date], silver: Sequence[WritePartition]) -> list[dt.date]:
    """The days, none of the judged ones, that hold a session which an earlier judged day delivers now or held before:
    what is delivered first, or in part, decides what a later day makes of its own rows. `silver`: the tables that hold
    a judged day's rows. In the newest night there are none."""
    from pyspark.sql import functions as F

    known = {day for partition in silver for day in lake.days_of(partition.table.name)}
    if not any(day > min(days) for day in known - set(days)):
        return []
    spark = events.sparkSession
    read = [lake.read_if_written(spark, ReadPartition(partition.table, None, None)) for partition in silver]
    rows = reduce(lambda all_rows, more: all_rows.unionByName(more), [row.select("dt", "session_id") for row in read])
    judged = events.select("session_id", "dt").unionByName(only(rows, days).select("session_id", "dt"))
    first = judged.groupBy("session_id").agg(F.min("dt").alias("first_judged"))
    after = other_than(rows, days).join(first, "session_id").where("dt > first_judged")
    return sorted(row.dt for row in after.select("dt").distinct().collect())


def only(rows: DataFrame, days: Sequence[dt.date]) -> DataFrame:
    """The rows of those days."""
    from pyspark.sql import functions as F

    return rows.where(F.col("dt").isin(list(days)))


def other_than(rows: DataFrame, days: Sequence[dt.date]) -> DataFrame:
    """The rows of all other days."""
    from pyspark.sql import functions as F

    return rows.where(~F.col("dt").isin(list(days)))


def known_so_far(
    spark: SparkSession, valid: WritePartition, judged: Sequence[dt.date], new: DataFrame
) -> DataFrame | None:
    """The valid track rows up to the night: those of the judged days as they are now, the others as they stand. None
    where no track table was ever delivered."""
    if not judged and not lake.days_of(valid.table.name):
        return None
    known = lake.read_if_written(spark, ReadPartition(valid.table, None, valid.last))
    return other_than(known, judged).unionByName(new) if judged else known
