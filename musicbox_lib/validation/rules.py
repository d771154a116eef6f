"""Great Expectations tells that a rule is broken, a Spark column tells by which row: both from the contract's list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

from musicbox_lib.contract.tables import Expectation, Table
from musicbox_lib.errors import MusicBoxError

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

REJECTED = "#rejected"
FAULTY = "#faulty"
UNREAD = "#unread"
# A log that lands twice repeats every row and is as good as one that lands once: this is no fault of the delivery.
REPETITIONS = ("no_duplicate", "first_delivery")
MOST_RULES = 63
"""Row rules of a table: a bit each, but for the sign's."""
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
    """Add `broken` (bigint: bit k is set where the row breaks the k-th of the table's row rules; `broken_names` spells
    it out) and `is_rejected` (int, 1 where one of them sends the row to quarantine).

    A number: two arrays of names for every suspect took 23 s instead of 20 at 10,000,000 rows, one run each.
    Raises MusicBoxError for a table of more rules than a number has bits.
    """
    from pyspark.sql import functions as F

    rules = row_rules(table)
    if len(rules) > MOST_RULES:
        raise MusicBoxError(f"{table.name} has {len(rules)} row rules, more than {MOST_RULES}: join some of them.")
    bits = [F.shiftleft(broken_by(rule).cast("bigint"), place) for place, rule in enumerate(rules)]
    held = rows.withColumn("broken", reduce(lambda one, other: one.bitwiseOR(other), bits))
    return held.withColumn("is_rejected", _breaks_any_of(_quarantine(rules), rules).cast("int"))


def broken_names(table: Table, severity: str | None = None) -> Column:
    """The names of the rules (all, or those of a severity) that a row of `with_broken_rules` breaks, as an array."""
    from pyspark.sql import functions as F

    rules = row_rules(table)
    told = [rule for rule in rules if severity in {None, rule.severity}]
    return _names([F.when(_breaks_any_of([rule], rules), F.lit(rule.rule)) for rule in told])


def breaks_rule(rule: Expectation, table: Table) -> Column:
    """Whether a row of `with_broken_rules` breaks the rule."""
    return _breaks_any_of([rule], row_rules(table))


def set_aside(flagged: DataFrame, table: Table) -> DataFrame:
    """The rows of `with_broken_rules` that go to quarantine, with the names of the `rules` that send them there."""
    return flagged.where("is_rejected = 1").withColumn("rules", broken_names(table, "quarantine"))


def _quarantine(rules: Iterable[Expectation]) -> list[Expectation]:
    return [rule for rule in rules if rule.severity == "quarantine"]


def _breaks_any_of(some: Iterable[Expectation], rules: Sequence[Expectation]) -> Column:
    from pyspark.sql import functions as F

    mask = sum(1 << rules.index(rule) for rule in some)
    return F.col("broken").bitwiseAND(F.lit(mask).cast("bigint")) != 0


def _names(names: Sequence[Column]) -> Column:
    """Those that are not null."""
    from pyspark.sql import functions as F

    return F.array_except(F.array(*names), F.array(F.lit(None).cast("string")))


def count_broken(flagged: DataFrame, table: Table, key: str) -> DataFrame:
    """(dt, name, rows): rows per day that break each rule, under `#rejected` those that go to quarantine, under
    `#faulty` those of them that do more than repeat, and under `#unread` those without the input's `key`."""
    from pyspark.sql import functions as F

    rules = row_rules(table)
    faults = [rule for rule in _quarantine(rules) if rule.rule not in REPETITIONS]
    # Few rules are broken together: from here on there are some hundred rows.
    alike = flagged.groupBy("dt", "broken", F.col(key).isNull().alias("is_unread")).agg(F.count(F.lit(1)).alias("rows"))
    told = {REJECTED: _breaks_any_of(_quarantine(rules), rules), FAULTY: _breaks_any_of(faults, rules)}
    told[UNREAD] = F.col("is_unread")
    names = F.concat(_names([F.when(holds, F.lit(name)) for name, holds in told.items()]), broken_names(table))
    named = alike.select("dt", "rows", F.explode(names).alias("name"))
    return named.groupBy("dt", "name").agg(F.sum("rows").alias("rows"))
