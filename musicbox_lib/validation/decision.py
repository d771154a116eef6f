"""From counts to a decision: go on, quarantine, warn, or stop the night."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from musicbox_lib.contract.tables import Expectation, Table
from musicbox_lib.errors import MusicBoxError
from musicbox_lib.validation.rules import day_rules, row_rules

DECISIONS = {"quarantine": "quarantine", "warn": "warn", "fail": "stop"}
NIGHTS = 28
"""Nights before that say what is usual: four of each weekday."""
FEWEST = 7
"""With fewer nights than a week nothing is usual yet."""
SPREADS = 5.0
"""Median absolute deviations, scaled to a standard deviation, within which a measure is usual: among 28 normal nights
one in 1.7 million falls outside, so what does is worth a look."""
MAD_TO_SD = 1.4826


@dataclass(frozen=True)
class Result:
    """One row of silver.validation_results."""

    dt: dt.date
    input: str
    rule: str
    severity: str
    about: str
    evaluated: int
    unexpected: int
    unexpected_share: float
    success: bool
    decision: str
    value: float | None = None
    expected_lo: float | None = None
    expected_hi: float | None = None


History = Mapping[str, Sequence[float]]
"""The values of each day rule in the nights before, as many as are known."""


def judge(
    day: dt.date, counts: Mapping[str, int], measures: Mapping[str, float | None], history: History, table: Table
) -> list[Result]:
    """One result per rule for a day: from how many of its rows break each row rule (`rules.count_broken`), and from
    its measures, held against fixed bounds or against what was usual in the nights before."""
    rows = int(measures["rows"] or 0)
    of_rows = [row_result(day, rule, counts.get(rule.rule, 0), rows, table) for rule in row_rules(table)]
    of_day = [_day_result(day, rule, measures, history, table) for rule in day_rules(table)]
    return of_rows + of_day


def holds(kwargs: Mapping[str, Any], unexpected: int, rows: int) -> bool:
    """Whether a row rule holds where so many of the rows break it: none may, or what its `mostly` leaves."""
    return rows - unexpected >= float(kwargs.get("mostly", 1.0)) * rows


def row_result(day: dt.date, rule: Expectation, unexpected: int, rows: int, table: Table) -> Result:
    """The result of a row rule that so many of a day's rows break."""
    success = holds(rule.kwargs, unexpected, rows)
    share = unexpected / rows if rows else 0.0
    return Result(
        day, input_of(table), rule.rule, rule.severity, rule.about, rows, unexpected, share, success,
        "go_on" if success else DECISIONS[rule.severity],
    )  # fmt: skip


def _day_result(
    day: dt.date, rule: Expectation, measures: Mapping[str, float | None], history: History, table: Table
) -> Result:
    value = measures[rule.kwargs["column"]]
    lo, hi = bounds(rule, history.get(rule.rule, ()))
    success = value is None or ((lo is None or value >= lo) and (hi is None or value <= hi))
    decision = "go_on" if success else DECISIONS[rule.severity]
    rows = int(measures["rows"] or 0)
    return Result(
        day, input_of(table), rule.rule, rule.severity, rule.about, rows, 0, 0.0, success, decision, value, lo, hi
    )


def bounds(rule: Expectation, values: Sequence[float]) -> tuple[float | None, float | None]:
    """Between what a day rule's measure should lie; None where nothing is known."""
    if rule.usual is None:
        return rule.kwargs.get("min_value"), rule.kwargs.get("max_value")
    known = list(values)[-NIGHTS:]
    if len(known) < FEWEST:
        return None, None
    centre = median(known)
    spread = MAD_TO_SD * median(abs(value - centre) for value in known)
    width = max(SPREADS * spread, rule.usual.floor, rule.usual.share * abs(centre))
    return centre - width, centre + width


def input_of(table: Table) -> str:
    """What is judged by a table's rules, as it was delivered."""
    return {
        "silver.listening_events": "session_logs",
        "silver.known_tracks": "tracks",
        "landing.session_users": "session_users",
    }[table.name]


def hold_against(
    rows: Mapping[str, int], days: Mapping[dt.date, Mapping[str, bool]], results: Sequence[Result], table: Table
) -> None:
    """Raise MusicBoxError unless Great Expectations came to the same: `rows` broken per row rule, over all days
    together, and per day whether each day rule held."""
    for rule in row_rules(table):
        ours = sum(result.unexpected for result in results if result.rule == rule.rule)
        if rows[rule.rule] != ours:
            raise MusicBoxError(
                f"rule {rule.rule}: the split counts {ours} rows, Great Expectations {rows[rule.rule]}: "
                "nothing was published; mend the rule."
            )
    for result in results:
        held = days.get(result.dt, {}).get(result.rule)
        if held is not None and held != result.success:
            raise MusicBoxError(f"rule {result.rule}, {result.dt}: the split and Great Expectations disagree.")


def found_instead(result: Result) -> str:
    """What a rule that did not hold found, and what it expects."""
    if result.value is None:
        return f"{result.unexpected} of {result.evaluated} rows"
    low = "" if result.expected_lo is None else f"{result.expected_lo:.4g}"
    high = "" if result.expected_hi is None else f"{result.expected_hi:.4g}"
    return f"{result.value:.4g} where {low}..{high} is expected, {result.evaluated} rows"
