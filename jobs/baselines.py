"""silver.listening_events of the training days and one night's gold tables -> the folder of fitted baselines and
models.baselines of that day."""

from pathlib import Path

from musicbox_lib import lake
from musicbox_lib.lake import ReadPartition, WritePartition
from musicbox_lib.machine.spark import session
from musicbox_lib.orchestration import job
from musicbox_lib.sessions import known_plays


def main(
    listening_events: ReadPartition,
    track_features: ReadPartition,
    track_embeddings: ReadPartition,
    baselines: WritePartition,
    seed: int,
    models: Path,
) -> None:
    """Fit everything that DDPG-W is held against."""
    from musicbox_lib.training import baselines as transform

    spark = session("baselines")
    read = (listening_events, track_features, track_embeddings)
    inputs = {name: int(version) for name, version in known_plays.versions_of(*read).items()}
    events = known_plays.read(spark, listening_events)
    features, embeddings = lake.read(spark, track_features), lake.read(spark, track_embeddings)
    rows = transform.baselines(events, features, embeddings, baselines.run_date, inputs, seed, models)
    lake.overwrite_rows("baselines", rows, baselines, {name: str(version) for name, version in inputs.items()})


if __name__ == "__main__":
    job.run("baselines", main)
