"""Rules that look at a whole day: fixed bounds, and what was usual in the nights before."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from musicbox_lib.contract.tables import table
from musicbox_lib.errors import MusicBoxError
from musicbox_lib.validation import decision
from musicbox_lib.validation.decision import NIGHTS, Result, judge
from musicbox_lib.validation.history import values_before
from musicbox_lib.validation.rules import day_rules, row_rules
from musicbox_lib.validation.suite import Judge

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = dt.date(2026, 11, 5)
RULES = table("silver.listening_events")
CALM = {
    "rows": 1_000.0,
    "rejected_share": 0.01,
    "unlabelled_share": 0.02,
    "skip_rate": 0.52,
    "fresh_share": 0.99,
    "without_propensity_share": 0.0,
    "without_user_share": 0.0,
    "unknown_track_share": 0.1,
    "days_since_last": 1.0,
}


def results(history: dict[str, list[float]], **changed: float | None) -> dict[str, Result]:
    return {result.rule: result for result in judge(DAY, {}, {**CALM, **changed}, history, RULES)}


def usual(nights: int) -> dict[str, list[float]]:
    """That many calm nights, the rows between 900 and 1,100 by turns."""
    return {
        rule.rule: [
            CALM[rule.kwargs["column"]] * (1 + (0.1 * (-1) ** night if rule.rule == "rows_as_usual" else 0))
            for night in range(nights)
        ]
        for rule in day_rules(RULES)
    }


def test_every_measure_has_a_rule_and_every_rule_a_measure() -> None:
    assert {rule.kwargs["column"] for rule in day_rules(RULES)} == set(CALM)


def test_nothing_is_usual_before_a_week() -> None:
    for nights in (0, 6):
        told = results(usual(nights), rows=1.0, skip_rate=0.99, unknown_track_share=1.0)
        assert all(result.success for result in told.values())
        assert told["rows_as_usual"].expected_lo is None
    assert results(usual(7), rows=1.0)["rows_as_usual"].decision == "warn"


@pytest.mark.parametrize(
    ("measure", "value", "rule"),
    [
        ("rows", 200.0, "rows_as_usual"),
        ("rows", 1_900.0, "rows_as_usual"),
        ("skip_rate", 0.6, "skip_rate_as_usual"),
        ("skip_rate", 0.45, "skip_rate_as_usual"),
        ("unlabelled_share", 0.08, "unlabelled_as_usual"),
        ("without_propensity_share", 1.0, "propensity_as_usual"),
        ("without_user_share", 0.5, "users_as_usual"),
        ("unknown_track_share", 0.3, "unknown_tracks_as_usual"),
        ("fresh_share", 0.5, "fresh_as_usual"),
        ("days_since_last", 3.0, "no_day_left_out"),
        ("rejected_share", 0.21, "rejected_share"),
        ("rows", 0.0, "minimum_rows"),
    ],
)
def test_a_day_unlike_the_others_is_told(measure: str, value: float, rule: str) -> None:
    calm, told = results(usual(NIGHTS)), results(usual(NIGHTS), **{measure: value})
    assert all(result.success for result in calm.values())
    broken = {name for name, result in told.items() if not result.success}
    assert broken - {"rows_as_usual"} <= {rule} <= broken
    assert told[rule].value == value
    assert told[rule].decision == {"fail": "stop", "warn": "warn"}[told[rule].severity]


def test_the_bounds_are_the_median_and_five_spreads_of_the_last_28_nights() -> None:
    [rule] = [rule for rule in day_rules(RULES) if rule.rule == "rows_as_usual"]
    # Nights before the last 28 say nothing; of 900 and 1,100 by turns the median is 1,000, its deviations all 100.
    values = [5.0] * 10 + [1_000.0 + 100 * (-1) ** night for night in range(28)]
    lo, hi = decision.bounds(rule, values)
    assert (lo, hi) == pytest.approx((1_000 - 5 * 148.26, 1_000 + 5 * 148.26))
    # A quiet history would make every wobble news: half of the median is always allowed.
    assert decision.bounds(rule, [1_000.0] * 28) == (500.0, 1_500.0)


def test_a_day_looks_at_the_28_nights_before_it_and_at_no_later_one() -> None:
    nights = {DAY + dt.timedelta(days=off): {"rows_as_usual": float(off)} for off in (-29, -28, -1, 0, 1)}
    assert values_before(nights, DAY) == {"rows_as_usual": [-28.0, -1.0]}


def test_great_expectations_comes_to_the_same_or_the_night_stops(spark: SparkSession) -> None:
    told = list(results(usual(NIGHTS), rows=200.0, skip_rate=0.7).values())
    held = Judge().days("days", told, day_rules(RULES))
    ours = {result.rule: result.success for result in told if result.rule in held[DAY]}
    assert held[DAY] == ours
    assert len(ours) == len(day_rules(RULES))
    counts = dict.fromkeys((rule.rule for rule in row_rules(RULES)), 0)
    decision.hold_against(counts, held, told, RULES)
    with pytest.raises(MusicBoxError, match="rows_as_usual, 2026-11-05: the split and Great Expectations disagree"):
        decision.hold_against(counts, {DAY: {**held[DAY], "rows_as_usual": True}}, told, RULES)
    with pytest.raises(MusicBoxError, match="rule parsed: the split counts 0 rows, Great Expectations 2"):
        decision.hold_against({**counts, "parsed": 2}, held, told, RULES)
