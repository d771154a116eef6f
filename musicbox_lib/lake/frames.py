"""Partitions of the lake as Spark frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicbox_lib.contract.jobs import writer_of
from musicbox_lib.errors import DataRefused
from musicbox_lib.lake.places import path_of
from musicbox_lib.lake.snapshots import days_of, snapshot
from musicbox_lib.settings import settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from musicbox_lib.contract.tables import Table
    from musicbox_lib.lake.partitions import ReadPartition


def read(spark: SparkSession, partition: ReadPartition) -> DataFrame:
    """The partition's rows, declared columns only. A table or a single day that nobody wrote is refused;
    a range may be empty."""
    name = partition.table.name
    if snapshot(name) is None:
        raise DataRefused(
            f"{name} has not been written yet in {settings().lake}: run the job {writer_of(name)} (or the DAG) first."
        )
    frame = _declared(spark.read.format("delta").load(path_of(name)), partition.table)
    if partition.latest:
        known = [day for day in days_of(name) if day <= partition.run_date]
        if not known:
            raise DataRefused(f"{name} has no day up to {partition.run_date}: run the job {writer_of(name)} first.")
        return frame.where(f"dt = '{known[-1]}'")
    frame = frame.where(partition.days)
    one_day = partition.last is not None and partition.first == partition.last
    if one_day and partition.run_date not in days_of(name):
        raise DataRefused(f"{partition} is empty: run the job {writer_of(name)} for that day first.")
    return frame


def _declared(frame: DataFrame, found: Table) -> DataFrame:
    """The declared columns; one that a table of an older release has not gained yet is null."""
    from pyspark.sql import functions as F

    present = set(frame.columns)
    return frame.select(
        *[
            F.col(column.name) if column.name in present else F.lit(None).cast(column.type).alias(column.name)
            for column in found.columns
        ]
    )


def read_if_written(spark: SparkSession, partition: ReadPartition) -> DataFrame:
    """As `read`, but a table, or days of it, that nobody wrote yet give no rows instead of a refusal."""
    try:
        return read(spark, partition)
    except DataRefused:
        return no_rows(spark, partition.table)


def no_rows(spark: SparkSession, found: Table) -> DataFrame:
    """No rows in the table's columns, and known to be none: a join with them costs nothing. Without the limit the
    optimizer sees rows that nobody has counted, and moves all others to meet them (40 s at 10,000,000)."""
    return spark.createDataFrame([], found.ddl).limit(0)
