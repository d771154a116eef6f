"""silver.listening_events up to a day, gold tables of the day before, models.registry -> reports.skip_rate and
reports.policy_comparison."""

import argparse
import datetime as dt

from musicbox_lib import job, lake
from musicbox_lib.lake import ReadPartition, WritePartition
from musicbox_lib.reports import policy_comparison as comparisons
from musicbox_lib.reports import skip_rate as rates
from musicbox_lib.reports.gold import tracks_of
from musicbox_lib.scoring.serving import champion_as_of
from musicbox_lib.spark import session


def arg_parser() -> argparse.ArgumentParser:
    """`--listening-events silver.listening_events/dt=..D --track-features gold.track_features/dt=latest..D-1
    --track-embeddings gold.track_embeddings/dt=latest..D-1 --registry models.registry
    --skip-rate reports.skip_rate/dt=D --policy-comparison reports.policy_comparison/dt=D`, D-1 being the day before:
    nothing that a policy knows may come from the night that judges it."""
    parser = argparse.ArgumentParser(
        prog="skip_rate", description=__doc__, epilog=arg_parser.__doc__, allow_abbrev=False
    )
    lake.partition_argument(parser, "listening_events", ReadPartition)
    lake.partition_argument(parser, "track_features", ReadPartition)
    lake.partition_argument(parser, "track_embeddings", ReadPartition)
    lake.partition_argument(parser, "registry", ReadPartition)
    lake.partition_argument(parser, "skip_rate", WritePartition)
    lake.partition_argument(parser, "policy_comparison", WritePartition)
    return parser


def main(
    listening_events: ReadPartition,
    track_features: ReadPartition,
    track_embeddings: ReadPartition,
    registry: ReadPartition,
    skip_rate: WritePartition,
    policy_comparison: WritePartition,
) -> None:
    """Judge the policies on the day's plays; the gold tables and the registry may not be there yet."""
    day_before = skip_rate.run_date - dt.timedelta(days=1)
    champion = champion_as_of(registry, day_before)
    features, embeddings = tracks_of(track_features, track_embeddings)
    spark = session("skip_rate")
    night = rates.judge_night(lake.read(spark, listening_events), features, embeddings, champion, skip_rate.run_date)
    read = (listening_events, track_features, track_embeddings, registry)
    inputs = {partition.table.name: str(lake.version_of(partition.table.name)) for partition in read}
    for partition, rows in ((skip_rate, rates.rows(night)), (policy_comparison, comparisons.rows(night))):
        lake.overwrite_rows("skip_rate", rows, partition, inputs)


if __name__ == "__main__":
    job.run(arg_parser(), main)
