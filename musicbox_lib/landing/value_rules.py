"""The night's rules that one value of a delivered line breaks by itself, in plain Python, for `musicbox land`: it is
missing, outside a range, none of a set, of another pattern. Rules over lines, sessions and days are left to the night.

What breaks a rule is decided in `validation.rules`, for all rows at once; a test holds both equal on planted values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from musicbox_lib.contract.tables import Column, Expectation, Table, table
from musicbox_lib.landing import spellings
from musicbox_lib.landing.lines import delivered_columns
from musicbox_lib.landing.misfits import Misfit

JUDGED_BY = {
    "landing.session_logs": ("bronze.session_events", "silver.listening_events"),
    "landing.tracks": ("bronze.tracks", "silver.known_tracks"),
}
"""Landed table -> the table that names its columns for the rules, and the table that has the rules."""
# Java's names of characters, in Python's words.
_CLASSES = {
    r"\z": r"\Z",
    r"\p{Cc}": r"\x00-\x1f\x7f-\x9f",
    r"\p{Z}": r" \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
}
_SET = "expect_column_values_to_be_in_set"
_RANGE = "expect_column_values_to_be_between"
_PATTERN = "expect_column_values_to_match_regex"
_PRESENT = "expect_column_values_to_not_be_null"
_COUNTED: dict[str, Callable[[Any], bool]] = {
    "missing_values": lambda value: value is None,
    "odd_flags": lambda value: value is not None and value not in {0, 1},
    "odd_shares": lambda value: value is not None and not 0 <= value <= 1,
}
"""Facts of a row that count values of the rule's columns: which."""


class ValueRule(NamedTuple):
    """A rule about a column as delivered: whether a value, read by the column's type, breaks it, and what is wrong with
    it then, to be read on from the value."""

    column: Column
    is_broken: Callable[[Any], bool]
    why: str


@lru_cache
def value_rules(landed: str) -> dict[str, tuple[ValueRule, ...]]:
    """The rules by landed column."""
    if landed not in JUDGED_BY:
        return {}
    bronze, judged = (table(name) for name in JUDGED_BY[landed])
    columns = dict(zip(delivered_columns(bronze), table(landed).columns, strict=True))
    found: dict[str, tuple[ValueRule, ...]] = {}
    for rule in judged.expectations:
        is_broken = _broken_by(rule) if rule.scope == "row" and rule.severity == "quarantine" else None
        if is_broken is not None:
            for column in (columns[name] for name in rule.concerned if name in columns):
                found[column.name] = (*found.get(column.name, ()), ValueRule(column, is_broken, rule.fault))
    return found


def faults(header: Iterable[str], values: Iterable[str], landed: Table) -> list[Misfit]:
    """What of a line breaks a rule, its values all fitting their columns' types. An id that becomes a pseudonym breaks
    the same rules."""
    return [
        Misfit(name, value, why)
        for name, value in zip(header, values, strict=True)
        for why in _wrong_with(landed.name, name, value)
    ]


@lru_cache(maxsize=100_000)
def _wrong_with(landed: str, name: str, value: str) -> tuple[str, ...]:
    """Most values of a file are the same few: they are judged once."""
    rules = value_rules(landed).get(name, ())
    return tuple(rule.why for rule in rules if rule.is_broken(spellings.value_of(value, rule.column)))


def _broken_by(rule: Expectation) -> Callable[[Any], bool] | None:
    """None for a rule that one value does not break."""
    kwargs = rule.kwargs
    name = str(kwargs.get("column"))
    if name in _COUNTED:
        return _COUNTED[name]
    if rule.columns or "mostly" in kwargs or name in {"raw_line", "is_parsed"}:
        return None
    if rule.type == _PRESENT:
        return lambda value: value is None
    if rule.type == _SET:
        known = frozenset(kwargs["value_set"])
        return lambda value: value is not None and value not in known
    if rule.type == _RANGE:
        low, high = kwargs.get("min_value", float("-inf")), kwargs.get("max_value", float("inf"))
        is_strict = bool(kwargs.get("strict_min"))
        return lambda value: value is not None and not (low <= value <= high and not (is_strict and value == low))
    if rule.type == _PATTERN:
        pattern = kwargs["regex"]
        for java, python in _CLASSES.items():
            pattern = pattern.replace(java, python)
        try:
            matches = re.compile(pattern, re.ASCII).search
        except re.error:
            return None
        return lambda value: value is not None and matches(value) is None
    return None
