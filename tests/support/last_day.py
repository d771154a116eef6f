"""A small generated world, and the jobs of its last day one by one, each with a copy of the lake as it finds it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deliveries import the_job
from lake_content import copied, the_lake
from processes import OtherProcess
from rendered import commands, run_dag

from musicbox_lib.orchestration import job
from musicbox_lib.synthetic.generate import generate

FIRST = dt.date(2026, 11, 1)
LAST = dt.date(2026, 11, 4)
TRAINING = ("baselines", "transitions", "trainer", "registry", "skip_prediction")


@dataclass(frozen=True)
class Step:
    """One job of the day: its words, and the lake before it runs."""

    job: str
    words: tuple[str, ...]
    before: Path


def generated(root: Path, users: int, tracks: int, days: int) -> Path:
    """Landing files of a small world; gives the lake."""
    generate(
        users=users,
        tracks=tracks,
        days=days,
        seed=7005,
        from_date=LAST - dt.timedelta(days=days - 1),
        lake=root / "lake",
        truth=root / "truth",
        workers=1,
    )
    return root / "lake"


def words_of(day: dt.date) -> dict[str, tuple[str, ...]]:
    """The words of every job of a day as the DAGs render them, each job once and in an order that works: the night up
    to last_sessions, the training, the rest of the night."""
    told = {Path(words[0]).stem: tuple(words[1:]) for words in commands("musicbox_nightly", day)}
    trained = {}
    for program, *words in commands("musicbox_training", day):
        script, given = (words[0], words[1:]) if program.endswith("/python") else (program, words)
        trained[Path(script).stem] = tuple(given)
    told.pop("musicbox")
    early = ("session_events", "listening_events", "track_features", "last_sessions")
    ordered = [*early, *TRAINING, *(name for name in told if name not in early)]
    return {name: (told | trained)[name] for name in ordered}


def run_here(name: str, words: Sequence[str]) -> None:
    """A job in this process and its Spark session. What it keeps goes with it, as with a process of its own: a refused
    night of a million rows left too little of 3 GB for the next."""
    from pyspark.sql import SparkSession

    try:
        job.call(the_job(name).main, name, words)
    finally:
        if (active := SparkSession.getActiveSession()) is not None:
            active.catalog.clearCache()


def prepared(root: Path, jobs: Sequence[str], users: int, tracks: int, days: int) -> dict[str, Step]:
    """The steps of the last day. The days before are whole: trained, scored, reported, where the jobs need it."""
    lake = generated(root, users, tracks, days)
    steps: dict[str, Step] = {}
    with the_lake(lake):
        day_before = LAST - dt.timedelta(days=1)
        if set(jobs) == {"session_events"}:
            run_here("session_events", words_of(day_before)["session_events"])
        else:
            run_dag("musicbox_training", day_before)
            run_dag("musicbox_nightly", day_before)
        for job, words in words_of(LAST).items():
            if job in jobs:
                steps[job] = Step(job, words, copied(lake, root / "before" / job))
            if set(jobs) <= set(steps):
                break
            if job == "trainer":
                trainer = OtherProcess("tensorflow", root / "trainer")
                trainer.run(job, words, lake)
                trainer.kill()
            else:
                run_here(job, words)
    return steps
