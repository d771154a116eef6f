"""Typed edges of transforms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyspark.sql import functions as F

from musicbox_lib.contract.tables import table
from musicbox_lib.contract.typed import contract
from musicbox_lib.errors import DataRefused

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

RESULTS = "silver.validation_results"


@contract(takes={"frame": RESULTS}, gives=RESULTS)
def renamed(frame: DataFrame, rule: str) -> DataFrame:
    """Give every rule one name."""
    return frame.withColumn("rule", F.lit(rule)).withColumn("scratch", F.lit(1))


def empty(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([], table(RESULTS).ddl)


def test_a_transform_gives_exactly_the_declared_columns(spark: SparkSession) -> None:
    assert renamed(empty(spark), "r").columns == list(table(RESULTS).column_names)


def test_a_missing_input_column_is_named(spark: SparkSession) -> None:
    with pytest.raises(DataRefused, match="validation_results: column about is missing, schema says string"):
        renamed(empty(spark).drop("about"), rule="r")
