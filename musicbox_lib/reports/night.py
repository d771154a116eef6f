"""All that a night's page shows, asked from the lake without a JVM."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from musicbox_lib import lake
from musicbox_lib.errors import DataRefused
from musicbox_lib.evaluation.contenders import BASELINES, CHAMPION, LOGGED, SEGMENTS
from musicbox_lib.sql import register

if TYPE_CHECKING:
    import duckdb

Row = dict[str, Any]

NIGHTS = 14
"""Nights of a trend: two weeks show a weekday's habit twice."""
_POLICY_ORDER = (LOGGED, CHAMPION, *BASELINES)
_SEGMENT_ORDER = SEGMENTS
_NEEDED = ("reports.skip_rate", "reports.diversity")
_USED = (
    *_NEEDED,
    "reports.policy_comparison",
    "scores.top3_recommendations",
    "gold.track_features",
    "models.registry",
    "silver.validation_results",
    "silver.rejected_events",
    "ops.run_ledger",
)


@dataclass(frozen=True)
class NightFacts:
    """The rows behind each section of a night's page; a table that nobody wrote gives none."""

    day: dt.date
    served: Row
    """users, tracks, model_id, model_dt (None for a baseline)"""
    skip_rate: list[Row]
    comparison: list[Row]
    diversity: list[Row]
    skip_trend: list[Row]
    diversity_trend: list[Row]
    top_tracks: list[Row]
    validation: list[Row]
    quarantine: list[Row]
    ledger: list[Row]

    def one(self, rows: list[Row], policy: str, segment: str = "all") -> Row | None:
        """The row of that policy and segment."""
        return next((row for row in rows if (row["policy"], row["segment"]) == (policy, segment)), None)


def night_facts(day: dt.date) -> NightFacts:
    """The night's facts; raises DataRefused where it has no skip rates or no diversity yet."""
    import duckdb

    for name in _NEEDED:
        days = lake.days_of(name)
        if day not in days:
            known = f"it has {_in_words(days)}" if days else "nothing has been written there yet"
            raise DataRefused(f"{name} has no night {day}: {known}; run `make nightly RUN_DATE={day}` first.")
    connection = duckdb.connect()
    written = {name for name in _USED if lake.snapshot(name) is not None}
    register(connection, sorted(written))

    def ask(query: str, *tables: str, **parameters: object) -> list[Row]:
        if not set(tables) <= written:
            return []
        return _rows(connection, query, parameters)

    served = ask(_SERVED, "scores.top3_recommendations", day=day)
    model = ask(_MODEL, "models.registry", model_id=served[0]["model_id"]) if served else []
    return NightFacts(
        day=day,
        served={**(served[0] if served else {"users": 0, "tracks": 0, "model_id": None}), **_first(model)},
        skip_rate=_in_order(ask("SELECT * FROM reports.skip_rate WHERE dt = $day", day=day)),
        comparison=sorted(ask(_COMPARISON, "reports.policy_comparison", day=day), key=_place_of_versus),
        diversity=_in_order(ask("SELECT * FROM reports.diversity WHERE dt = $day", day=day)),
        skip_trend=ask(_TREND_OF_SKIPS, first=day - dt.timedelta(days=NIGHTS - 1), day=day),
        diversity_trend=ask(_TREND_OF_DIVERSITY, first=day - dt.timedelta(days=NIGHTS - 1), day=day),
        top_tracks=ask(_TOP_TRACKS, "scores.top3_recommendations", "gold.track_features", day=day),
        validation=ask(_VALIDATION, "silver.validation_results", day=day),
        quarantine=ask(_QUARANTINE, "silver.rejected_events", day=day),
        ledger=ask(_LEDGER, "ops.run_ledger", day=day),
    )


_SERVED = """
    SELECT count(DISTINCT user_id) AS users, count(DISTINCT track_id) AS tracks, min(model_id) AS model_id
    FROM scores.top3_recommendations WHERE dt = $day HAVING count(*) > 0"""
_MODEL = "SELECT dt AS model_dt, reason AS model_reason FROM models.registry WHERE model_id = $model_id"
_COMPARISON = """
    SELECT * FROM reports.policy_comparison WHERE dt = $day ORDER BY measure"""
_TREND_OF_SKIPS = """
    SELECT dt, policy, skip_rate_logged, skip_rate_logged_lo, skip_rate_logged_hi,
           skip_rate_dr, skip_rate_dr_lo, skip_rate_dr_hi
    FROM reports.skip_rate WHERE segment = 'all' AND dt BETWEEN $first AND $day ORDER BY dt"""
_TREND_OF_DIVERSITY = """
    SELECT dt, policy, diversity_ild, catalogue_coverage
    FROM reports.diversity WHERE segment = 'all' AND dt BETWEEN $first AND $day ORDER BY dt"""
_TOP_TRACKS = """
    SELECT s.track_id, any_value(t.title) AS title, any_value(t.artist) AS artist, count(*) AS slots,
           any_value(t.plays) AS plays, any_value(t.skip_rate_shrunk) AS skip_rate_shrunk
    FROM scores.top3_recommendations AS s
    LEFT JOIN gold.track_features AS t ON t.dt = s.dt AND t.track_id = s.track_id
    WHERE s.dt = $day GROUP BY s.track_id ORDER BY slots DESC, s.track_id LIMIT 10"""
_VALIDATION = """
    SELECT * FROM silver.validation_results WHERE dt = $day ORDER BY success, unexpected DESC, rule"""
_QUARANTINE = """
    SELECT rule, count(*) AS rejected_rows FROM (
        SELECT unnest(rules) AS rule FROM silver.rejected_events WHERE dt = $day
    ) GROUP BY rule ORDER BY rejected_rows DESC, rule"""
_LEDGER = """
    SELECT job, "table", version, "rows", code_version, run_id, strftime(written_at, '%Y-%m-%d %H:%M:%S') AS written_at
    FROM ops.run_ledger WHERE list_contains(days, $day::DATE) ORDER BY written_at DESC LIMIT 40"""


def _rows(connection: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, object]) -> list[Row]:
    answered = connection.execute(query, parameters)
    names = [column[0] for column in answered.description]
    return [dict(zip(names, row, strict=True)) for row in answered.fetchall()]


def _first(rows: list[Row]) -> Row:
    return rows[0] if rows else {"model_dt": None, "model_reason": None}


def _place_of(policy: str) -> int:
    return _POLICY_ORDER.index(policy) if policy in _POLICY_ORDER else len(_POLICY_ORDER)


def _place_of_versus(row: Row) -> int:
    return _place_of(row["versus"])


def _in_order(rows: list[Row]) -> list[Row]:
    """By policy in the house's order, then all, premium, free, and the contexts by name."""

    def place(row: Row) -> tuple[int, int, str]:
        policy, segment = row["policy"], row["segment"]
        return (
            _place_of(policy),
            _SEGMENT_ORDER.index(segment) if segment in _SEGMENT_ORDER else len(_SEGMENT_ORDER),
            segment,
        )

    return sorted(rows, key=place)


def _in_words(days: list[dt.date]) -> str:
    return f"{days[0]}" if len(days) == 1 else f"{len(days)} nights from {days[0]} to {days[-1]}"
