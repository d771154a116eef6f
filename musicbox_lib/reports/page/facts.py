"""All that a night's page shows, asked from the lake without a JVM."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from musicbox_lib import lake
from musicbox_lib.errors import DataRefused
from musicbox_lib.evaluation.contenders import CHAMPION, LOGGED, SEGMENTS
from musicbox_lib.policies import listed
from musicbox_lib.sql.ask import register
from musicbox_lib.validation import stops
from musicbox_lib.validation.decision import Result

if TYPE_CHECKING:
    import duckdb

Row = dict[str, Any]

NIGHTS = 14
"""Nights of a trend: two weeks show a weekday's habit twice."""
_SEGMENT_ORDER = SEGMENTS
_NEEDED = ("reports.skip_rate", "reports.diversity")
_USED = (
    *_NEEDED,
    "reports.policy_comparison",
    "scores.top3_recommendations",
    "gold.track_features",
    "models.registry",
    "silver.validation_results",
    "silver.validation_examples",
    "silver.rejected_events",
    "silver.rejected_tracks",
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
    examples: list[Row] = field(default_factory=list, kw_only=True)
    """Lines that broke a rule, one row for each column at fault"""
    stops: list[Row] = field(default_factory=list, kw_only=True)
    """The results that stopped this night the last time it ran, with the rules that cost the rows under `costs`"""
    standing: dt.date | None = field(default=None, kw_only=True)
    """The newest night whose recommendations stand"""

    @property
    def is_published(self) -> bool:
        """Whether the night has reports, be it from an earlier run than the one that stopped."""
        return bool(self.skip_rate and self.diversity)

    def one(self, rows: list[Row], policy: str, segment: str = "all") -> Row | None:
        """The row of that policy and segment."""
        return next((row for row in rows if (row["policy"], row["segment"]) == (policy, segment)), None)


def night_facts(day: dt.date) -> NightFacts:
    """The night's facts; raises DataRefused where it has no skip rates or no diversity yet and did not stop either."""
    import duckdb

    absent = {name: days for name in _NEEDED if day not in (days := lake.days_of(name))}
    connection = duckdb.connect()
    written = {name for name in _USED if lake.snapshot(name) is not None}
    register(connection, sorted(written))

    def ask(query: str, *tables: str, **parameters: object) -> list[Row]:
        if not set(tables) <= written:
            return []
        return _rows(connection, query, parameters)

    validation = ask(_VALIDATION, "silver.validation_results", day=day)
    stopping = ask(_STOPS, "silver.validation_results") if validation else []
    stopped = stops_of(day, stopping, ask(_JUDGED, "silver.validation_results", day=day), published=not absent)
    if absent and not stopped:
        name, days = next(iter(absent.items()))
        known = f"it has {_in_words(days)}" if days else "nothing has been written there yet"
        raise DataRefused(f"{name} has no night {day}: {known}; run `make nightly RUN_DATE={day}` first.")
    examples = ask(_EXAMPLES, "silver.validation_examples", days=sorted({day, *(stop["dt"] for stop in stopped)}))
    first = day - dt.timedelta(days=NIGHTS - 1)
    served = ask(_SERVED, "scores.top3_recommendations", day=day)
    model = ask(_MODEL, "models.registry", model_id=served[0]["model_id"]) if served else []
    return NightFacts(
        day=day,
        served={**(served[0] if served else {"users": 0, "tracks": 0, "model_id": None}), **_first(model)},
        skip_rate=_in_order(ask("SELECT * FROM reports.skip_rate WHERE dt = $day", "reports.skip_rate", day=day)),
        comparison=sorted(ask(_COMPARISON, "reports.policy_comparison", day=day), key=_place_of_versus),
        diversity=_in_order(ask("SELECT * FROM reports.diversity WHERE dt = $day", "reports.diversity", day=day)),
        skip_trend=ask(_TREND_OF_SKIPS, "reports.skip_rate", first=first, day=day),
        diversity_trend=ask(_TREND_OF_DIVERSITY, "reports.diversity", first=first, day=day),
        top_tracks=ask(_TOP_TRACKS, "scores.top3_recommendations", "gold.track_features", day=day),
        validation=validation,
        quarantine=[
            *ask(_QUARANTINE.format(table="rejected_events", input="session_logs"), "silver.rejected_events", day=day),
            *ask(_QUARANTINE.format(table="rejected_tracks", input="tracks"), "silver.rejected_tracks", day=day),
        ],
        ledger=ask(_LEDGER, "ops.run_ledger", day=day),
        examples=by_line(examples),
        stops=stopped,
        standing=max((known for known in lake.days_of("scores.top3_recommendations") if known != day), default=None),
    )


def stops_of(day: dt.date, stopping: list[Row], judged: list[Row], published: bool) -> list[Row]:
    """The results among the `stopping` ones, of any day, that stopped the night of `day`: `words`, and under `costs`
    the rules that cost the rows, of the results of all `judged` days. A night judges earlier days too, and later ones
    that hang on them; one that is `published` was stopped after that by its own day alone."""
    own = [row for row in stopping if row["dt"] == day]
    before = [row for row in stopping if row["dt"] <= day]
    results = [Result(**row) for row in judged]
    return [
        {**row, "words": stops.in_words(Result(**row)), "costs": stops.costs(Result(**row), results)}
        for row in (own if published else before or stopping)
    ]


def by_line(examples: list[Row]) -> list[Row]:
    """Rows of silver.validation_examples as one for each line and rule, its columns at fault under `faults`."""
    lines: dict[tuple[object, ...], Row] = {}
    for row in examples:
        key = tuple(row[name] for name in ("dt", "input", "rule", "file", "line"))
        lines.setdefault(key, {**row, "faults": []})["faults"].append(row)
    return list(lines.values())


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
_STOPS = "SELECT * FROM silver.validation_results WHERE decision = 'stop' ORDER BY dt DESC, input, rule"
_JUDGED = """
    SELECT * FROM silver.validation_results
    WHERE dt = $day OR dt IN (SELECT dt FROM silver.validation_results WHERE decision = 'stop')"""
_EXAMPLES = """
    SELECT e.*, r.unexpected, r.evaluated FROM silver.validation_examples AS e
    LEFT JOIN silver.validation_results AS r ON r.dt = e.dt AND r.input = e.input AND r.rule = e.rule
    WHERE list_contains($days, e.dt) ORDER BY e.dt DESC, r.unexpected DESC, e.input, e.rule, e.file, e.line, e."column"
"""
_QUARANTINE = """
    SELECT '{input}' AS input, rule, count(*) AS rejected_rows FROM (
        SELECT unnest(rules) AS rule FROM silver.{table} WHERE dt = $day
    ) GROUP BY rule ORDER BY rejected_rows DESC, rule"""
_LEDGER = """
    SELECT job, "table", version, "rows", code_version, run_id,
           strftime(w.written_at, '%Y-%m-%d %H:%M:%S') AS written_at
    FROM ops.run_ledger AS w WHERE list_contains(days, $day::DATE)
    ORDER BY w.written_at DESC, "table", version DESC LIMIT 40"""


def _rows(connection: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, object]) -> list[Row]:
    answered = connection.execute(query, parameters)
    names = [column[0] for column in answered.description]
    return [dict(zip(names, row, strict=True)) for row in answered.fetchall()]


def _first(rows: list[Row]) -> Row:
    return rows[0] if rows else {"model_dt": None, "model_reason": None}


def _place_of(policy: str) -> int:
    order = (LOGGED, CHAMPION, *(one.name for one in listed.baselines()))
    return order.index(policy) if policy in order else len(order)


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
