"""What a row breaks, as a number with a bit per rule and as names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from musicbox_lib.contract.tables import Expectation, Table, table
from musicbox_lib.errors import MusicBoxError
from musicbox_lib.validation.rules import MOST_RULES, broken_names, with_broken_rules

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SEVERITIES = ("quarantine", "warn")


def with_rules(count: int) -> Table:
    """A table whose k-th rule is broken by the word `k` alone; every other one warns."""
    known = table("silver.known_tracks")
    [like, *_] = [rule for rule in known.expectations if rule.type == "expect_column_values_to_not_match_regex"]
    rules: list[Expectation] = [
        replace(like, rule=f"no_{k}", severity=SEVERITIES[k % 2], kwargs={"column": "word", "regex": f"^{k}$"})
        for k in range(count)
    ]
    return replace(known, expectations=tuple(rules))


def test_every_bit_has_its_name(spark: SparkSession) -> None:
    found = with_rules(MOST_RULES)
    words = spark.createDataFrame([(str(k),) for k in range(MOST_RULES + 1)], "word string")
    told = with_broken_rules(words, found).select(
        "word", "is_rejected", broken_names(found).alias("all"), broken_names(found, "quarantine").alias("grave")
    )
    rows = {row.word: (row.is_rejected, row.all, row.grave) for row in told.collect()}
    for k in range(MOST_RULES):
        grave = [f"no_{k}"] if k % 2 == 0 else []
        assert rows[str(k)] == (len(grave), [f"no_{k}"], grave)
    assert rows[str(MOST_RULES)] == (0, [], [])


def test_more_rules_than_bits_are_refused(spark: SparkSession) -> None:
    with pytest.raises(MusicBoxError, match="64 row rules, more than 63"):
        with_broken_rules(spark.range(1), with_rules(MOST_RULES + 1))
