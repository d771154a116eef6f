"""A day's trained model, and the held-out users' plays up to that day -> models.registry: champion, or candidate."""

from __future__ import annotations

import argparse
import datetime as dt

from musicbox_lib.contract.days import parse_date
from musicbox_lib.lake import ReadPartition, WritePartition
from musicbox_lib.orchestration import job


def arg_parser() -> argparse.ArgumentParser:
    """`--run-date D --listening-events silver.listening_events/dt=..D --registry models.registry [--model ID]`"""
    parser = argparse.ArgumentParser(
        prog="registry", description=__doc__, epilog=arg_parser.__doc__, allow_abbrev=False
    )
    parser.add_argument("--run-date", type=parse_date, required=True, help="The day the model was trained for.")
    job.partition_argument(parser, "listening_events", ReadPartition)
    job.partition_argument(parser, "registry", WritePartition)
    parser.add_argument("--model", help="The model's id; without it the newest folder trained for the run date.")
    return parser


def main(run_date: dt.date, listening_events: ReadPartition, registry: WritePartition, model: str | None) -> None:
    """Judge and register."""
    from musicbox_lib.training.registration import register

    register(run_date, listening_events, registry, model)


if __name__ == "__main__":
    job.run(arg_parser(), main)
