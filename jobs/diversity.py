"""scores, gold tables and silver.listening_events of a day -> reports.diversity of that day."""

from musicbox_lib import lake
from musicbox_lib.contract.jobs import writer_of
from musicbox_lib.errors import DataRefused
from musicbox_lib.features.night_tracks import tracks_of
from musicbox_lib.lake import ReadPartition, WritePartition
from musicbox_lib.machine.spark import session
from musicbox_lib.orchestration import job
from musicbox_lib.reports import diversity as slates
from musicbox_lib.sessions import known_plays
from musicbox_lib.settings import settings


def main(
    top3_recommendations: ReadPartition,
    last_sessions: ReadPartition,
    track_features: ReadPartition,
    track_embeddings: ReadPartition,
    listening_events: ReadPartition,
    diversity: WritePartition,
) -> None:
    """Count and measure the slates of the day."""
    day = diversity.run_date
    if day not in lake.days_of(top3_recommendations.table.name):
        scores = top3_recommendations.table.name
        raise DataRefused(f"{scores} has no slates of {day}: run the job {writer_of(scores)} for that day first.")
    read = (top3_recommendations, last_sessions, track_features, track_embeddings, listening_events)
    inputs = known_plays.versions_of(*read)
    features, embeddings = tracks_of(track_features, track_embeddings)
    if features.empty:
        writer = writer_of(track_features.table.name)
        raise DataRefused(f"{track_features} or {track_embeddings} is missing: run the job {writer} first.")
    spark = session("diversity")
    top3 = lake.read(spark, top3_recommendations)
    active = lake.read(spark, last_sessions)
    rows = slates.diversity_rows(
        slates.as_contexts_with_slates(active, top3.where(top3.dt == day), top3.where(top3.dt < day)),
        active.count(),
        slates.as_logged_lists(known_plays.read(spark, listening_events)),
        slates.shelf(features, embeddings, settings().seed),
        day,
        settings().report_contexts,
    )
    lake.overwrite_rows("diversity", rows, diversity, inputs)


if __name__ == "__main__":
    job.run("diversity", main)
