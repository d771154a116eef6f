"""A night's deliveries judged: track tables, session_users files and plays, before anything is published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from musicbox_lib.landing import session_users
from musicbox_lib.validation import days, history, user_lines, verdicts
from musicbox_lib.validation.other_days import OtherDays

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from musicbox_lib.lake import ReadPartition, WritePartition
    from musicbox_lib.validation.decision import Result
    from musicbox_lib.validation.examples import Example
    from musicbox_lib.validation.suite import Judge
    from musicbox_lib.validation.verdicts import PlaysVerdict, Verdict


@dataclass(frozen=True)
class Judgement:
    """What the rules say of everything that a night delivers."""

    tracks: Verdict
    plays: PlaysVerdict
    results: list[Result]
    """Of tracks, session_users lines and plays."""
    examples: list[Example]
    """Of what broke a rule, in the same order."""


def judge(
    spark: SparkSession,
    gx: Judge,
    bronze: tuple[ReadPartition, ReadPartition],
    plays: tuple[WritePartition, WritePartition, WritePartition],
    known_tracks: WritePartition,
    results: WritePartition,
) -> Judgement:
    """Judge the last day, and every earlier one whose bronze is newer than its silver; writes nothing. `bronze` is
    session_events and tracks, `plays` the valid, superseded and rejected events, `results` those of earlier nights.

    Raises MusicBoxError where other rows were judged than bronze has.
    """
    session_events, tracks = bronze
    valid, superseded, rejected = plays
    described = verdicts.on_tracks(*days.tracks_to_judge(spark, tracks, known_tracks, results), gx)
    events, past = days.events_to_judge(spark, session_events, valid, (superseded, rejected), results)
    delivered, lines = session_users.delivered(spark)
    users = session_users.known(delivered)
    events = session_users.with_user(events, users)
    other_days = OtherDays(spark, past.days, session_events, valid, superseded, rejected)
    known = days.known_so_far(spark, known_tracks, described.days, described.valid)
    played = verdicts.on_session_logs(events, users, other_days, known, past, gx)
    history.hold_against_bronze(played.measured, session_events)
    history.hold_against_bronze(described.measured, tracks)
    named = user_lines.judge_users(delivered, lines, valid.run_date)
    return Judgement(
        tracks=described,
        plays=played,
        results=[*described.results, *named.results, *played.results],
        examples=[*described.examples, *named.examples, *played.examples],
    )
