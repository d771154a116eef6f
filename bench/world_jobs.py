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


def words_of(day: dt.date) -> list[tuple[str, dict[str, str]]]:
    """Each job with its arguments, in order, for a lake whose last day is `day`."""
    first = day - dt.timedelta(days=settings().training_days - 1)
    events = {"listening_events": f"silver.listening_events/dt=..{day}"}
    trained = {"listening_events": f"silver.listening_events/dt={first}..{day}"}
    gold = {name: f"gold.{name}/dt={day}" for name in ("track_features", "track_embeddings")}
    model = {"seed": str(settings().seed), "models": f"{lake.root()}/models"}
    return [
        ("session_events", jobs.session_events(str(day))),
        ("listening_events", jobs.listening_events(str(day))),
        ("track_features", {**events, "known_tracks": f"silver.known_tracks/dt=..{day}", **gold}),
        ("baselines", {**trained, **gold, "baselines": f"models.baselines/dt={day}", **model}),
        ("transitions", {**trained, **gold, "transitions": f"training.transitions/dt={day}"}),
        ("trainer", {"transitions": f"training.transitions/dt={day}", **gold, **model}),
        ("registry", {"run_date": str(day), **events, "registry": "models.registry"}),
        ("last_sessions", {**events, "last_sessions": f"gold.last_sessions/dt={day}"}),
        (
            "top3_recommendations",
            {
                "last_sessions": f"gold.last_sessions/dt={day}", **gold, "registry": "models.registry",
                "top3_recommendations": f"scores.top3_recommendations/dt={day}",
            },
        ),
    ]  # fmt: skip


def run_jobs(day: dt.date) -> None:
    """Run them all on the lake that the settings name; the first refusal is raised."""
    for name, given in words_of(day):
        words = jobs.as_words(given)
        path = PROJECT / "jobs" / f"{name}.py"
        if name == "trainer":
            subprocess.run([str(environment.TRAIN / "bin" / "python"), str(path), *words], cwd=PROJECT, check=True)
            continue
        program = job.program(path)
        program.main(**vars(program.arg_parser().parse_args(words)))
