"""The training's and the night's jobs of one generated world, run in this process and one Spark session: what the DAGs
run in a JVM each, without what no quality table asks for (skip prediction, reports, the page)."""

from __future__ import annotations

import datetime as dt
import subprocess

from musicbox_lib import lake
from musicbox_lib.contract import jobs
from musicbox_lib.machine import environment
from musicbox_lib.orchestration import job
from musicbox_lib.settings import PROJECT, settings

ORDER = (
    "session_events",
    "listening_events",
    "track_features",
    "baselines",
    "transitions",
    "trainer",
    "registry",
    "last_sessions",
    "top3_recommendations",
)


def run_jobs(day: dt.date) -> None:
    """Run them all on the lake that the settings name, whose last day is `day`; the first refusal is raised."""
    first = day - dt.timedelta(days=settings().training_days - 1)
    run = {"day": str(day), "training_from": str(first)}
    run |= {"seed": str(settings().seed), "models": f"{lake.root()}/models"}
    for name in ORDER:
        declared, path = jobs.job(name), job.path_of(name)
        words = declared.words(**run)
        if declared.environment == "train":
            subprocess.run([str(environment.TRAIN / "bin" / "python"), str(path), *words], cwd=PROJECT, check=True)
            continue
        job.call(job.program(path).main, name, words)
