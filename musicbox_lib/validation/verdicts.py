"""What a night makes of an input: its valid rows, its rejected rows, and a result per rule and day."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from musicbox_lib.contract.tables import Table, table
from musicbox_lib.settings import settings
from musicbox_lib.validation import decision, earlier_plays, examples, history, measures, session_logs, track_tables
from musicbox_lib.validation.days import Past
from musicbox_lib.validation.decision import Result, judge
from musicbox_lib.validation.examples import Example
from musicbox_lib.validation.history import Counts, Measures
from musicbox_lib.validation.other_days import Moves, OtherDays
from musicbox_lib.validation.rules import REJECTED, broken_by, day_rules, row_rules
from musicbox_lib.validation.session_facts import breaks, with_deliveries, with_row_facts
from musicbox_lib.validation.suite import Judge

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


FEW = 1_000_000
"""Sessions, of 36 characters each, that every task may hold in memory: 120 MB."""

MANY = 5_000_000
"""Sessions whose hash table fits: in a quarter each, 200 bytes for one, 250 MB for a task."""


@dataclass(frozen=True)
class Verdict:
    """An input judged: the days, their results, the split with its two counts, and examples of what broke a rule."""

    days: list[dt.date]
    results: list[Result]
    measured: Measures
    valid: DataFrame
    valid_rows: int
    rejected: DataFrame
    rejected_rows: int
    examples: list[Example]


@dataclass(frozen=True)
class PlaysVerdict(Verdict):
    """Of the plays also the sound ones whose session a later day delivered longer, and what follows in other days."""

    superseded: DataFrame
    superseded_rows: int
    moves: Moves | None


def on_session_logs(
    events: DataFrame, users: DataFrame, other_days: OtherDays, known: DataFrame | None, past: Past, gx: Judge
) -> PlaysVerdict:
    """Judge the events of the days (`session_users.with_user`, of `users`). `other_days` tells what those delivered of
    the same sessions, `known` are the valid track rows, None where no table was delivered. Two passes over the events:
    sessions, and what is looked at, also by Great Expectations; what is valid takes one more."""
    rules = table(session_logs.RULES)
    delivered = session_logs.sessions_of(events).persist()
    sessions = with_deliveries(delivered, other_days.accepted(delivered), len(past.days) > 1).persist()
    warnings = [rule.rule for rule in session_logs.warned()]
    sums = measures.sums_of(sessions, list(map(breaks, warnings)))
    few = sum(day["unclean"] for day in sums.values()) <= FEW
    every = -(-sum(day["session_rows"] for day in sums.values()) // settings().suite_rows)
    looked_at = session_logs.looked_at(events, sessions, every, few).persist()
    others = other_days.versions(sessions, any(day["known"] for day in sums.values()))
    earlier = _earlier_rows(looked_at, sessions, users, other_days, others) if _some_unclean(sums) else None
    flagged = session_logs.flag(looked_at, earlier, others).persist()
    own = flagged.where("NOT is_carried")
    counts = history.counts_by_day(own, rules, past.days, "session_id")
    for day, told in sums.items():
        counts[day].update({rule: counts[day].get(rule, 0) + (told[breaks(rule)] or 0) for rule in warnings})
    unknown = None if known is None else measures.plays_of_unknown_tracks(events, known)
    found = measures.of_session_logs(sums, unknown, counts, past.delivered)
    results = _results(counts, found, past, rules)
    rows = _rows(found)
    clean = session_logs.unsuspected(looked_at)
    unseen = _unseen(clean, sums) if every > 1 else {}
    asked = own.select(*clean.columns).unionByName(clean)
    broken = gx.rows("session_logs", asked, row_rules(rules), rows, unseen)
    decision.hold_against(broken, gx.days("session_logs.days", results, day_rules(rules)), results, rules)
    rejected = _rejected(counts)
    count = sum(day["sessions"] for day in sums.values())
    valid = session_logs.as_listening_events(events, hashed(sessions, count), flagged)
    accepted = flagged.where("is_rejected = 0").select("session_id", "dt").distinct()
    brought, gone = (
        _brought_and_gone(flagged) if earlier is not None or others is not None or len(past.days) > 1 else (0, 0)
    )
    return PlaysVerdict(
        days=past.days,
        results=results,
        measured=found,
        valid=valid,
        valid_rows=rows - rejected + brought - gone,
        rejected=session_logs.as_rejected_events(flagged),
        rejected_rows=rejected,
        superseded=session_logs.as_superseded_events(events, flagged),
        superseded_rows=gone,
        moves=other_days.moves(accepted, others),
        examples=examples.of_rules(own, events.transform(with_row_facts), results, rules),
    )


def _some_unclean(sums: measures.Sums) -> bool:
    return any(day["unclean"] for day in sums.values())


def _earlier_rows(
    looked_at: DataFrame, sessions: DataFrame, users: DataFrame, other_days: OtherDays, others: DataFrame | None
) -> DataFrame | None:
    """What earlier days delivered of sessions that are not whole by themselves (`earlier_plays.carried`); None where
    nothing was."""
    targets = earlier_plays.incomplete(sessions)
    rows = other_days.rows(targets, others, users)
    if rows is None and len(other_days.days) == 1:
        return None
    suspects = looked_at.where("is_suspect")
    if rows is not None:
        suspects = suspects.unionByName(earlier_plays.with_no_session(rows))
    return earlier_plays.carried(targets, suspects)


def _brought_and_gone(flagged: DataFrame) -> tuple[int, int]:
    """Of the sound flagged rows, how many an earlier day delivered, and how many a later one superseded."""
    from pyspark.sql import functions as F

    gone = F.col("superseded_on").isNotNull()
    sound = flagged.where("is_rejected = 0")
    [row] = sound.agg(F.count_if("is_carried").alias("brought"), F.count_if(gone).alias("gone")).collect()
    return row.brought, row.gone


def on_tracks(tracks: DataFrame, past: Past, gx: Judge) -> Verdict:
    """Judge the delivered track rows of the days; there may be none."""
    if not past.days:
        # Nothing of these frames is written. A night without a track table costs no plan and no query.
        return Verdict([], [], {}, tracks, 0, tracks, 0, [])
    rules = table(track_tables.RULES)
    flagged = track_tables.flag_tracks(tracks).persist()
    counts = history.counts_by_day(flagged, rules, past.days, "track_id")
    found = measures.of_tracks(flagged, counts)
    results = _results(counts, found, past, rules)
    broken = gx.rows("tracks", flagged, row_rules(rules), _rows(found))
    decision.hold_against(broken, gx.days("tracks.days", results, day_rules(rules)), results, rules)
    rejected = _rejected(counts)
    valid = track_tables.as_known_tracks(flagged)
    waiting = track_tables.as_rejected_tracks(flagged)
    shown = examples.of_rules(flagged, None, results, rules)
    return Verdict(past.days, results, found, valid, _rows(found) - rejected, waiting, rejected, shown)


def hashed(sessions: DataFrame, count: int) -> DataFrame:
    """The `count` sessions, to be joined through a hash table: one for all where they are few, and where they still
    fit one for each part of the rows. At 10,000,000 rows these took 45 and 60 s, sorting 78, one run each."""
    return sessions.hint("broadcast" if count <= FEW else "shuffle_hash") if count <= MANY else sessions


def _unseen(others: DataFrame, sums: measures.Sums) -> dict[str, int]:
    """How many rows of clean sessions break each rule that only warns, but for the sample `others`."""
    from pyspark.sql import functions as F

    rules = session_logs.warned()
    seen = others.agg(*[F.count_if(broken_by(rule)).alias(rule.rule) for rule in rules]).collect()[0]
    return {rule.rule: sum(day[breaks(rule.rule)] or 0 for day in sums.values()) - seen[rule.rule] for rule in rules}


def _results(counts: Counts, found: Measures, past: Past, rules: Table) -> list[Result]:
    results: list[Result] = []
    nights = dict(past.nights)
    for day in past.days:
        told = judge(day, counts[day], found[day], history.values_before(nights, day), rules)
        nights[day] = {result.rule: result.value for result in told if result.value is not None}
        results += told
    return results


def _rows(found: Measures) -> int:
    return sum(int(told["rows"] or 0) for told in found.values())


def _rejected(counts: Counts) -> int:
    return sum(count.get(REJECTED, 0) for count in counts.values())
