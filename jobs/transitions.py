"""silver.listening_events and one night's gold tables -> training.transitions of that day."""

from musicbox_lib import lake
from musicbox_lib.errors import DataRefused
from musicbox_lib.lake import ReadPartition, WritePartition
from musicbox_lib.machine.spark import session
from musicbox_lib.orchestration import job
from musicbox_lib.sessions import known_plays
from musicbox_lib.training import transitions as transform


def main(
    listening_events: ReadPartition,
    track_features: ReadPartition,
    track_embeddings: ReadPartition,
    transitions: WritePartition,
) -> None:
    """Turn the plays into what the learner reads."""
    spark = session("transitions")
    read = (listening_events, track_features, track_embeddings)
    inputs = known_plays.versions_of(*read)
    events = known_plays.read(spark, listening_events)
    features, embeddings = lake.read(spark, track_features), lake.read(spark, track_embeddings)
    if events.where("skip_grade IS NOT NULL").isEmpty():
        raise DataRefused(f"{listening_events} holds no labelled play: there is nothing to train on.")
    lake.overwrite(transform.transitions(events, features, embeddings, transitions.run_date), transitions, inputs)


if __name__ == "__main__":
    job.run("transitions", main)
