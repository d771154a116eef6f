"""silver.listening_events up to a day -> gold.last_sessions of that day."""

from musicbox_lib import lake
from musicbox_lib.lake import ReadPartition, WritePartition
from musicbox_lib.machine.spark import session
from musicbox_lib.orchestration import job
from musicbox_lib.sessions import known_plays
from musicbox_lib.sessions import last_sessions as transform
from musicbox_lib.settings import settings


def main(listening_events: ReadPartition, last_sessions: WritePartition) -> None:
    """Find where every active user stands."""
    spark = session("last_sessions")
    inputs = known_plays.versions_of(listening_events)
    events = known_plays.read(spark, listening_events)
    active = transform.last_sessions(events, last_sessions.run_date, settings().active_days)
    lake.overwrite(active, last_sessions, inputs)


if __name__ == "__main__":
    job.run("last_sessions", main)
