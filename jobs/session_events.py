"""Landing files up to a day -> bronze.session_events and bronze.tracks."""

import datetime as dt

from musicbox_lib import lake
from musicbox_lib.contract.tables import table
from musicbox_lib.errors import UsageError
from musicbox_lib.lake import WritePartition
from musicbox_lib.landing import ingest, listing, pseudonyms
from musicbox_lib.landing.lines import delivered_columns, read_counted_rows
from musicbox_lib.machine.spark import session
from musicbox_lib.orchestration import job


def main(run_date: dt.date, session_events: WritePartition, tracks: WritePartition) -> None:
    """Ingest the run date's deliveries, and every earlier one that the run ledger does not know, in one commit each."""
    today = dt.datetime.now(dt.UTC).date()
    if run_date > today:
        raise UsageError(f"{run_date} is in the future (today is {today} UTC): name a day whose logs were delivered.")
    spark = session("session_events")
    logs = ingest.for_night(listing.log_deliveries(spark, run_date), run_date, session_events.table.name)
    new_tracks = ingest.unknown_to_ledger(listing.track_deliveries(spark, run_date), tracks.table.name)
    read = [
        (partition, deliveries, read_counted_rows(spark, deliveries, table(landed), delivered_columns(partition.table)))
        for partition, deliveries, landed in (
            (tracks, new_tracks, "landing.tracks"),
            (session_events, logs, "landing.session_logs"),
        )
        if deliveries
    ]
    # Every file has been read once to its end by now: a refused one leaves both tables as they were.
    for partition, deliveries, (rows, count) in read:
        days = sorted({delivery.day for delivery in deliveries})
        # A line number comes once in its file: the grain holds by construction.
        lake.publish(pseudonyms.applied(rows), partition, count, ingest.fingerprints(deliveries), days)


if __name__ == "__main__":
    job.run("session_events", main)
