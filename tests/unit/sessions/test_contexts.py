"""Contexts: what was known before each play, and nothing that came later."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
from frames import DAY, frame, session

from musicbox_lib.sessions.contexts import CONTEXT, as_contexts, last_contexts, user_fold

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

EVENTS = "silver.listening_events"
LONG = 70
ROWS: list[dict[str, Any]] = [
    *session("ada", "s1", [f"a{i}" for i in range(LONG)], [i % 4 for i in range(LONG)], dt=DAY - dt.timedelta(2)),
    *session("ada", "s2", ["b0", "b1", "b2"], [0, None, 3], dt=DAY, session_hour=9),
    # Comes first in the order of ids and of delivery files, last by the hour at which it began.
    *session("ada", "s0", ["c0", "c1"], [2, 0], dt=DAY, session_hour=22, premium=False),
    *session("bo", "s3", ["d0"], [None], dt=DAY),
]


@pytest.fixture(scope="module")
def before(spark: SparkSession) -> dict[tuple[str, int], dict[str, Any]]:
    rows = as_contexts(frame(spark, EVENTS, ROWS)).collect()
    return {(row.session_id, row.session_position): row.asDict() for row in rows}


def test_every_play_has_one_context(before: dict[tuple[str, int], dict[str, Any]]) -> None:
    assert sorted(before) == sorted((row["session_id"], row["session_position"]) for row in ROWS)


def test_a_context_holds_the_last_64_plays_newest_last(before: dict[tuple[str, int], dict[str, Any]]) -> None:
    found = before["s1", LONG]
    assert found["track_ids"] == [f"a{i}" for i in range(5, 69)]
    assert found["skip_grades"] == [i % 4 for i in range(5, 69)]
    assert found["n_in_session"] == 64
    assert before["s1", 1]["track_ids"] == [] and before["s1", 1]["n_in_session"] == 0


def test_a_context_crosses_sessions_in_the_order_in_which_they_began(
    before: dict[tuple[str, int], dict[str, Any]],
) -> None:
    found = before["s0", 2]
    assert found["track_ids"][-4:] == ["b0", "b1", "b2", "c0"]
    assert found["skip_grades"][-4:] == [0, -1, 3, 2]
    assert found["n_in_session"] == 1
    assert found["premium"] is False


def test_only_labelled_plays_count_for_the_user(before: dict[tuple[str, int], dict[str, Any]]) -> None:
    skips = sum(i % 4 >= 2 for i in range(LONG))
    assert (before["s1", 1]["user_plays"], before["s1", 1]["user_skips"]) == (0, 0)
    assert (before["s0", 1]["user_plays"], before["s0", 1]["user_skips"]) == (LONG + 2, skips + 1)


def test_the_play_itself_is_not_in_its_context(before: dict[tuple[str, int], dict[str, Any]]) -> None:
    assert [key for key, row in before.items() if row["track_id"] in row["track_ids"]] == []


def test_the_last_context_is_the_one_before_a_play_that_would_follow(spark: SparkSession) -> None:
    """One function gives what is trained on, the other what is scored: they must agree on the same moment."""
    following = session("ada", "s0", ["e0"], [None], dt=DAY, session_hour=22, premium=False)[0] | {
        "session_position": 3
    }
    after = {row.user_id: row for row in last_contexts(frame(spark, EVENTS, ROWS)).select(*CONTEXT).collect()}
    contexts = as_contexts(frame(spark, EVENTS, [*ROWS, following]))
    then = contexts.where("track_id = 'e0'").select(*CONTEXT).collect()
    assert [after["ada"]] == then
    assert after["bo"].track_ids == ["d0"] and after["bo"].skip_grades == [-1] and after["bo"].user_plays == 0


def test_a_later_delivery_changes_no_earlier_context(spark: SparkSession) -> None:
    later = session("ada", "s9", ["z"], [0], dt=DAY + dt.timedelta(1), session_date=DAY - dt.timedelta(9))
    key = ["session_id", "session_position"]

    def contexts(rows: list[dict[str, Any]]) -> DataFrame:
        return as_contexts(frame(spark, EVENTS, rows)).where("track_id <> 'z'").orderBy(*key)

    assert contexts(ROWS).collect() == contexts([*ROWS, *later]).collect()


def test_folds_are_even_and_never_move(spark: SparkSession) -> None:
    from pyspark.sql import functions as F

    users = spark.range(20_000).select(F.concat(F.lit("u"), F.col("id").cast("string")).alias("user_id"))
    counted = users.groupBy(user_fold(F.col("user_id")).alias("fold")).count().collect()
    assert sorted(row["fold"] for row in counted) == list(range(10))
    assert all(abs(row["count"] - 2_000) < 200 for row in counted)
    # Folds decide who is held out: a change here would put held-out users into training.
    known = spark.createDataFrame([("ada",), ("bo",), ("cy",), ("zoe",)], "user_id string")
    assert [row[0] for row in known.select(user_fold(F.col("user_id"))).collect()] == [9, 6, 8, 0]


def test_the_hour_is_that_of_the_play_before(spark: SparkSession) -> None:
    """A play's own hour is noted as it ends, and tells how it was answered: it is known of a session's first play only,
    where there is none before."""
    rows = session("eve", "s8", ["a", "b", "c"], [0, 0, 3], dt=DAY - dt.timedelta(1), session_hour=5)
    rows += session("eve", "s9", ["d", "e"], [0, 3], dt=DAY, session_hour=20)
    for row, hour in zip(rows, (5, 5, 6, 20, 21), strict=True):
        row["hour_of_day"] = hour
    contexts = as_contexts(frame(spark, EVENTS, rows)).orderBy("session_id", "session_position").collect()
    assert [row["hour_of_day"] for row in contexts] == [5, 5, 5, 20, 20]
