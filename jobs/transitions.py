"""silver.listening_events and one night's gold tables -> training.transitions of that day."""

import argparse

from musicbox_lib import lake
from musicbox_lib.errors import DataRefused
from musicbox_lib.lake import ReadPartition, WritePartition
from musicbox_lib.machine.spark import session
from musicbox_lib.orchestration import job
from musicbox_lib.sessions import known_plays
from musicbox_lib.training import transitions as transform


def arg_parser() -> argparse.ArgumentParser:
    """`--listening-events silver.listening_events/dt=FROM..D --track-features gold.track_features/dt=D
    --track-embeddings gold.track_embeddings/dt=D --transitions training.transitions/dt=D`"""
    parser = argparse.ArgumentParser(prog="transitions", description=__doc__, epilog=arg_parser.__doc__)
    job.partition_argument(parser, "listening_events", ReadPartition)
    job.partition_argument(parser, "track_features", ReadPartition)
    job.partition_argument(parser, "track_embeddings", ReadPartition)
    job.partition_argument(parser, "transitions", WritePartition)
    return parser


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
    job.run(arg_parser(), main)
