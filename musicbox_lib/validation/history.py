"""What a night counts and measures, and what earlier nights found."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from musicbox_lib import lake
from musicbox_lib.contract.tables import Table
from musicbox_lib.errors import MusicBoxError
from musicbox_lib.lake import ReadPartition, WritePartition
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
            raise MusicBoxError(
                f"{bronze.table.name}/dt={day}: {rows} rows are there but {told['rows']:.0f} were judged; nothing was "
                "published: run the night again, and look for a job that wrote the table meanwhile."
            )


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


def stopped_days() -> list[dt.date]:
    """The days whose delivery stopped the night that judged it last, oldest first."""
    found = lake.snapshot("silver.validation_results")
    if found is None:
        return []
    stops = found.to_pyarrow_table(columns=["dt"], filters=[("decision", "=", "stop")])
    return sorted(set(stops.column("dt").to_pylist()))


def values_before(nights: Nights, day: dt.date) -> dict[str, list[float]]:
    """The values of each day rule in the 28 nights before a day, oldest first."""
    values: dict[str, list[float]] = {}
    for night in sorted(nights):
        if day - dt.timedelta(days=NIGHTS) <= night < day:
            for rule, value in nights[night].items():
                values.setdefault(rule, []).append(value)
    return values


def record(
    results: Sequence[Result],
    examples: Sequence[Mapping[str, Any]],
    into: WritePartition,
    examples_into: WritePartition,
    inputs: Mapping[str, str],
) -> None:
    """Write what a night found into silver.validation_results and silver.validation_examples, whether it goes on or
    not: in the place of what stood there of the same days and inputs."""
    judged = sorted({result.dt for result in results})
    # The files that name users may have been taken away since: then no result speaks of them.
    told = {(result.dt, result.input) for result in results} | {(into.run_date, "session_users")}
    for rows, partition in ((list(map(asdict, results)), into), (list(map(dict, examples)), examples_into)):
        kept = others_of_these_days(partition.table.name, judged, told)
        lake.overwrite_rows("listening_events", [*kept, *rows], partition, inputs, judged)


def others_of_these_days(
    name: str, days: Sequence[dt.date], told: Collection[tuple[dt.date, str]]
) -> list[dict[str, Any]]:
    """The rows of those days but the (day, input) in `told`: of another input, judged in an earlier run. They stay."""
    found = lake.snapshot(name)
    if found is None or not days or "input" not in {field.name for field in found.schema().fields}:
        return []
    rows = found.to_pyarrow_table(filters=[("dt", "in", sorted(days))]).to_pylist()
    return [row for row in rows if (row["dt"], row["input"]) not in told and row["input"] is not None]
