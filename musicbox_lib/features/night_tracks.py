"""A night's tracks from the gold tables, read without a JVM."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd

from musicbox_lib import lake
from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.contract.jobs import writer_of
from musicbox_lib.errors import DataRefused
from musicbox_lib.lake import ReadPartition


def tracks_of(track_features: ReadPartition, track_embeddings: ReadPartition) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The two gold tables of the newest day within both partitions, read without a JVM: two Spark queries cost 6 s on
    two slow cores. Both are empty where no day has both tables."""
    days = sorted(set(_days(track_features)) & set(_days(track_embeddings)))
    if not days:
        return pd.DataFrame(), pd.DataFrame()
    return _of_day(track_features.table.name, days[-1]), _of_day(track_embeddings.table.name, days[-1])


def _days(partition: ReadPartition) -> list[dt.date]:
    return [
        day
        for day in lake.days_of(partition.table.name)
        if (partition.first is None or day >= partition.first) and day <= partition.run_date
    ]


def _of_day(name: str, day: dt.date) -> pd.DataFrame:
    found: Any = lake.snapshot(name)
    frame: pd.DataFrame = found.to_pyarrow_table(filters=[("dt", "=", day)]).to_pandas()
    return frame


def night_catalogue(track_features: lake.ReadPartition, track_embeddings: lake.ReadPartition) -> Catalogue:
    """The catalogue of one night's gold tables, read without a JVM; raises DataRefused where a table lacks the day."""
    return Catalogue.of(_night(track_features), _night(track_embeddings))


def _night(partition: lake.ReadPartition) -> pd.DataFrame:
    name, day = partition.table.name, partition.run_date
    found = lake.snapshot(name)
    if found is None or day not in lake.days_of(name):
        raise DataRefused(f"{name}/dt={day} has not been written: run the job {writer_of(name)} for that day first.")
    rows: Any = found.to_pyarrow_table(filters=[("dt", "=", day)])
    frame: pd.DataFrame = rows.to_pandas()
    return frame
