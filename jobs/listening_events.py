"""bronze.session_events and bronze.tracks -> silver: the valid rows, the rejected ones, what validation found."""

import argparse

from musicbox_lib import job, lake
from musicbox_lib.lake import ReadPartition, WritePartition
from musicbox_lib.landing.listing import user_files
from musicbox_lib.reports import places, stopped
from musicbox_lib.sessions import ingest, session_users
from musicbox_lib.spark import session
from musicbox_lib.validation import days, night, user_lines, verdicts
from musicbox_lib.validation.suite import Judge, import_ahead

READ = ("session_events", "tracks")
SPLIT = ("listening_events", "rejected_events", "known_tracks", "rejected_tracks")
FOUND = ("validation_results", "validation_examples")


def arg_parser() -> argparse.ArgumentParser:
    """`--session-events bronze.session_events/dt=..D --listening-events silver.listening_events/dt=..D …`"""
    parser = argparse.ArgumentParser(prog="listening_events", description=__doc__)
    for name in READ:
        lake.partition_argument(parser, name, ReadPartition)
    for name in (*SPLIT, *FOUND):
        lake.partition_argument(parser, name, WritePartition)
    return parser


def main(
    session_events: ReadPartition,
    tracks: ReadPartition,
    listening_events: WritePartition,
    rejected_events: WritePartition,
    known_tracks: WritePartition,
    rejected_tracks: WritePartition,
    validation_results: WritePartition,
    validation_examples: WritePartition,
) -> None:
    """Judge the last day, and every earlier one whose bronze is newer than its silver; publish all of them or none."""
    import_ahead()
    spark, gx = session("listening_events"), Judge()
    inputs = lake.versions_of(session_events, tracks)
    inputs |= ingest.fingerprints(user_files(spark))
    described = verdicts.on_tracks(*days.tracks_to_judge(spark, tracks, known_tracks, validation_results), gx)
    events, past = days.events_to_judge(spark, session_events, listening_events, rejected_events, validation_results)
    users, lines = session_users.delivered(spark)
    events = session_users.with_user(events, session_users.known(users))
    accepted = days.accepted_elsewhere(spark, listening_events, past.days)
    known = days.known_so_far(spark, known_tracks, described.days, described.valid)
    played = verdicts.on_session_logs(events, accepted, known, past, gx)
    night.hold_against_bronze(played.measured, session_events)
    night.hold_against_bronze(described.measured, tracks)
    named = user_lines.judge_users(users, lines, listening_events.run_date)
    results = [*described.results, *named.results, *played.results]
    examples = [*described.examples, *named.examples, *played.examples]
    night.record(results, examples, validation_results, validation_examples, inputs)
    gx.write_docs(places.docs_folder(listening_events.run_date), listening_events.run_date)
    stopped.refuse(results, examples, listening_events.run_date)
    if described.days:
        lake.publish(described.rejected, rejected_tracks, described.rejected_rows, inputs, described.days)
        lake.publish(described.valid, known_tracks, described.valid_rows, inputs, described.days)
    lake.publish(played.rejected, rejected_events, played.rejected_rows, inputs, played.days)
    lake.publish(played.valid, listening_events, played.valid_rows, inputs, played.days)
    # Every plan made later in this session would be held against what is still kept.
    spark.catalog.clearCache()


if __name__ == "__main__":
    job.run(arg_parser(), main)
