"""From counts to a decision: go on, quarantine, warn, or stop the night."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from musicbox_lib.errors import MusicBoxError
from musicbox_lib.tables import Expectation, Table
from musicbox_lib.validation.rules import ACCEPTED, FAULTY, REJECTED, TABLE_TYPES
from musicbox_lib.validation.suite import Finding

DECISIONS = {"quarantine": "quarantine", "warn": "warn", "fail": "stop"}


@dataclass(frozen=True)
class Result:
    """One row of silver.validation_results."""

    dt: dt.date
    rule: str
    severity: str
    about: str
    evaluated: int
    unexpected: int
    unexpected_share: float
    success: bool
    decision: str


def judge(day: dt.date, counts: Mapping[str, int], table: Table) -> list[Result]:
    """One result per rule for a day, from how many of its rows break each (`rules.count_broken`)."""
    rows = counts.get(ACCEPTED, 0) + counts.get(REJECTED, 0)
    return [_result(day, rule, counts, rows) for rule in table.expectations]


def _result(day: dt.date, rule: Expectation, counts: Mapping[str, int], rows: int) -> Result:
    unexpected = counts.get(rule.rule, 0)
    if rule.type == "expect_table_row_count_to_be_between":
        success = rows >= int(rule.kwargs["min_value"])
    elif rule.type == "expect_column_mean_to_be_between":
        unexpected = counts.get(FAULTY, 0)
        success = unexpected <= float(rule.kwargs["max_value"]) * rows
    else:
        success = rows - unexpected >= float(rule.kwargs.get("mostly", 1.0)) * rows
    decision = "go_on" if success else DECISIONS[rule.severity]
    share = unexpected / rows if rows else 0.0
    return Result(day, rule.rule, rule.severity, rule.about, rows, unexpected, share, success, decision)


def hold_against(findings: Mapping[str, Finding], results: Sequence[Result], table: Table) -> None:
    """Raise MusicBoxError unless Great Expectations found, over all days together, what the split counted.

    Great Expectations runs once over the whole batch: one day in an ordinary night, and then its verdict on the rules
    for a day must be the split's as well.
    """
    for rule in table.expectations:
        ours = [result for result in results if result.rule == rule.rule]
        theirs = findings[rule.rule]
        if rule.type in TABLE_TYPES:
            if len(ours) == 1 and ours[0].success != theirs.success:
                raise MusicBoxError(f"rule {rule.rule}: the split and Great Expectations disagree.")
        elif theirs.unexpected != sum(result.unexpected for result in ours):
            total = sum(result.unexpected for result in ours)
            raise MusicBoxError(
                f"rule {rule.rule}: the split counts {total} rows, Great Expectations {theirs.unexpected}: "
                "nothing was published; mend the rule."
            )


def stopping(results: Sequence[Result]) -> str:
    """What stops the night, in one sentence; empty where nothing does."""
    return "; ".join(
        f"{result.rule} on {result.dt} ({result.unexpected} of {result.evaluated} rows)"
        for result in results
        if result.decision == "stop"
    )
