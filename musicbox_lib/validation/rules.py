"""Great Expectations tells that a rule is broken, a Spark column tells by which row: both from the contract's list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from musicbox_lib.errors import MusicBoxError
from musicbox_lib.tables import Expectation, Table

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

REJECTED = "#rejected"
FAULTY = "#faulty"
UNREAD = "#unread"
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


def _length_between(value: Column, kwargs: dict[str, Any]) -> Column:
    from pyspark.sql import functions as F

    broken = _between(F.length(value), kwargs)
    if kwargs.get("min_value") is not None or "max_value" not in kwargs:
        return broken
    # Fewer bytes are fewer characters: only a line of many is counted through.
    return _between(F.octet_length(value), kwargs) & broken


def _found(value: Column, kwargs: dict[str, Any]) -> Column:
    from pyspark.sql import functions as F

    character = CHARACTERS.get(kwargs["regex"])
    return value.rlike(kwargs["regex"]) if character is None else F.contains(value, F.lit(character))


def _broken_by_type() -> dict[str, Callable[[Column, dict[str, Any]], Column]]:
    return {
        "expect_column_values_to_not_be_null": lambda value, _: value.isNull(),
        "expect_column_values_to_be_between": _between,
        "expect_column_values_to_be_in_set": lambda value, kwargs: ~value.isin(kwargs["value_set"]),
        "expect_column_values_to_match_regex": lambda value, kwargs: ~value.rlike(kwargs["regex"]),
        "expect_column_values_to_not_match_regex": _found,
        "expect_column_value_lengths_to_be_between": _length_between,
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
    rules = row_rules(table)
    # Each rule in a column of its own, looked at once and read four times.
    held = rows.withColumns({f"#{rule.rule}": broken_by(rule) for rule in rules})
    quarantine = [rule for rule in rules if rule.severity == "quarantine"]
    told = {
        "broken": _names([_named(rule) for rule in rules]),
        "rules": _names([_named(rule) for rule in quarantine]),
        "is_rejected": _any_of(quarantine).cast("int"),
        "is_faulty": _any_of([rule for rule in quarantine if rule.rule not in REPETITIONS]).cast("int"),
    }
    return held.withColumns(told).drop(*[f"#{rule.rule}" for rule in rules])


def _named(rule: Expectation) -> Column:
    from pyspark.sql import functions as F

    return F.when(F.col(f"#{rule.rule}"), F.lit(rule.rule))


def _any_of(rules: Iterable[Expectation]) -> Column:
    from pyspark.sql import functions as F

    return reduce(or_, [F.col(f"#{rule.rule}") for rule in rules])


def _names(names: Sequence[Column]) -> Column:
    """Those that are not null. A filter would not be compiled, nor anything that it looks at: 20 of 50 s of the rows
    set aside at 10,000,000."""
    from pyspark.sql import functions as F

    return F.array_except(F.array(*names), F.array(F.lit(None).cast("string")))


def count_broken(flagged: DataFrame, key: str) -> DataFrame:
    """(dt, name, rows): rows per day that break each rule, under `#rejected` those that go to quarantine, under
    `#faulty` those of them that do more than repeat, and under `#unread` those without the input's `key`."""
    from pyspark.sql import functions as F

    rejected = F.when(F.col("is_rejected") == 1, F.lit(REJECTED))
    faulty = F.when(F.col("is_faulty") == 1, F.lit(FAULTY))
    unread = F.when(F.col(key).isNull(), F.lit(UNREAD))
    names = F.concat(_names([rejected, faulty, unread]), "broken")
    named = flagged.select("dt", F.explode(names).alias("name"))
    return named.groupBy("dt", "name").agg(F.count(F.lit(1)).alias("rows"))
