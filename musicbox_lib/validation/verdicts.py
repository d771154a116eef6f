"""What a night makes of an input: its valid rows, its rejected rows, and a result per rule and day."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from musicbox_lib.settings import settings
from musicbox_lib.tables import Table, table
from musicbox_lib.validation import decision, known_tracks, listening_events, measures, night
from musicbox_lib.validation.days import Past
from musicbox_lib.validation.decision import Result, judge
from musicbox_lib.validation.night import Counts, Measures
from musicbox_lib.validation.rules import REJECTED, day_rules, row_rules
from musicbox_lib.validation.session_facts import session_facts
from musicbox_lib.validation.suite import Judge

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Verdict:
    """An input judged: the days, their results, and the split. `rows` is how many are valid."""

    days: list[dt.date]
    results: list[Result]
    measured: Measures
    valid: DataFrame
    rejected: DataFrame
    rows: int


def on_session_logs(events: DataFrame, accepted: DataFrame, known: DataFrame | None, past: Past, gx: Judge) -> Verdict:
    """Judge the events of the days (`session_users.with_user`). `accepted` (session_id, dt) is what silver holds of
    other days, `known` the valid track rows, None where no table was delivered. Three passes over the events: sessions,
    suspects, and Great Expectations."""
    rules = table(listening_events.RULES)
    sessions = session_facts(events, accepted).persist()
    flagged = listening_events.flag(listening_events.suspects(events, sessions).persist()).persist()
    counts = night.counts_by_day(flagged, past.days)
    unknown = None if known is None else measures.plays_of_unknown_tracks(events, known)
    found = measures.of_session_logs(sessions, flagged, unknown, counts, past.delivered)
    results = _results(counts, found, past, rules)
    rows = _rows(found)
    others = sampled(listening_events.unsuspected(events, sessions, flagged), rows)
    looked_at = flagged.select(*others.columns).unionByName(others)
    broken = gx.rows("session_logs", looked_at, row_rules(rules), rows)
    decision.hold_against(broken, gx.days("session_logs.days", results, day_rules(rules)), results, rules)
    return Verdict(
        past.days,
        results,
        found,
        listening_events.as_listening_events(events, sessions, flagged),
        listening_events.as_rejected_events(flagged),
        rows - _rejected(counts),
    )


def on_tracks(tracks: DataFrame, past: Past, gx: Judge) -> Verdict:
    """Judge the delivered track rows of the days; there may be none."""
    if not past.days:
        # Nothing of these frames is written. A night without a track table costs no plan and no query.
        return Verdict([], [], {}, tracks, tracks, 0)
    rules = table(known_tracks.RULES)
    flagged = known_tracks.flag_tracks(tracks).persist()
    counts = night.counts_by_day(flagged, past.days)
    found = measures.of_tracks(flagged, counts)
    results = _results(counts, found, past, rules)
    broken = gx.rows("tracks", flagged, row_rules(rules), _rows(found))
    decision.hold_against(broken, gx.days("tracks.days", results, day_rules(rules)), results, rules)
    return Verdict(
        past.days,
        results,
        found,
        known_tracks.as_known_tracks(flagged),
        known_tracks.as_rejected_tracks(flagged),
        _rows(found) - _rejected(counts),
    )


def sampled(rows: DataFrame, count: int) -> DataFrame:
    """All rows of an ordinary night; of more than `settings().suite_rows` every k-th by a hash of its line."""
    from pyspark.sql import functions as F

    k = -(-count // settings().suite_rows)
    return rows if k <= 1 else rows.where(F.pmod(F.xxhash64("file", "line"), F.lit(k)) == 0)


def _results(counts: Counts, found: Measures, past: Past, rules: Table) -> list[Result]:
    results: list[Result] = []
    nights = dict(past.nights)
    for day in past.days:
        told = judge(day, counts[day], found[day], night.values_before(nights, day), rules)
        nights[day] = {result.rule: result.value for result in told if result.value is not None}
        results += told
    return results


def _rows(found: Measures) -> int:
    return sum(int(told["rows"] or 0) for told in found.values())


def _rejected(counts: Counts) -> int:
    return sum(count.get(REJECTED, 0) for count in counts.values())
