"""The valid plays as a day knew them: the one way in which jobs read silver.

A session that a later day delivered longer lies in silver.listening_events under that day, and as the earlier nights
had it in silver.superseded_events.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from musicbox_lib import lake
from musicbox_lib.contract.tables import table
from musicbox_lib.lake import ReadPartition

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SUPERSEDED = "silver.superseded_events"


def read(spark: SparkSession, partition: ReadPartition) -> DataFrame:
    """The plays of `silver.listening_events` in the partition, as the night of its last day had them. Raises
    DataRefused as `lake.read` does. The newest night costs one look at the table's days."""
    if partition.last is None or not _superseded_after(partition):
        return lake.read(spark, partition)
    from pyspark.sql import functions as F

    # A day all of whose sessions grew later has no rows of its own any more.
    present = lake.read_if_written(spark, partition)
    days = ReadPartition(table(SUPERSEDED), partition.first, partition.last)
    before = lake.read(spark, days).where(F.col("superseded_on") > F.lit(partition.last)).drop("superseded_on")
    # A night that was killed between its two commits left sessions in both tables; they count once.
    ids = before.select("session_id").distinct()
    in_both = present.select("session_id").join(F.broadcast(ids), "session_id", "left_semi").distinct()
    return present.unionByName(before.join(F.broadcast(in_both), "session_id", "left_anti"))


def versions_of(*partitions: ReadPartition) -> dict[str, str]:
    """As `lake.versions_of`, with the second table that `read` looks at beside silver.listening_events."""
    return {**lake.versions_of(*partitions), SUPERSEDED: str(lake.version_of(SUPERSEDED))}


def _superseded_after(partition: ReadPartition) -> bool:
    """Whether rows of the partition's days were superseded after its last one."""
    from pyarrow import dataset

    last = partition.run_date
    days = lake.days_of(partition.table.name)
    superseded = lake.days_of(SUPERSEDED) if days and days[-1] > last else []
    if not any((partition.first or dt.date.min) <= day <= last for day in superseded):
        return False
    held = lake.snapshot(SUPERSEDED)
    assert held is not None
    wanted = (dataset.field("dt") <= last) & (dataset.field("superseded_on") > last)
    if partition.first is not None:
        wanted = wanted & (dataset.field("dt") >= partition.first)
    return bool(held.to_pyarrow_dataset().count_rows(filter=wanted))
