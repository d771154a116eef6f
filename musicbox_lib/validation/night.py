"""The days that a night judges, and their counts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from musicbox_lib import lake, ledger
from musicbox_lib.errors import MusicBoxError
from musicbox_lib.lake import ReadPartition, WritePartition
from musicbox_lib.validation.rules import ACCEPTED, REJECTED, count_broken

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def days_to_judge(bronze: ReadPartition, silver: WritePartition) -> list[dt.date]:
    """The last day always, and the earlier ones whose newest bronze write silver has not seen, oldest first."""
    delivered, judged = ledger.last_writes(bronze.table.name), ledger.last_writes(silver.table.name)
    earlier = [
        day
        for day, write in delivered.items()
        if day < bronze.run_date and (day not in judged or judged[day].written_at < write.written_at)
    ]
    return [*sorted(earlier), bronze.run_date]


def only(rows: DataFrame, days: Sequence[dt.date]) -> DataFrame:
    """The rows of those days."""
    from pyspark.sql import functions as F

    return rows.where(F.col("dt").isin(list(days)))


def other_than(rows: DataFrame, days: Sequence[dt.date]) -> DataFrame:
    """The rows of all other days."""
    from pyspark.sql import functions as F

    return rows.where(~F.col("dt").isin(list(days)))


def history_of(silver: WritePartition) -> ReadPartition:
    """What silver holds up to the night."""
    return ReadPartition(silver.table, None, silver.last)


def counts_by_day(flagged: DataFrame, days: Sequence[dt.date]) -> dict[dt.date, dict[str, int]]:
    """Per day, the rows that break each rule and how the day splits, in one pass (a few rows per rule and day)."""
    counts: dict[dt.date, dict[str, int]] = {day: {} for day in days}
    for day, name, rows in count_broken(flagged).collect():
        counts[day][name] = rows
    return counts


def hold_against_bronze(counts: dict[dt.date, dict[str, int]], bronze: ReadPartition) -> None:
    """Raise MusicBoxError unless every delivered row of each day came out once, accepted or rejected."""
    found = lake.snapshot(bronze.table.name)
    if found is None:
        return
    import pyarrow as pa

    files = pa.table(found.get_add_actions(flatten=True))
    delivered: dict[dt.date, int] = {}
    held = zip(files.column("partition.dt").to_pylist(), files.column("num_records").to_pylist(), strict=True)
    for day, rows in held:
        delivered[day] = delivered.get(day, 0) + rows
    for day, count in counts.items():
        out = count.get(ACCEPTED, 0) + count.get(REJECTED, 0)
        if out != delivered.get(day, 0):
            rows = delivered.get(day, 0)
            raise MusicBoxError(f"{day}: {rows} rows in {bronze.table.name} but {out} after the split.")
