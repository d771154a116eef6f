"""One function per job: the task that runs it, and the partitions that it takes and gives on a run's day.

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
    for one in inputs:
        one >> made
    return made


def session_events(on: Night) -> Task:
    """Landing files, this day's and every earlier one the ledger does not know -> bronze."""
    return _after(spark_job("session_events", **jobs.session_events(on.day)), on.resolved)


def listening_events(on: Night, session_events: Task) -> Task:
    """Bronze -> silver: valid rows, quarantine and the night's validation results."""
    return _after(spark_job("listening_events", **jobs.listening_events(on.day)), session_events)


def track_features(on: Night, listening_events: Task) -> Task:
    """What is known of each track at the day's end, and its embedding."""
    made = spark_job(
        "track_features",
        listening_events=f"silver.listening_events/dt=..{on.day}",
        known_tracks=f"silver.known_tracks/dt=..{on.day}",
        track_features=f"gold.track_features/dt={on.day}",
        track_embeddings=f"gold.track_embeddings/dt={on.day}",
    )
    return _after(made, listening_events)


def last_sessions(on: Night, listening_events: Task) -> Task:
    """The last steps of each active user."""
    made = spark_job(
        "last_sessions",
        listening_events=f"silver.listening_events/dt=..{on.day}",
        last_sessions=f"gold.last_sessions/dt={on.day}",
    )
    return _after(made, listening_events)


def skip_prediction(on: Night, listening_events: Task) -> Task:
    """How well skips are predicted, for users that no model saw."""
    made = spark_job(
        "skip_prediction",
        listening_events=f"silver.listening_events/dt={on.training_from}..{on.day}",
        skip_prediction=f"reports.skip_prediction/dt={on.day}",
    )
    return _after(made, listening_events)


def transitions(on: Night, listening_events: Task, track_features: Task) -> Task:
    """What happened in the training days, as steps to learn from."""
    made = spark_job(
        "transitions",
        listening_events=f"silver.listening_events/dt={on.training_from}..{on.day}",
        track_features=f"gold.track_features/dt={on.day}",
        track_embeddings=f"gold.track_embeddings/dt={on.day}",
        transitions=f"training.transitions/dt={on.day}",
    )
    return _after(made, listening_events, track_features)


def trainer(on: Night, transitions: Task, track_features: Task) -> Task:
    """A model folder."""
    made = trainer_job(
        "trainer",
        transitions=f"training.transitions/dt={on.day}",
        track_features=f"gold.track_features/dt={on.day}",
        track_embeddings=f"gold.track_embeddings/dt={on.day}",
        seed=str(settings().seed),
        models=f"{lake.root()}/models",
    )
    return _after(made, transitions, track_features)


def baselines(on: Night, listening_events: Task, track_features: Task) -> Task:
    """Everything that the model is held against, fitted on the same days."""
    made = spark_job(
        "baselines",
        listening_events=f"silver.listening_events/dt={on.training_from}..{on.day}",
        track_features=f"gold.track_features/dt={on.day}",
        track_embeddings=f"gold.track_embeddings/dt={on.day}",
        baselines=f"models.baselines/dt={on.day}",
        seed=str(settings().seed),
        models=f"{lake.root()}/models",
    )
    return _after(made, listening_events, track_features)


def registry(on: Night, trainer: Task) -> Task:
    """The day's model becomes champion, or stays a candidate."""
    made = spark_job(
        "registry",
        run_date=on.day,
        listening_events=f"silver.listening_events/dt=..{on.day}",
        registry="models.registry",
    )
    return _after(made, trainer)


def top3_recommendations(on: Night, last_sessions: Task, track_features: Task) -> Task:
    """Three tracks for every active user, by the champion of that day."""
    made = spark_job(
        "top3_recommendations",
        last_sessions=f"gold.last_sessions/dt={on.day}",
        track_features=f"gold.track_features/dt={on.day}",
        track_embeddings=f"gold.track_embeddings/dt={on.day}",
        registry="models.registry",
        top3_recommendations=f"scores.top3_recommendations/dt={on.day}",
    )
    return _after(made, last_sessions, track_features)


def policy_evaluation(on: Night, listening_events: Task) -> Task:
    """Every policy judged on the day's plays: nothing that one knows is of the day that judges it."""
    made = spark_job(
        "policy_evaluation",
        listening_events=f"silver.listening_events/dt=..{on.day}",
        track_features=f"gold.track_features/dt=latest..{on.day_before}",
        track_embeddings=f"gold.track_embeddings/dt=latest..{on.day_before}",
        registry="models.registry",
        baselines=f"models.baselines/dt=..{on.day_before}",
        policy_evaluation=f"reports.policy_evaluation/dt={on.day}",
        skip_rate=f"reports.skip_rate/dt={on.day}",
        policy_comparison=f"reports.policy_comparison/dt={on.day}",
    )
    return _after(made, listening_events)


def diversity(on: Night, top3_recommendations: Task) -> Task:
    """How varied the slates are."""
    made = spark_job(
        "diversity",
        # Two days: how much of yesterday's slate comes again.
        top3_recommendations=f"scores.top3_recommendations/dt={on.day_before}..{on.day}",
        last_sessions=f"gold.last_sessions/dt={on.day}",
        track_features=f"gold.track_features/dt={on.day}",
        track_embeddings=f"gold.track_embeddings/dt={on.day}",
        listening_events=f"silver.listening_events/dt={on.day}",
        diversity=f"reports.diversity/dt={on.day}",
    )
    return _after(made, top3_recommendations)


def report(on: Night, policy_evaluation: Task, diversity: Task) -> Task:
    """The night's page."""
    return _after(command("report", "report", "--dt", on.day), policy_evaluation, diversity)
