"""What a night counts and measures, and what earlier nights found."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from musicbox_lib import lake
from musicbox_lib.errors import MusicBoxError
from musicbox_lib.lake import ReadPartition
from musicbox_lib.tables import Table
from musicbox_lib.validation.decision import NIGHTS, Result
from musicbox_lib.validation.rules import count_broken

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Counts = dict[dt.date, dict[str, int]]
Measures = dict[dt.date, dict[str, float | None]]
Nights = dict[dt.date, dict[str, float]]
"""Night -> day rule -> what it measured."""


def counts_by_day(flagged: DataFrame, table: Table, days: Sequence[dt.date], key: str) -> Counts:
    """Per day, what `count_broken` counts (a few rows per rule and day)."""
    counts: Counts = {day: {} for day in days}
    for day, name, rows in count_broken(flagged, table, key).collect():
        counts[day][name] = rows
    return counts


def hold_against_bronze(measures: Measures, bronze: ReadPartition) -> None:
    """Raise MusicBoxError unless every delivered row of each day was looked at once."""
    found = lake.snapshot(bronze.table.name)
    if found is None:
        return
    delivered = lake.rows_by_day(found)
    for day, told in measures.items():
        rows = delivered.get(str(day), 0)
        if told["rows"] != rows:
            raise MusicBoxError(f"{day}: {rows} rows in {bronze.table.name} but {told['rows']:.0f} were judged.")


def measured_nights(name: str, entered: str, days: Sequence[dt.date]) -> Nights:
    """What the day rules measured on every night from 28 before the first of the days to the last; `entered` is the
    input's name."""
    found = lake.snapshot(name)
    if found is None or not days or "value" not in {field.name for field in found.schema().fields}:
        return {}
    first = min(days) - dt.timedelta(days=NIGHTS)
    wanted = [("dt", ">=", first), ("dt", "<", max(days)), ("input", "=", entered)]
    nights: Nights = {}
    for row in found.to_pyarrow_table(columns=["dt", "rule", "value"], filters=wanted).to_pylist():
        if row["value"] is not None:
            nights.setdefault(row["dt"], {})[row["rule"]] = row["value"]
    return nights


def values_before(nights: Nights, day: dt.date) -> dict[str, list[float]]:
    """The values of each day rule in the 28 nights before a day, oldest first."""
    values: dict[str, list[float]] = {}
    for night in sorted(nights):
        if day - dt.timedelta(days=NIGHTS) <= night < day:
            for rule, value in nights[night].items():
                values.setdefault(rule, []).append(value)
    return values


def others_of_these_days(name: str, results: Sequence[Result]) -> list[dict[str, Any]]:
    """The rows of `results`' days that tell of another input, judged in an earlier run: they stay."""
    found = lake.snapshot(name)
    days = {result.dt for result in results}
    if found is None or not days or "input" not in {field.name for field in found.schema().fields}:
        return []
    rows = found.to_pyarrow_table(filters=[("dt", "in", sorted(days))]).to_pylist()
    told = {(result.dt, result.input) for result in results}
    return [row for row in rows if (row["dt"], row["input"]) not in told and row["input"] is not None]
