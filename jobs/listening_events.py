"""bronze.session_events and bronze.tracks -> silver: the valid rows, the rejected ones, what validation found."""

from musicbox_lib import lake
from musicbox_lib.lake import ReadPartition, WritePartition
from musicbox_lib.landing import ingest
from musicbox_lib.landing.listing import user_files
from musicbox_lib.machine.spark import session
from musicbox_lib.orchestration import job
from musicbox_lib.reports.page import places, stopped
from musicbox_lib.validation import history, publish
from musicbox_lib.validation.judgement import judge
from musicbox_lib.validation.suite import Judge, import_ahead

PLAYS = ("listening_events", "superseded_events", "rejected_events")
TRACKS = ("known_tracks", "rejected_tracks")
FINDINGS = ("validation_results", "validation_examples")


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
    bronze, plays = (session_events, tracks), (listening_events, superseded_events, rejected_events)
    judged = judge(spark, gx, bronze, plays, known_tracks, validation_results)
    history.record(judged.results, judged.examples, validation_results, validation_examples, inputs)
    gx.write_docs(places.docs_folder(listening_events.run_date), listening_events.run_date)
    stopped.refuse(judged.results, judged.examples, listening_events.run_date)
    publish.tracks(judged.tracks, known_tracks, rejected_tracks, inputs)
    publish.plays(judged.plays, listening_events, superseded_events, rejected_events, inputs)
    # Every plan made later in this session would be held against what is still kept.
    spark.catalog.clearCache()


if __name__ == "__main__":
    job.run("listening_events", main)
