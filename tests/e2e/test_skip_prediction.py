"""The job on a lake: what it writes where the answers follow a rule, the same twice, and on the real log."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from answered_sessions import play_rows
from deliveries import rows_of, run, the_job
from small_night import DAY, write

from musicbox_lib.contract import jobs
from musicbox_lib.errors import DataRefused
from musicbox_lib.landing.land import land
from musicbox_lib.orchestration import job
from musicbox_lib.settings import settings
from musicbox_lib.skip_prediction import sessions as blocks

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BASELINES = ("repeat_last", "always_skip", "never_skip")
Key = tuple[str, str, str]


def run_job(first: dt.date, day: dt.date) -> dict[Key, dict[str, Any]]:
    """The table's rows of that day after the job's run, by task, model and measure."""
    words = jobs.job("skip_prediction").words(day=str(day), training_from=str(first))
    job.call(the_job("skip_prediction").main, "skip_prediction", words)
    found = [row for row in rows_of("reports.skip_prediction") if row["dt"] == day]
    return {(row["task"], row["model"], row["measure"]): row for row in found}


def write_sessions(users: int, seed: int) -> None:
    """Three sessions of each user, 10 to 14 plays of 40 tracks: those of an odd number are always skipped, the others
    never. One more session lost its second play."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for number in range(3 * users):
        tracks = rng.integers(0, 40, int(rng.integers(10, 15)))
        skips = [bool(track % 2) for track in tracks]
        rows += play_rows(f"s{number:04d}", f"u{number // 3:03d}", [f"t{track:02d}" for track in tracks], skips)
    broken = play_rows("broken", "u000", ["t00"] * 10, [True] * 10)
    rows += [row for row in broken if row["session_position"] != 2]
    write("silver.listening_events", [{"dt": DAY, "session_date": DAY, "session_hour": 9, **row} for row in rows])


def test_where_the_track_decides_the_models_know_and_the_last_answer_does_not(
    spark: SparkSession, lake_root: Path
) -> None:
    write_sessions(users=100, seed=7001)
    found = run_job(DAY, DAY)
    models = ("boosting", "track_skip_rate", *BASELINES)
    halves = {
        ("second_half", model, f"{name}_accuracy") for model in models for name in ("mean_average", "first_prediction")
    }
    plays = {("next_play", model, "accuracy") for model in models}
    plays |= {("next_play", m, name) for m in models[:2] for name in ("log_loss", "auc", "calibration_error")}
    assert set(found) == halves | plays
    for row in found.values():
        assert row["lo"] <= row["value"] <= row["hi"]
        assert (row["n_sessions"], row["n_users"]) == (300, 100)
    for model in models[:2]:
        assert found["second_half", model, "mean_average_accuracy"]["value"] > 0.97
        assert found["next_play", model, "auc"]["value"] > 0.99
    # Where answers do not hang together, the last one and no other is worth the same.
    assert found["next_play", "repeat_last", "accuracy"]["value"] == pytest.approx(0.5, abs=0.03)
    always, never = (found["next_play", model, "accuracy"]["value"] for model in BASELINES[1:])
    silver = [row["skip_2"] for row in rows_of("silver.listening_events") if row["session_id"] != "broken"]
    assert always == pytest.approx(np.mean(silver))
    assert always + never == pytest.approx(1.0)
    assert found["next_play", "boosting", "accuracy"]["n_plays"] == len(silver)
    assert run_job(DAY, DAY) == found


def test_sums_of_tracks_are_those_of_the_plays(spark: SparkSession, lake_root: Path) -> None:
    from musicbox_lib.lake import ReadPartition, read

    write_sessions(users=20, seed=7002)
    events = read(spark, ReadPartition.parse(f"silver.listening_events/dt={DAY}"))
    plays = blocks.as_plays(events, 10**6, seed=1).toArrow()
    block = blocks.Sessions.of(plays)
    found = blocks.Answers.of(blocks.answers_by_fold(events).toArrow(), block.track_ids)
    rows = [row for row in rows_of("silver.listening_events") if row["track_id"] == "t07"]
    assert found.n[list(block.track_ids).index("t07")].sum() == len(rows)
    assert found.skips[list(block.track_ids).index("t07")].sum() == len(rows)
    # What is above its session's mean sums to nothing over everything, but for the rounding to ten-thousandths.
    assert found.above.sum() == pytest.approx(0.0, abs=0.1)
    assert plays.num_rows == block.played.sum()
    sampled = blocks.as_plays(events, 30, seed=1).toArrow()
    assert 15 <= len(blocks.Sessions.of(sampled)) <= 45
    assert sampled.equals(blocks.as_plays(events, 30, seed=1).toArrow())


def test_a_log_without_a_whole_session_or_of_one_user_is_refused(spark: SparkSession, lake_root: Path) -> None:
    rows = play_rows("s", "ada", "abc", [True, False, True])
    write("silver.listening_events", [{"dt": DAY, "session_date": DAY, "session_hour": 9, **row} for row in rows])
    with pytest.raises(DataRefused, match=r"^skip_prediction: all users fall into one part"):
        run_job(DAY, DAY)
    with pytest.raises(DataRefused, match=r"^skip_prediction: there is no whole session"):
        blocks.Sessions.of(pa.Table.from_pylist(rows)[:0])


@pytest.mark.mssd
@pytest.mark.slow
def test_the_real_log_is_predicted_better_than_by_the_last_answer(spark: SparkSession, lake_root: Path) -> None:
    day = dt.date(2018, 7, 15)
    land(day, settings().mssd_log, None)
    run("session_events", day)
    run("listening_events", day)
    value = {key: row["value"] for key, row in run_job(day, day).items()}
    assert value["second_half", "repeat_last", "mean_average_accuracy"] == pytest.approx(0.5286, abs=1e-3)
    assert value["second_half", "boosting", "mean_average_accuracy"] >= 0.59
    assert value["next_play", "boosting", "accuracy"] >= 0.76
    assert value["next_play", "boosting", "calibration_error"] <= 0.02
