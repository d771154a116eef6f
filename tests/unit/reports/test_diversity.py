"""The diversity report on three users, counted by hand."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from musicbox_lib.contract.tables import table
from musicbox_lib.reports.diversity import as_contexts_with_slates, as_logged_lists, diversity_rows, shelf

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

DAY, BEFORE = dt.date(2026, 11, 5), dt.date(2026, 11, 4)
# Audio in the plane: a and b alike, c across, d opposite to a, e across the other way.
AUDIO = {"a": (1.0, 0.0), "b": (2.0, 0.0), "c": (0.0, 1.0), "d": (-1.0, 0.0), "e": (0.0, -3.0)}
PLAYS = {"a": 40, "b": 20, "c": 20, "d": 10, "e": 10}


def gold() -> tuple[pd.DataFrame, pd.DataFrame]:
    features = pd.DataFrame(
        [
            {
                "track_id": name,
                "plays": PLAYS[name],
                "play_share": PLAYS[name] / 100,
                "quality_by_fold": [0.0] * 10,
                "audio": list(point),
                "legacy_audio": [*point, 1.0] if name != "e" else None,
                "artist": None,
            }
            for name, point in AUDIO.items()
        ]
    )
    embeddings = [{"track_id": name, "embedding": [1.0, 0.0], "neighbours": [], "similarities": []} for name in AUDIO]
    return features, pd.DataFrame(embeddings)


def contexts(spark: SparkSession, premium: dict[str, bool | None]) -> DataFrame:
    rows = [
        {
            "dt": DAY, "user_id": user, "fold": 0, "session_id": f"s-{user}", "track_ids": ["b"], "skip_grades": [0],
            "n_in_session": 1, "user_plays": 1, "user_skips": 0, "context_type": "radio", "hour_of_day": 9,
            "is_shuffle": False, "premium": pays, "session_dt": DAY,
        }
        for user, pays in premium.items()
    ]  # fmt: skip
    return spark.createDataFrame(rows, table("gold.last_sessions").ddl)


def slates(spark: SparkSession, day: dt.date, model_id: str, by_user: dict[str, str]) -> DataFrame:
    rows = [
        {
            "dt": day, "user_id": user, "rank": rank, "track_id": track, "score": 1.0, "propensity": 0.5,
            "source": "actor", "reason_code": "near_liked_track", "model_id": model_id,
        }
        for user, tracks in by_user.items()
        for rank, track in enumerate(tracks, start=1)
    ]  # fmt: skip
    return spark.createDataFrame(rows, table("scores.top3_recommendations").ddl)


def events(spark: SparkSession) -> DataFrame:
    """Session s1 of five plays, s2 of two."""
    rows = [
        {
            "dt": DAY, "session_id": session, "session_position": at, "track_id": track, "user_id": session,
            "premium": session == "s1", "session_date": DAY, "session_hour": 1,
        }
        for session, tracks in {"s1": "aeacd", "s2": "ab"}.items()
        for at, track in enumerate(tracks, start=1)
    ]  # fmt: skip
    return spark.createDataFrame(rows, table("silver.listening_events").ddl)


def report(spark: SparkSession, model_id: str) -> dict[tuple[str, str], dict[str, Any]]:
    served = slates(spark, DAY, model_id, {"u1": "acd", "u2": "aec"})
    before = slates(spark, BEFORE, "older", {"u1": "dab", "u3": "abc"})
    joined = as_contexts_with_slates(contexts(spark, {"u1": True, "u2": False, "u3": None}), served, before)
    found = diversity_rows(joined, 3, as_logged_lists(events(spark)), shelf(*gold(), seed=1), DAY, most=1000)
    return {(row["policy"], row["segment"]): row for row in found}


def test_slates_of_a_night(spark: SparkSession) -> None:
    """u1 has a c d: cosines 0, -1, 0 -> 4/3; u2 has a e c: 0, 0, -1 -> 4/3. u3 was served nothing.

    Slots: a 2, c 2, d 1, e 1. Distinct 4 of 5 tracks, 4 of 6 slots; tail = all but a: 4 of 6.
    u1 had d and a yesterday: 2 of 3 again; u2 had no slate.
    Legacy (x, y, 1): a.c = 1/2, a.d = 0, c.d = 1/2 -> 1 - 1/3; e has none, so u2 counts by a.c alone: 1/2.
    """
    found = report(spark, "m-1")
    ours = found["ddpg_w", "all"]
    assert ours["n_slates"] == 2
    assert (ours["ild_space"], ours["diversity_ild"]) == ("audio", pytest.approx(4 / 3))
    assert (ours["catalogue_coverage"], ours["aggregate_diversity"]) == (pytest.approx(4 / 5), pytest.approx(4 / 6))
    assert ours["tail_share"] == pytest.approx(4 / 6)
    assert ours["repetition"] == pytest.approx(2 / 3)
    assert ours["legacy_diversity"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert (found["ddpg_w", "premium"]["n_slates"], found["ddpg_w", "free"]["n_slates"]) == (1, 1)
    assert found["ddpg_w", "free"]["repetition"] is None
    # The log's last three: a c d of s1, and a b of s2, which are alike.
    logged = found["logged", "all"]
    assert (logged["n_slates"], logged["diversity_ild"]) == (2, pytest.approx((4 / 3 + 0) / 2))
    assert found["logged", "premium"]["catalogue_coverage"] == pytest.approx(3 / 5)
    # Baselines are drawn for every context, b being heard: three of the other four tracks.
    for policy in ("random", "popularity", "item_knn"):
        assert found[policy, "all"]["n_slates"] == 3
        assert found[policy, "all"]["catalogue_coverage"] <= 4 / 5
        assert found[policy, "all"]["repetition"] is None


def test_a_night_served_by_a_baseline_is_that_baselines(spark: SparkSession) -> None:
    found = report(spark, "item_knn")
    assert not [key for key in found if key[0] == "ddpg_w"]
    assert (found["item_knn", "all"]["n_slates"], found["item_knn", "all"]["repetition"]) == (2, pytest.approx(2 / 3))
