"""What days that a night does not judge have to do with its sessions: earlier plays, and versions that give way.

What is asked of the tables that the night writes is checkpointed: Spark computes a cached frame anew once a table that
it was made from is written, and would then see the answer that it just wrote (8 rows stayed on both days).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from musicbox_lib import lake
from musicbox_lib.lake import ReadPartition, WritePartition
from musicbox_lib.landing import session_users
from musicbox_lib.validation import versions
from musicbox_lib.validation.days import only, other_than
from musicbox_lib.validation.earlier_plays import LOOK_BACK

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Moves:
    """How days that were not judged change: their `days`, and what stands in the two tables then, with the rows."""

    days: list[dt.date]
    valid: DataFrame
    valid_rows: int
    superseded: DataFrame
    superseded_rows: int


@dataclass(frozen=True)
class OtherDays:
    """The lake's days beside the judged ones (`days`), as a night of theirs asks about them."""

    spark: SparkSession
    days: Sequence[dt.date]
    bronze: ReadPartition
    valid: WritePartition
    superseded: WritePartition
    rejected: WritePartition

    @cached_property
    def _has_superseded(self) -> bool:
        return bool(lake.days_of(self.superseded.table.name))

    def _of(self, partition: WritePartition) -> DataFrame:
        found = lake.read_if_written(self.spark, ReadPartition(partition.table, None, None))
        return other_than(found, self.days)

    def accepted(self, sessions: DataFrame) -> DataFrame:
        """(session_id, dt) of the sessions that other days accepted too; no rows, known to be none, in a new lake."""
        plays = self._of(self.valid).select(*versions.KEY)
        if not set(lake.days_of(self.valid.table.name)) - set(self.days):
            return plays
        if self._has_superseded:
            plays = plays.unionByName(self._of(self.superseded).select(*versions.KEY))
        return plays.join(sessions.select("session_id"), "session_id", "left_semi").distinct().localCheckpoint()

    def versions(self, sessions: DataFrame, some_known: bool) -> DataFrame | None:
        """`versions.COLUMNS` and the present `superseded_on` of the versions that other days hold of the `sessions`
        (`session_facts.with_deliveries`), or that one of the judged days superseded before; None where there are none.
        `some_known`: whether another day accepted any of the sessions."""
        from pyspark.sql import functions as F

        ids = sessions.where(F.col("first_accepted").isNotNull()).select("session_id")
        if self._has_superseded:
            before = self._of(self.superseded).where(F.col("superseded_on").isin(list(self.days)))
            before = before.select("session_id")
            some_known = some_known or not before.isEmpty()
            ids = ids.unionByName(before)
        if not some_known:
            return None
        plays = self._of(self.valid).withColumn("superseded_on", F.lit(None).cast("date"))
        if self._has_superseded:
            plays = plays.unionByName(self._of(self.superseded))
        of_these = plays.join(F.broadcast(ids.distinct()), "session_id", "left_semi")
        return (
            of_these.groupBy(*versions.KEY)
            .agg(
                F.max("session_length").alias("length"),
                F.max("user_id").alias("user_id"),
                F.max("superseded_on").alias("superseded_on"),
            )
            .withColumn("is_sound", F.lit(True))
            .localCheckpoint()
        )

    def rows(self, targets: DataFrame, others: DataFrame | None, users: DataFrame) -> DataFrame | None:
        """The bronze rows that earlier days delivered of the `targets` (`earlier_plays.incomplete`), with their users;
        None where there are none. They lie in quarantine, or in a version (`others`)."""
        from pyspark.sql import functions as F

        first = min(self.days) - dt.timedelta(days=LOOK_BACK)
        earlier = [day for day in lake.days_of(self.bronze.table.name) if first <= day < max(self.days)]
        if not set(earlier) - set(self.days):
            return None
        known = only(self._of(self.rejected), earlier).select(*versions.KEY)
        if others is not None:
            known = known.unionByName(only(others, earlier).select(*versions.KEY))
        known = known.join(F.broadcast(targets.select("session_id").distinct()), "session_id", "left_semi")
        known = known.distinct().localCheckpoint()
        days = [row.dt for row in known.select("dt").distinct().collect()]
        if not days:
            return None
        bronze = only(lake.read(self.spark, ReadPartition(self.bronze.table, None, None)), days)
        rows = bronze.join(F.broadcast(known), [*versions.KEY], "left_semi")
        return session_users.with_user(rows, users)

    def moves(self, accepted: DataFrame, others: DataFrame | None) -> Moves | None:
        """What follows in other days' rows from the versions (session_id, dt) that the judged days accept: a shorter
        one gives way from its successor's day on, and comes back where that is there no more. None where nothing
        does."""
        from pyspark.sql import Window
        from pyspark.sql import functions as F

        if others is None:
            return None
        none = F.lit(None).cast("date")
        every = others.select(*versions.KEY, "superseded_on", F.lit(True).alias("is_other")).unionByName(
            accepted.select(*versions.KEY, none.alias("superseded_on"), F.lit(False).alias("is_other"))
        )
        following = F.lead("dt").over(Window.partitionBy("session_id").orderBy("dt"))
        changed = (
            every.withColumn("successor", following)
            .where(F.col("is_other") & ~F.col("successor").eqNullSafe(F.col("superseded_on")))
            .select(*versions.KEY, "successor")
            .localCheckpoint()
        )
        days = sorted(row.dt for row in changed.select("dt").distinct().collect())
        return self._moved(changed, days) if days else None

    def _moved(self, changed: DataFrame, days: list[dt.date]) -> Moves:
        from pyspark.sql import functions as F

        gone = F.broadcast(changed.where(F.col("successor").isNotNull()))
        back = F.broadcast(changed.where(F.col("successor").isNull()))
        valid, names = only(self._of(self.valid), days), self.valid.table.column_names
        before = only(self._of(self.superseded), days)
        moved_out = valid.join(gone, [*versions.KEY]).withColumnRenamed("successor", "superseded_on")
        again = before.join(gone, [*versions.KEY]).withColumn("superseded_on", F.col("successor")).drop("successor")
        untouched = before.join(F.broadcast(changed), [*versions.KEY], "left_anti")
        moved_back = before.join(back, [*versions.KEY], "left_semi").select(*names).localCheckpoint()
        superseded = moved_out.unionByName(again).unionByName(untouched)
        superseded = superseded.select(*self.superseded.table.column_names).localCheckpoint()
        stays = valid.join(gone, [*versions.KEY], "left_anti")
        present = lake.snapshot(self.valid.table.name)
        held = 0 if present is None else lake.rows_in(present, days)
        rows = held - moved_out.count() + moved_back.count()
        return Moves(days, stays.unionByName(moved_back), rows, superseded, superseded.count())
