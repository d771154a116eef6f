"""Train DDPG-W on one day's transitions into a model folder. Runs in the train environment, without Spark."""

from __future__ import annotations

import argparse
from pathlib import Path

from musicbox_lib import lake
from musicbox_lib.orchestration import job


def arg_parser() -> argparse.ArgumentParser:
    """Three partitions of one day in, a folder of models out."""
    parser = argparse.ArgumentParser(prog="trainer", description=__doc__)
    for name in ("transitions", "track_features", "track_embeddings"):
        job.partition_argument(parser, name, lake.ReadPartition)
    parser.add_argument("--seed", type=int, required=True, help="Seed of weights, order and noise.")
    parser.add_argument("--models", type=Path, required=True, help="The folder that holds a folder per model.")
    return parser


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
    job.run(arg_parser(), main)
