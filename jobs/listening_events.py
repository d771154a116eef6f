"""bronze.session_events -> silver.listening_events, silver.rejected_events and silver.validation_results."""

import argparse
from dataclasses import asdict

from musicbox_lib import job, lake
from musicbox_lib.errors import DataRefused
from musicbox_lib.lake import ReadPartition, WritePartition
from musicbox_lib.sessions import session_users
from musicbox_lib.spark import session
from musicbox_lib.validation import decision, night
from musicbox_lib.validation.listening_events import as_listening_events, as_rejected_events, flag
from musicbox_lib.validation.suite import find, import_ahead


def arg_parser() -> argparse.ArgumentParser:
    """`--session-events bronze.session_events/dt=..D --listening-events silver.listening_events/dt=..D …`"""
    parser = argparse.ArgumentParser(prog="listening_events", description=__doc__)
    lake.partition_argument(parser, "session_events", ReadPartition)
    lake.partition_argument(parser, "listening_events", WritePartition)
    lake.partition_argument(parser, "rejected_events", WritePartition)
    lake.partition_argument(parser, "validation_results", WritePartition)
    return parser


def main(
    session_events: ReadPartition,
    listening_events: WritePartition,
    rejected_events: WritePartition,
    validation_results: WritePartition,
) -> None:
    """Judge the last day, and every earlier one whose bronze is newer than its silver; publish all of them or none."""
    import_ahead()
    spark = session("listening_events")
    days = night.days_to_judge(session_events, listening_events)
    inputs = {session_events.table.name: str(lake.version_of(session_events.table.name))}
    events = night.only(lake.read(spark, session_events), days)
    accepted = night.other_than(lake.read_if_written(spark, night.history_of(listening_events)), days)
    flagged = flag(session_users.with_user(events, session_users.read(spark)), accepted).persist()
    counts = night.counts_by_day(flagged, days)
    night.hold_against_bronze(counts, session_events)
    results = [result for day in days for result in decision.judge(day, counts[day], listening_events.table)]
    decision.hold_against(find(flagged, listening_events.table), results, listening_events.table)
    lake.overwrite_rows("listening_events", [asdict(result) for result in results], validation_results, inputs, days)
    if stops := decision.stopping(results):
        raise DataRefused(f"the night stops, nothing was published: {stops}: see silver.validation_results.")
    lake.overwrite(as_rejected_events(flagged), rejected_events, inputs, days)
    lake.overwrite(as_listening_events(flagged), listening_events, inputs, days)


if __name__ == "__main__":
    job.run(arg_parser(), main)
