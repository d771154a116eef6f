"""bronze.session_events and bronze.tracks -> silver: the valid rows, the rejected ones, what validation found."""

import argparse

from musicbox_lib import job, lake
from musicbox_lib.lake import ReadPartition, WritePartition
from musicbox_lib.landing.listing import user_files
from musicbox_lib.reports import places, stopped
from musicbox_lib.sessions import ingest, session_users
from musicbox_lib.spark import session
from musicbox_lib.validation import days, night, publish, user_lines, verdicts
from musicbox_lib.validation.other_days import OtherDays
from musicbox_lib.validation.suite import Judge, import_ahead

PLAYS = ("listening_events", "superseded_events", "rejected_events")
TRACKS = ("known_tracks", "rejected_tracks")
FINDINGS = ("validation_results", "validation_examples")


def arg_parser() -> argparse.ArgumentParser:
    """`--session-events bronze.session_events/dt=..D --listening-events silver.listening_events/dt=..D …`"""
    parser = argparse.ArgumentParser(prog="listening_events", description=__doc__)
    for name in ("session_events", "tracks"):
        lake.partition_argument(parser, name, ReadPartition)
    for name in (*PLAYS, *TRACKS, *FINDINGS):
        lake.partition_argument(parser, name, WritePartition)
    return parser


def main(
    session_events: ReadPartition,
    tracks: ReadPartition,
    listening_events: WritePartition,
    superseded_events: WritePartition,
    rejected_events: WritePartition,
    known_tracks: WritePartition,
    rejected_tracks: WritePartition,
    validation_results: WritePartition,
    validation_examples: WritePartition,
) -> None:
    """Judge the last day, and every earlier one whose bronze is newer than its silver; publish all of them or none."""
    import_ahead()
    spark, gx = session("listening_events"), Judge()
    inputs = lake.versions_of(session_events, tracks) | ingest.fingerprints(user_files(spark))
    described = verdicts.on_tracks(*days.tracks_to_judge(spark, tracks, known_tracks, validation_results), gx)
    aside = (superseded_events, rejected_events)
    events, past = days.events_to_judge(spark, session_events, listening_events, aside, validation_results)
    delivered, lines = session_users.delivered(spark)
    users = session_users.known(delivered)
    events = session_users.with_user(events, users)
    other_days = OtherDays(spark, past.days, session_events, listening_events, superseded_events, rejected_events)
    known = days.known_so_far(spark, known_tracks, described.days, described.valid)
    played = verdicts.on_session_logs(events, users, other_days, known, past, gx)
    night.hold_against_bronze(played.measured, session_events)
    night.hold_against_bronze(described.measured, tracks)
    named = user_lines.judge_users(delivered, lines, listening_events.run_date)
    results = [*described.results, *named.results, *played.results]
    examples = [*described.examples, *named.examples, *played.examples]
    night.record(results, examples, validation_results, validation_examples, inputs)
    gx.write_docs(places.docs_folder(listening_events.run_date), listening_events.run_date)
    stopped.refuse(results, examples, listening_events.run_date)
    publish.tracks(described, known_tracks, rejected_tracks, inputs)
    publish.plays(played, listening_events, superseded_events, rejected_events, inputs)
    # Every plan made later in this session would be held against what is still kept.
    spark.catalog.clearCache()


if __name__ == "__main__":
    job.run(arg_parser(), main)
