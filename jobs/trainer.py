"""Train DDPG-W on one day's transitions into a model folder. Runs in the train environment, without Spark."""

from __future__ import annotations

from pathlib import Path

from musicbox_lib import lake
from musicbox_lib.orchestration import job


def main(
    transitions: lake.ReadPartition,
    track_features: lake.ReadPartition,
    track_embeddings: lake.ReadPartition,
    seed: int,
    models: Path,
) -> None:
    """Read, train, publish."""
    from musicbox_lib.ddpg.config import Config
    from musicbox_lib.training.new_model import train_model

    train_model(transitions, track_features, track_embeddings, Config(), seed, models)


if __name__ == "__main__":
    job.run("trainer", main)
