"""silver.listening_events up to a day, gold tables, models.registry and models.baselines of the day before ->
reports.policy_evaluation, reports.skip_rate and reports.policy_comparison: one pass of every policy, three tables."""

import datetime as dt

from musicbox_lib import lake
from musicbox_lib.evaluation.night import judge_night
from musicbox_lib.features.night_tracks import tracks_of
from musicbox_lib.lake import ReadPartition, WritePartition
from musicbox_lib.machine.spark import session
from musicbox_lib.models.champion import champion_as_of
from musicbox_lib.models.fitted_baselines import baselines_as_of
from musicbox_lib.orchestration import job
from musicbox_lib.reports import policy_comparison as comparisons
from musicbox_lib.reports import policy_evaluation as evaluations
from musicbox_lib.reports import skip_rate as rates
from musicbox_lib.sessions import known_plays


def main(
    listening_events: ReadPartition,
    track_features: ReadPartition,
    track_embeddings: ReadPartition,
    registry: ReadPartition,
    baselines: ReadPartition,
    policy_evaluation: WritePartition,
    skip_rate: WritePartition,
    policy_comparison: WritePartition,
) -> None:
    """Judge the policies on the day's plays; the gold tables and the registry may not be there yet."""
    run_date = policy_evaluation.run_date
    day_before = run_date - dt.timedelta(days=1)
    read = (listening_events, track_features, track_embeddings, registry, baselines)
    inputs = known_plays.versions_of(*read)
    champion, fitted = champion_as_of(registry, day_before), baselines_as_of(baselines, day_before)
    features, embeddings = tracks_of(track_features, track_embeddings)
    spark = session("policy_evaluation")
    events = known_plays.read(spark, listening_events)
    night = judge_night(events, features, embeddings, champion, fitted, run_date)
    made = (evaluations.rows(night), rates.rows(night), comparisons.rows(night))
    for partition, rows in zip((policy_evaluation, skip_rate, policy_comparison), made, strict=True):
        lake.overwrite_rows("policy_evaluation", rows, partition, inputs)


if __name__ == "__main__":
    job.run("policy_evaluation", main)
