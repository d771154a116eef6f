"""`reports.skip_prediction`: how well skips are predicted, in the public challenge's terms and before each play."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from musicbox_lib.skip_prediction import measures
from musicbox_lib.skip_prediction.baselines import CONSTANT, answers_of, track_rates
from musicbox_lib.skip_prediction.boosting import out_of_part
from musicbox_lib.skip_prediction.decision import likeliest_answers
from musicbox_lib.skip_prediction.measures import Measured
from musicbox_lib.skip_prediction.sessions import FITTED_SESSIONS, Answers, Bools, Sessions, answers_by_fold, as_plays
from musicbox_lib.skip_prediction.tasks import NextPlay, Rows, SecondHalf

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

log = logging.getLogger(__name__)

MODEL = "boosting"
TRACK_RATE = "track_skip_rate"


def skip_prediction(events: DataFrame, run_date: dt.date, seed: int) -> list[dict[str, Any]]:
    """The table's rows, from the plays of the training days up to `run_date`. About 10,000 hashed sessions and the
    sums of their tracks come to this process. Raises DataRefused where there is no whole session of two plays or
    more, or all users are of one part."""
    plays = as_plays(events, FITTED_SESSIONS, seed).persist()
    sessions = Sessions.of(plays.toArrow())
    tracks = plays.select("track_id").distinct()
    answers = Answers.of(answers_by_fold(events).join(tracks, "track_id", "leftsemi").toArrow(), sessions.track_ids)
    plays.unpersist()
    log.info("skip_prediction: %d sessions of %d users", len(sessions), len(np.unique(sessions.user_ids)))
    return [{"dt": run_date, **row} for row in judged(sessions, answers, seed)]


def judged(sessions: Sessions, answers: Answers, seed: int) -> Iterator[dict[str, Any]]:
    """The rows of both tasks without their day."""
    yield from _second_half(sessions, answers, seed)
    yield from _next_play(sessions, answers, seed)


def _second_half(sessions: Sessions, answers: Answers, seed: int) -> Iterator[dict[str, Any]]:
    task = SecondHalf(sessions)
    rows, chances = out_of_part(task, answers, seed)
    names: dict[str, Bools] = {MODEL: likeliest_answers(chances, rows[0])}
    names |= {name: answers_of(name, sessions, rows) for name in CONSTANT}
    names[TRACK_RATE] = track_rates(sessions, rows, answers) > 0.5
    right = sessions.skips[rows[0], rows[2]] > 0
    for name, said in names.items():
        of_session, average, first = measures.average_accuracies(said == right, rows[0])
        users = sessions.user_ids[of_session]
        found = {
            "mean_average_accuracy": measures.mean_of(average, users, seed),
            "first_prediction_accuracy": measures.mean_of(first, users, seed),
        }
        yield from _as_rows(task.name, name, found, sessions, rows)


def _next_play(sessions: Sessions, answers: Answers, seed: int) -> Iterator[dict[str, Any]]:
    task = NextPlay(sessions)
    rows, chances = out_of_part(task, answers, seed)
    skipped = sessions.skips[rows[0], rows[2]] > 0
    users = sessions.user_ids[rows[0]]
    for name, chance in ((MODEL, chances), (TRACK_RATE, track_rates(sessions, rows, answers))):
        found = {
            "accuracy": measures.mean_of((chance > 0.5) == skipped, users, seed),
            "log_loss": measures.mean_of(measures.log_losses(chance, skipped), users, seed),
            "auc": measures.area_under_curve(chance, skipped, users, seed),
            "calibration_error": measures.calibration_error(chance, skipped, users, seed),
        }
        yield from _as_rows(task.name, name, found, sessions, rows)
    for name in CONSTANT:
        right = answers_of(name, sessions, rows) == skipped
        yield from _as_rows(task.name, name, {"accuracy": measures.mean_of(right, users, seed)}, sessions, rows)


def _as_rows(
    task: str, model: str, found: Mapping[str, Measured], sessions: Sessions, rows: Rows
) -> Iterator[dict[str, Any]]:
    of_session = np.unique(rows[0])
    about = {
        "task": task,
        "model": model,
        "n_plays": len(rows[0]),
        "n_sessions": len(of_session),
        "n_users": len(np.unique(sessions.user_ids[of_session])),
    }
    for measure, one in found.items():
        yield {**about, "measure": measure, "value": one.value, "lo": one.lo, "hi": one.hi}
