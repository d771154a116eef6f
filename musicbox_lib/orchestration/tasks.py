"""One function per job: the task that runs it on the days of a run, with the arguments that `contract.jobs` declares.

A task's arguments are the tasks whose tables it reads, so a DAG's body composes them like functions.
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow.sdk import XComArg

from musicbox_lib import lake
from musicbox_lib.contract import jobs
from musicbox_lib.orchestration.operators import Program, SparkJob, command, run_date, spark_job, trainer_job
from musicbox_lib.settings import settings

Task = SparkJob | Program


@dataclass(frozen=True)
class Night:
    """The days of a run, as templates that read what the task `run_date` resolved."""

    resolved: XComArg
    day: str
    day_before: str
    training_from: str


def night() -> Night:
    """The run's days; its task comes before every other."""
    resolved = run_date()
    return Night(resolved, *(str(resolved[key]) for key in ("run_date", "day_before", "training_from")))


def _after(made: Task, *inputs: Task | XComArg) -> Task:
    for earlier in inputs:
        earlier >> made
    return made


def _task(name: str, on: Night, *inputs: Task | XComArg) -> Task:
    """The job with what it takes and gives on that run's days."""
    declared = jobs.job(name)
    words = declared.words(
        day=on.day,
        day_before=on.day_before,
        training_from=on.training_from,
        seed=str(settings().seed),
        models=f"{lake.root()}/models",
    )
    start = trainer_job if declared.environment == "train" else spark_job
    return _after(start(name, words), *inputs)


def session_events(on: Night) -> Task:
    """Landing files, this day's and every earlier one the ledger does not know -> bronze."""
    return _task("session_events", on, on.resolved)


def listening_events(on: Night, session_events: Task) -> Task:
    """Bronze -> silver: valid rows, quarantine and the night's validation results."""
    return _task("listening_events", on, session_events)


def track_features(on: Night, listening_events: Task) -> Task:
    """What is known of each track at the day's end, and its embedding."""
    return _task("track_features", on, listening_events)


def last_sessions(on: Night, listening_events: Task) -> Task:
    """The last steps of each active user."""
    return _task("last_sessions", on, listening_events)


def skip_prediction(on: Night, listening_events: Task) -> Task:
    """How well skips are predicted, for users that no model saw."""
    return _task("skip_prediction", on, listening_events)


def transitions(on: Night, listening_events: Task, track_features: Task) -> Task:
    """What happened in the training days, as steps to learn from."""
    return _task("transitions", on, listening_events, track_features)


def trainer(on: Night, transitions: Task, track_features: Task) -> Task:
    """A model folder."""
    return _task("trainer", on, transitions, track_features)


def baselines(on: Night, listening_events: Task, track_features: Task) -> Task:
    """Everything that the model is compared with, fitted on the same days."""
    return _task("baselines", on, listening_events, track_features)


def registry(on: Night, trainer: Task) -> Task:
    """The day's model becomes champion, or stays a candidate."""
    return _task("registry", on, trainer)


def top3_recommendations(on: Night, last_sessions: Task, track_features: Task) -> Task:
    """Three tracks for every active user, by the champion of that day."""
    return _task("top3_recommendations", on, last_sessions, track_features)


def policy_evaluation(on: Night, listening_events: Task) -> Task:
    """Every policy evaluated on the day's plays: what a policy knows is of the days before."""
    return _task("policy_evaluation", on, listening_events)


def diversity(on: Night, top3_recommendations: Task) -> Task:
    """How varied the slates are."""
    return _task("diversity", on, top3_recommendations)


def report(on: Night, policy_evaluation: Task, diversity: Task) -> Task:
    """The night's page."""
    return _after(command("report", "report", "--dt", on.day), policy_evaluation, diversity)
