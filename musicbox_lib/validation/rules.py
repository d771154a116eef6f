"""Great Expectations tells that a rule is broken, a Spark column tells by which row: both from the contract's list."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from musicbox_lib.errors import MusicBoxError
from musicbox_lib.tables import Expectation, Table

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

REJECTED = "#rejected"
FAULTY = "#faulty"
# A log that lands twice repeats every row and is as good as one that lands once: this is no fault of the delivery.
REPETITIONS = ("no_duplicate", "first_delivery")
# A pattern that is one character: looking for it costs a tenth of a regular expression over 230 characters.
CHARACTERS = {r"\x00": "\x00", r"\x{FFFD}": "\ufffd"}


def row_rules(table: Table) -> tuple[Expectation, ...]:
    """The table's rules that look at one row and its facts."""
    return tuple(rule for rule in table.expectations if rule.scope == "row")


def day_rules(table: Table) -> tuple[Expectation, ...]:
    """The table's rules that look at the measures of a whole day."""
    return tuple(rule for rule in table.expectations if rule.scope == "day")


def _between(value: Column, kwargs: dict[str, Any]) -> Column:
    from pyspark.sql import functions as F

    broken = F.lit(False)
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if low is not None:
        broken = broken | ((value <= low) if kwargs.get("strict_min") else (value < low))
    if high is not None:
        broken = broken | ((value >= high) if kwargs.get("strict_max") else (value > high))
    return broken


def _found(value: Column, kwargs: dict[str, Any]) -> Column:
    from pyspark.sql import functions as F

    character = CHARACTERS.get(kwargs["regex"])
    return value.rlike(kwargs["regex"]) if character is None else F.contains(value, F.lit(character))


def _broken_by_type() -> dict[str, Callable[[Column, dict[str, Any]], Column]]:
    from pyspark.sql import functions as F

    return {
        "expect_column_values_to_not_be_null": lambda value, _: value.isNull(),
        "expect_column_values_to_be_between": _between,
        "expect_column_values_to_be_in_set": lambda value, kwargs: ~value.isin(kwargs["value_set"]),
        "expect_column_values_to_match_regex": lambda value, kwargs: ~value.rlike(kwargs["regex"]),
        "expect_column_values_to_not_match_regex": _found,
        "expect_column_value_lengths_to_be_between": lambda value, kwargs: _between(F.length(value), kwargs),
    }


def broken_by(rule: Expectation) -> Column:
    """True where a row breaks the rule, else false. A null breaks only not_be_null, as in Great Expectations.

    Raises MusicBoxError for an expectation type that no Spark column stands for.
    """
    from pyspark.sql import functions as F

    known = _broken_by_type()
    if rule.type not in known:
        raise MusicBoxError(f"rule {rule.rule}: {rule.type} cannot tell rows apart; these can: {', '.join(known)}.")
    return F.coalesce(known[rule.type](F.col(rule.kwargs["column"]), rule.kwargs), F.lit(False))


def with_broken_rules(rows: DataFrame, table: Table) -> DataFrame:
    """Add `broken` (array<string>: every row rule that the row breaks), `rules` (those of them that send it to
    quarantine), `is_rejected` (int, 1 where there are any) and `is_faulty` (1 where it does more than repeat)."""
    from pyspark.sql import functions as F

    def broken(rules: Iterable[Expectation]) -> Column:
        return F.array_compact(F.array(*[F.when(broken_by(rule), F.lit(rule.rule)) for rule in rules]))

    quarantine = [rule.rule for rule in row_rules(table) if rule.severity == "quarantine"]
    return (
        rows.withColumn("broken", broken(row_rules(table)))
        .withColumn("rules", F.filter("broken", lambda name: name.isin(quarantine)))
        .withColumn("is_rejected", (F.size("rules") > 0).cast("int"))
        .withColumn("is_faulty", F.exists("rules", lambda name: ~name.isin(*REPETITIONS)).cast("int"))
    )


def count_broken(flagged: DataFrame) -> DataFrame:
    """(dt, name, rows): rows per day that break each rule, under `#rejected` those that go to quarantine, and under
    `#faulty` those of them that do more than repeat."""
    from pyspark.sql import functions as F

    rejected = F.when(F.col("is_rejected") == 1, F.lit(REJECTED))
    faulty = F.when(F.col("is_faulty") == 1, F.lit(FAULTY))
    names = F.concat(F.array_compact(F.array(rejected, faulty)), "broken")
    named = flagged.select("dt", F.explode(names).alias("name"))
    return named.groupBy("dt", "name").agg(F.count(F.lit(1)).alias("rows"))
