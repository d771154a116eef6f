"""Every declared check: a row that breaks it is refused by both writers, in its own words, and nothing changes."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import deltalake
import pyarrow as pa
import pytest

from musicbox_lib import lake
from musicbox_lib.contract import checks
from musicbox_lib.contract.tables import Check, Table, table, tables
from musicbox_lib.errors import DataRefused
from musicbox_lib.lake import WritePartition, layout
from musicbox_lib.lake.layout import create

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

DAY = dt.date(2026, 11, 5)
Row = dict[str, Any]
CHECKED = sorted(name for name, found in tables().items() if found.checks)
# The quarantine holds any line; the tracks, the results and the ledger are held to their own rules and columns.
FREE = {
    *(f"silver.{noun}" for noun in ("rejected_events", "rejected_tracks", "known_tracks")),
    *(f"silver.{noun}" for noun in ("validation_results", "validation_examples")),
    "ops.run_ledger",
}

PLAIN: dict[str, Any] = {
    "date": DAY,
    "string": "a",
    "boolean": True,
    "int": 1,
    "tinyint": 1,
    "bigint": 1,
    "double": 0.5,
    "float": 0.5,
    "array<string>": ["a"],
    "array<float>": [0.5],
    "array<tinyint>": [1],
    "map<string,string>": [("a", "b")],
    "map<string,double>": [("a", 0.5)],
    "map<string,bigint>": [("a", 1)],
}
"""A value of each type; a row made of them holds but for what stands below."""
VALID: dict[str, Row] = {
    "silver.listening_events": {"skip_1": False, "skip_2": False, "not_skipped": False},
    "silver.superseded_events": {
        **{"skip_1": False, "skip_2": False, "not_skipped": False},
        "superseded_on": DAY + dt.timedelta(days=1),
    },
    "gold.track_embeddings": {"source": "sessions"},
    "gold.track_features": {"quality_by_fold": [0.0] * 10},
    "models.baselines": {"folder": "baselines-2026-11-05-0a1b2c3d"},
    "models.registry": {"status": "champion"},
    "training.transitions": {"a_tm1": [0.5, 0.5], "d_t": 1.0},
    "scores.top3_recommendations": {"source": "actor", "reason_code": "exploring"},
    "reports.diversity": {"ild_space": "audio"},
    "reports.policy_comparison": {"evidence": "ok", "versus": "b"},
    "reports.policy_evaluation": {"evidence": "ok"},
    "reports.skip_prediction": {"task": "next_play", "measure": "accuracy"},
    "reports.skip_rate": {"evidence": "ok"},
}
CANDIDATES: dict[str, list[Any]] = {
    "string": ["", "nonsense", "a"],
    "boolean": [False],
    "int": [-1, 0, 2, 4, 10, 21, 24],
    "tinyint": [-1, 0, 4],
    "bigint": [-1, 0, 2],
    "double": [-1.0, 0.0, 1.5, 101.0, 3.0, float("nan")],
    "float": [-1.0, 1.5, float("nan")],
    "array<string>": [[], ["a"] * 51, ["a"] * 65],
    "array<float>": [[], [0.5] * 3],
    "array<tinyint>": [[], [1, 1]],
    "date": [DAY + dt.timedelta(days=1), DAY],
}
"""Values of each type that something is likely not to bear."""


def valid(found: Table) -> Row:
    return {column.name: PLAIN[column.type] for column in found.columns} | VALID.get(found.name, {})


def arrow(found: Table, rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=pa.schema(layout._delta_schema(found).to_arrow()))


def changes(found: Table, check: Check) -> Iterator[Row]:
    """What to change of a valid row, one of the check's columns at a time, then two; the partition stays."""
    types = {column.name: column.type for column in found.columns if column.name in check.sql and column.name != "dt"}
    # The words that the table's checks name are worth a try everywhere: `low_ess` breaks what `ok` does not.
    words = sorted({word for one in found.checks for word in re.findall(r"'([^'%]*)'", one.sql)})
    tried = CANDIDATES | {"string": [*CANDIDATES["string"], *words]}
    single = [{name: value} for name, kind in types.items() for value in tried.get(kind, [])]
    nulls = [{column.name: None} for column in found.columns if column.name in types and column.nullable]
    yield from (*single, *nulls)
    yield from (one | other for one, other in itertools.combinations(single + nulls, 2) if not set(one) & set(other))


def breaking(found: Table, check: Check) -> Row | None:
    """A valid row changed so that it breaks that check before any other; None where none was found."""
    for change in changes(found, check):
        row = valid(found) | change
        broken = checks.breach_in_rows(arrow(found, [row]), found)
        if broken is not None and broken.check == check:
            return row
    return None


def partition_of(found: Table) -> WritePartition:
    return WritePartition.parse(f"{found.name}/dt={DAY}" if found.partition else found.name)


def frame_of(spark: SparkSession, found: Table, row: Row) -> DataFrame:
    from pyspark.sql.types import StructType

    pairs = {
        name: dict(value)
        for name, value in row.items()
        if isinstance(value, list) and value and isinstance(value[0], tuple)
    }
    values = row | pairs
    schema = StructType.fromDDL(found.ddl)
    assert isinstance(schema, StructType)
    return spark.createDataFrame([tuple(values[name] for name in found.column_names)], schema)


def held(found: Table) -> tuple[int, list[Row]]:
    delta = deltalake.DeltaTable(lake.path_of(found.name))
    return delta.version(), delta.to_pyarrow_table().to_pylist()


def test_every_table_that_analysts_see_has_checks() -> None:
    seen = {name for name, found in tables().items() if found.format == "delta" and found.stage != "bronze"}
    assert seen - FREE == set(CHECKED)


@pytest.mark.parametrize("name", CHECKED)
def test_a_check_has_a_sentence_and_a_name_of_its_own(name: str) -> None:
    found = table(name)
    assert len({check.name for check in found.checks}) == len(found.checks)
    assert [check.name for check in found.checks if not check.about.endswith(".")] == []


def refuse_each(spark: SparkSession | None, found: Table) -> None:
    """Hold one writer, Spark's where there is a session, to every check of the table."""
    partition = partition_of(found)

    def write(row: Row) -> int:
        if spark is None:
            return lake.overwrite_rows("by_hand", [row], partition)
        return lake.overwrite(frame_of(spark, found, row), partition)

    assert write(valid(found)) == 1
    before = held(found)
    for check in found.checks:
        row = breaking(found, check)
        assert row is not None, f"no row breaks {found.name}: {check.name}"
        said = re.escape(f"{found.name}: 1 of 1 rows break the check {check.name} ({check.about.rstrip('.')})")
        with pytest.raises(DataRefused, match=said):
            write(row)
        assert held(found) == before, check.name


@pytest.mark.parametrize("name", CHECKED)
def test_rows_that_break_a_check_are_refused_and_what_stood_there_stands(
    spark: SparkSession, lake_root: Path, name: str
) -> None:
    found = table(name)
    refuse_each(None, found)
    for check in found.checks:
        # Whoever writes past the lake is refused by the table itself.
        with pytest.raises(deltalake.exceptions.DeltaError, match="validation check"):
            deltalake.write_deltalake(lake.path_of(name), arrow(found, [breaking(found, check) or {}]), mode="append")
    protocol = deltalake.DeltaTable(lake.path_of(name)).protocol()
    assert (protocol.min_reader_version, protocol.reader_features) == (1, None)


def test_spark_is_refused_in_the_same_words(spark: SparkSession, lake_root: Path) -> None:
    refuse_each(spark, table("models.registry"))


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKED)
def test_spark_is_refused_by_every_check(spark: SparkSession, lake_root: Path, name: str) -> None:
    refuse_each(spark, table(name))


def test_the_sentence_says_how_many_rows_where_and_what_to_do(spark: SparkSession, lake_root: Path) -> None:
    found = table("scores.top3_recommendations")
    rows = [valid(found) | {"rank": rank, "user_id": user} for user in ("u1", "u2") for rank in (1, 2, 5)]
    said = (
        "scores.top3_recommendations: 2 of 6 rows break the check rank_range (rank is 1, 2 or 3), one of them at "
        "{'dt': '2026-11-05', 'user_id': 'u1', 'rank': '5'}; nothing was published, what stood there still stands: "
        "mend what the job by_hand made, then run it again."
    )
    with pytest.raises(DataRefused) as refused:
        lake.overwrite_rows("by_hand", rows, partition_of(found))
    assert str(refused.value) == said
    frame = frame_of(spark, found, rows[0])
    for row in rows[1:]:
        frame = frame.union(frame_of(spark, found, row))
    with pytest.raises(DataRefused) as refused:
        lake.overwrite(frame, partition_of(found))
    assert str(refused.value) == said.replace("by_hand", str(spark.sparkContext.appName))
    assert lake.days_of(found.name) == []


def test_a_table_of_an_older_lake_gets_its_checks_when_its_rows_hold(spark: SparkSession, lake_root: Path) -> None:
    found = table("reports.diversity")
    made = create
    bare = dataclasses.replace(found, checks=())
    made(bare)
    deltalake.write_deltalake(lake.path_of(found.name), arrow(found, [valid(found)]), mode="append")
    assert checks.constraints_held(deltalake.DeltaTable(lake.path_of(found.name)).metadata().configuration) == set()
    lake.overwrite_rows("by_hand", [valid(found)], partition_of(found))
    now = deltalake.DeltaTable(lake.path_of(found.name)).metadata().configuration
    assert checks.constraints_held(now) == set(checks.constraints(found))
    # A check that is declared no more goes.
    made(dataclasses.replace(found, checks=found.checks[:1]))
    now = deltalake.DeltaTable(lake.path_of(found.name)).metadata().configuration
    assert checks.constraints_held(now) == {checks.constraint_name(found.checks[0])}


def test_older_rows_that_break_a_check_do_not_excuse_new_ones(
    spark: SparkSession, lake_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = table("reports.diversity")
    create(dataclasses.replace(found, checks=()))
    yesterday = valid(found) | {"dt": DAY - dt.timedelta(days=1), "gini": 7.0}
    deltalake.write_deltalake(lake.path_of(found.name), arrow(found, [yesterday]), mode="append")
    with pytest.raises(DataRefused, match="check shares_range .*, one of them at .*'gini': '1.5'"):
        lake.overwrite_rows("by_hand", [valid(found) | {"gini": 1.5}], partition_of(found))
    assert "reports.diversity has older rows that break one of bits_range_" in caplog.text
    assert lake.overwrite_rows("by_hand", [valid(found)], partition_of(found)) == 1


def test_a_published_day_is_not_emptied(spark: SparkSession, lake_root: Path) -> None:
    scores, silver = table("scores.top3_recommendations"), table("silver.listening_events")
    for found in (scores, silver):
        lake.overwrite_rows("by_hand", [valid(found)], partition_of(found))
    with pytest.raises(DataRefused, match="holds rows and the job gave none; nothing was published"):
        lake.overwrite_rows("by_hand", [], partition_of(scores))
    with pytest.raises(DataRefused, match="holds rows and the job gave none; nothing was published"):
        lake.overwrite(frame_of(spark, scores, valid(scores)).limit(0), partition_of(scores))
    assert held(scores)[1] == [valid(scores)]
    assert lake.overwrite_rows("by_hand", [], partition_of(silver)) == 0
    other = WritePartition.parse(f"{scores.name}/dt={DAY + dt.timedelta(days=1)}")
    assert lake.overwrite_rows("by_hand", [], other) == 0
