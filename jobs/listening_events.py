"""bronze.session_events and bronze.tracks -> silver: the valid rows, the rejected ones, the validation results."""

import argparse
from dataclasses import asdict

from musicbox_lib import job, lake
from musicbox_lib.errors import DataRefused
from musicbox_lib.lake import ReadPartition, WritePartition
from musicbox_lib.landing.listing import user_files
from musicbox_lib.reports import places
from musicbox_lib.sessions import ingest, session_users
from musicbox_lib.spark import session
from musicbox_lib.validation import days, decision, night, takeovers, verdicts
from musicbox_lib.validation.other_days import OtherDays
from musicbox_lib.validation.suite import Judge, import_ahead

READ = ("session_events", "tracks")
WRITTEN = (
    "listening_events",
    "superseded_events",
    "rejected_events",
    "known_tracks",
    "rejected_tracks",
    "validation_results",
)


def arg_parser() -> argparse.ArgumentParser:
    """`--session-events bronze.session_events/dt=..D --listening-events silver.listening_events/dt=..D …`"""
    parser = argparse.ArgumentParser(prog="listening_events", description=__doc__)
    for name in READ:
        lake.partition_argument(parser, name, ReadPartition)
    for name in WRITTEN:
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
) -> None:
    """Judge the last day, and every earlier one whose bronze is newer than its silver; publish all of them or none."""
    import_ahead()
    spark, gx = session("listening_events"), Judge()
    inputs = lake.versions_of(session_events, tracks)
    inputs |= ingest.fingerprints(user_files(spark))
    described = verdicts.on_tracks(*days.tracks_to_judge(spark, tracks, known_tracks, validation_results), gx)
    aside = (superseded_events, rejected_events)
    events, past = days.events_to_judge(spark, session_events, listening_events, aside, validation_results)
    users = session_users.read(spark)
    events = session_users.with_user(events, users)
    other_days = OtherDays(spark, past.days, session_events, listening_events, superseded_events, rejected_events)
    known = days.known_so_far(spark, known_tracks, described.days, described.valid)
    played = verdicts.on_session_logs(events, users, other_days, known, past, gx)
    night.hold_against_bronze(played.measured, session_events)
    night.hold_against_bronze(described.measured, tracks)
    results = [*described.results, *played.results]
    told = [*night.others_of_these_days(validation_results.table.name, results), *map(asdict, results)]
    judged = sorted({*described.days, *played.days})
    lake.overwrite_rows("listening_events", told, validation_results, inputs, judged)
    gx.write_docs(places.docs_folder(listening_events.run_date), listening_events.run_date)
    if stops := decision.stopping(results):
        raise DataRefused(f"the night stops, nothing was published: {stops}: see silver.validation_results.")
    if described.days:
        lake.publish(described.rejected, rejected_tracks, described.rejected_rows, inputs, described.days)
        lake.publish(described.valid, known_tracks, described.valid_rows, inputs, described.days)
    lake.publish(played.rejected, rejected_events, played.rejected_rows, inputs, played.days)
    takeovers.publish(played, listening_events, superseded_events, inputs)
    # Every plan made later in this session would be held against what is still kept.
    spark.catalog.clearCache()


if __name__ == "__main__":
    job.run(arg_parser(), main)
