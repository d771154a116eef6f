"""A day's trained model, and the held-out users' plays up to that day -> models.registry: champion, or candidate."""

from __future__ import annotations

import datetime as dt

from musicbox_lib.lake import ReadPartition, WritePartition
from musicbox_lib.orchestration import job


def main(run_date: dt.date, listening_events: ReadPartition, registry: WritePartition, model: str | None) -> None:
    """Judge and register."""
    from musicbox_lib.training.registration import register

    register(run_date, listening_events, registry, model)


if __name__ == "__main__":
    job.run("registry", main)
