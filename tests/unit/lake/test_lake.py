"""The reader-writer: partition words, one-day replacement, grain, contract, locks, ledger."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import deltalake
import pytest
from pyspark.sql import functions as F

from musicbox_lib import lake
from musicbox_lib.contract.tables import table
from musicbox_lib.errors import Conflict, DataRefused, MusicBoxError, UsageError
from musicbox_lib.lake import ReadPartition, WritePartition
from musicbox_lib.settings import settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

DAY = dt.date(2026, 11, 5)


def results(spark: SparkSession, day: dt.date, *counts: int) -> DataFrame:
    rows = [
        (day, "tracks", f"rule_{n}", "warn", "A rule.", 10, n, n / 10, n == 0, "go_on", None, None, None)
        for n in counts
    ]
    return spark.createDataFrame(rows, table("silver.validation_results").ddl)


def write(frame: DataFrame, day: dt.date) -> int:
    return lake.overwrite(frame, WritePartition.parse(f"silver.validation_results/dt={day}"), {"made": "here"})


def held(name: str = "silver.validation_results") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = deltalake.DeltaTable(lake.path_of(name)).to_pyarrow_table().to_pylist()
    return rows


@pytest.mark.parametrize(
    ("word", "first", "last", "latest"),
    [
        ("gold.track_features/dt=2026-11-05", DAY, DAY, False),
        ("gold.track_features/dt=2026-11-01..2026-11-05", dt.date(2026, 11, 1), DAY, False),
        ("gold.track_features/dt=..2026-11-05", None, DAY, False),
        ("gold.track_features/dt=latest..2026-11-05", None, DAY, True),
        ("gold.track_features/*", None, None, False),
        ("models.registry", None, None, False),
    ],
)
def test_a_partition_is_one_word(word: str, first: dt.date | None, last: dt.date | None, latest: bool) -> None:
    assert ReadPartition.parse(word) == ReadPartition(table(word.split("/", 1)[0]), first, last, latest)


@pytest.mark.parametrize(
    "word",
    [
        "gold.track_features",
        "gold.track_features/dt=yesterday",
        "gold.track_features/dt=2026-13-01",
        "gold.track_features/dt=20261105",
        "gold.track_features/../bronze",
        "gold.track_features/dt=2026-11-05'; --",
        "models.registry/dt=2026-11-05",
        "nothing.here/dt=2026-11-05",
    ],
)
def test_any_other_word_is_a_usage_error(word: str) -> None:
    with pytest.raises(UsageError):
        ReadPartition.parse(word)


def test_writing_a_whole_partitioned_table_cannot_be_asked_for() -> None:
    with pytest.raises(UsageError, match="must name the day"):
        WritePartition.parse("gold.track_features/*")


def test_a_day_is_replaced_and_no_other(spark: SparkSession, lake_root: Path) -> None:
    other = DAY - dt.timedelta(days=1)
    assert write(results(spark, other, 1), other) == 1
    assert write(results(spark, DAY, 1, 2), DAY) == 2
    assert write(results(spark, DAY, 3), DAY) == 1
    assert sorted((row["dt"], row["rule"]) for row in held()) == [(other, "rule_1"), (DAY, "rule_3")]
    assert lake.days_of("silver.validation_results") == [other, DAY]
    latest = lake.read(spark, ReadPartition.parse(f"silver.validation_results/dt=latest..{other}"))
    assert [row["rule"] for row in latest.collect()] == ["rule_1"]
    ledger = sorted(held("ops.run_ledger"), key=lambda row: row["version"])
    assert [(row["table"], row["rows"], row["days"]) for row in ledger] == [
        ("silver.validation_results", 1, [other]),
        ("silver.validation_results", 2, [DAY]),
        ("silver.validation_results", 1, [DAY]),
    ]
    assert [row["version"] for row in ledger] == [1, 2, 3]
    assert dict(ledger[0]["inputs"]) == {"made": "here"}


def test_rows_of_this_process_are_held_to_the_same_words(spark: SparkSession, lake_root: Path) -> None:
    other = DAY - dt.timedelta(days=1)
    write(results(spark, other, 1), other)
    partition = WritePartition.parse(f"silver.validation_results/dt={DAY}")
    rows = [row.asDict() for row in results(spark, DAY, 1, 2).collect()]
    assert lake.overwrite_rows("by_hand", rows, partition, {"made": "here"}) == 2
    assert lake.overwrite_rows("by_hand", rows[1:], partition) == 1
    assert sorted((row["dt"], row["rule"]) for row in held()) == [(other, "rule_1"), (DAY, "rule_2")]
    seen = lake.read(spark, ReadPartition.parse(f"silver.validation_results/dt={DAY}"))
    assert [row.asDict() for row in seen.collect()] == rows[1:]
    ledger = sorted(held("ops.run_ledger"), key=lambda row: row["version"])
    assert [(row["job"], row["version"], row["rows"]) for row in ledger][1:] == [("by_hand", 2, 2), ("by_hand", 3, 1)]
    with pytest.raises(DataRefused, match=r"2 rows for \{'dt'.*'rule': 'rule_1'\} where the grain allows one"):
        lake.overwrite_rows("by_hand", [rows[0], rows[0]], partition)
    with pytest.raises(DataRefused, match="the schema knows no column rules"):
        lake.overwrite_rows("by_hand", [{**rows[0], "rules": 1}], partition)
    with pytest.raises(Exception, match="(?i)null"):
        lake.overwrite_rows("by_hand", [{**rows[0], "success": None}], partition)
    with pytest.raises(Exception, match="failed validation check"):
        lake.overwrite_rows("by_hand", [{**rows[0], "dt": other}], partition)
    assert len(held()) == 2


def test_an_empty_day_keeps_no_old_rows(spark: SparkSession, lake_root: Path) -> None:
    write(results(spark, DAY, 1), DAY)
    assert write(results(spark, DAY), DAY) == 0
    assert held() == []


def test_rows_of_another_day_are_refused_by_the_commit(spark: SparkSession, lake_root: Path) -> None:
    write(results(spark, DAY, 1), DAY)
    with pytest.raises(Exception, match="DELTA_REPLACE_WHERE_MISMATCH|does not conform"):
        write(results(spark, DAY - dt.timedelta(days=1), 1), DAY)
    assert [row["rule"] for row in held()] == ["rule_1"]


def test_a_write_whose_commit_is_missing_is_an_error(
    spark: SparkSession, lake_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("musicbox_lib.lake.write._commit_after", lambda found, before, note: (before, 0))
    with pytest.raises(MusicBoxError, match="Spark reported success, but .* has no commit of this write: run tests"):
        write(results(spark, DAY, 1), DAY)


def test_two_rows_of_one_grain_are_refused_and_nothing_is_written(spark: SparkSession, lake_root: Path) -> None:
    with pytest.raises(DataRefused, match=r"2 rows for \{'dt'.*'rule': 'rule_1'\} where the grain allows one"):
        write(results(spark, DAY, 1, 1), DAY)
    assert lake.snapshot("silver.validation_results") is None


def test_a_column_of_another_type_is_refused_by_name(spark: SparkSession, lake_root: Path) -> None:
    frame = results(spark, DAY, 1).withColumn("evaluated", F.col("evaluated").cast("int"))
    with pytest.raises(DataRefused, match="column evaluated is int, schema says bigint"):
        write(frame, DAY)
    with pytest.raises(DataRefused, match="column rule is missing, schema says string"):
        write(results(spark, DAY, 1).drop("rule"), DAY)


def test_a_null_in_a_required_column_is_refused(spark: SparkSession, lake_root: Path) -> None:
    write(results(spark, DAY, 1), DAY)
    frame = results(spark, DAY, 2).withColumn("success", F.lit(None).cast("boolean"))
    with pytest.raises(Exception, match="DELTA_NOT_NULL_CONSTRAINT_VIOLATED|NOT NULL"):
        write(frame, DAY)
    assert [row["rule"] for row in held()] == ["rule_1"]


def test_what_nobody_wrote_is_refused_with_the_job_to_run(spark: SparkSession, lake_root: Path) -> None:
    word = ReadPartition.parse(f"silver.validation_results/dt={DAY}")
    with pytest.raises(DataRefused, match="has not been written yet.*run the job listening_events"):
        lake.read(spark, word)
    assert lake.read_if_written(spark, word).collect() == []
    write(results(spark, DAY - dt.timedelta(days=1), 1), DAY - dt.timedelta(days=1))
    with pytest.raises(DataRefused, match=r"silver.validation_results/dt=2026-11-05 is empty"):
        lake.read(spark, word)


def test_a_table_in_other_hands_is_a_conflict(lake_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSICBOX_LOCK_SECONDS", "0.1")
    settings.cache_clear()
    with (
        lake.table_lock("gold.track_features"),
        pytest.raises(Conflict, match=r"gold.track_features is being written"),
        lake.table_lock("gold.track_features"),
    ):
        pass


def test_plain_readers_find_no_feature_they_do_not_know(spark: SparkSession, lake_root: Path) -> None:
    write(results(spark, DAY, 1), DAY)
    write(results(spark, DAY, 2), DAY)
    protocol = deltalake.DeltaTable(lake.path_of("silver.validation_results")).protocol()
    assert protocol.min_reader_version == 1
    assert not protocol.reader_features
