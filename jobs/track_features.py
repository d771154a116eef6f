"""silver.listening_events and known_tracks up to a day -> that day's gold.track_features and track_embeddings."""

from musicbox_lib import lake
from musicbox_lib.features import track_embeddings as embeddings
from musicbox_lib.features import track_features as features
from musicbox_lib.lake import ReadPartition, WritePartition
from musicbox_lib.machine.spark import session
from musicbox_lib.orchestration import job
from musicbox_lib.sessions import known_plays


def main(
    listening_events: ReadPartition,
    known_tracks: ReadPartition,
    track_features: WritePartition,
    track_embeddings: WritePartition,
) -> None:
    """Describe every track and place it among the others."""
    spark = session("track_features")
    inputs = known_plays.versions_of(listening_events, known_tracks)
    events = known_plays.read(spark, listening_events)
    # The track table is optional: a log alone makes features without audio.
    described = features.track_features(events, lake.read_if_written(spark, known_tracks), track_features.run_date)
    placed = embeddings.track_embeddings(events, described, track_embeddings.run_date)
    lake.overwrite(described, track_features, inputs)
    lake.overwrite(placed, track_embeddings, inputs)


if __name__ == "__main__":
    job.run("track_features", main)
