"""Track features: out of fold means out of fold, and a later day changes no earlier one."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from frames import DAY, frame, listeners

from musicbox_lib.errors import DataRefused
from musicbox_lib.features.audio import LIMIT, scaled_audio
from musicbox_lib.features.quality import quality_by_fold, shrunk_rate
from musicbox_lib.features.track_features import track_features
from musicbox_lib.sessions.contexts import user_fold

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EVENTS = "silver.listening_events"


def features(spark: SparkSession, rows: list[dict[str, Any]], day: dt.date = DAY) -> pd.DataFrame:
    return track_features(frame(spark, EVENTS, rows), frame(spark, "silver.known_tracks", []), day).toPandas()


def quality(found: pd.DataFrame) -> np.ndarray[Any, Any]:
    return np.stack(found["quality_by_fold"].tolist())


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return listeners(40, 12, seed=1)


@pytest.fixture(scope="module")
def found(spark: SparkSession, rows: list[dict[str, Any]]) -> pd.DataFrame:
    return features(spark, rows)


def test_quality_ignores_the_answers_of_its_own_fold(
    spark: SparkSession, rows: list[dict[str, Any]], found: pd.DataFrame
) -> None:
    from pyspark.sql import functions as F

    users = sorted({row["user_id"] for row in rows})
    folds = spark.createDataFrame([(user,) for user in users], "user_id string").select(
        "user_id", user_fold(F.col("user_id"))
    )
    of: dict[str, int] = {row[0]: row[1] for row in folds.collect()}
    fold = min(fold for fold in of.values() if fold < 8)
    turned = [row | {"skip_grade": 3 - row["skip_grade"]} if of[row["user_id"]] == fold else row for row in rows]
    before, after = quality(found), quality(features(spark, turned))
    assert np.array_equal(before[:, fold], after[:, fold])
    others = [element for element in range(10) if element != fold]
    assert (before[:, others] != after[:, others]).all(axis=1).any()
    assert np.array_equal(after[:, 8], after[:, 9])


def test_validation_and_held_out_users_are_in_no_quality(
    spark: SparkSession, rows: list[dict[str, Any]], found: pd.DataFrame
) -> None:
    more = [
        row | {"user_id": user, "session_id": f"{user}-{row['session_id']}"}
        for row in rows[:200]
        for user in ("cy", "ada")
    ]
    again = features(spark, [*rows, *more])
    assert np.array_equal(quality(found), quality(again))
    assert again["plays"].sum() == found["plays"].sum() + 400
    assert again["train_plays"].tolist() == found["train_plays"].tolist()


def test_the_rows_of_a_later_day_change_nothing(spark: SparkSession, rows: list[dict[str, Any]]) -> None:
    """A backfill of D reads what `dt=..D` gives, and no column knows more than these rows."""
    day = DAY - dt.timedelta(2)
    until = [row for row in rows if row["dt"] <= day]
    assert 0 < len(until) < len(rows)
    first = features(spark, until, day)
    again = track_features(
        frame(spark, EVENTS, rows).where(f"dt <= '{day}'"), frame(spark, "silver.known_tracks", []), day
    ).toPandas()
    pd.testing.assert_frame_equal(first, again)
    assert set(first["dt"]) == {day}


def test_names_and_order_say_nothing(spark: SparkSession, rows: list[dict[str, Any]], found: pd.DataFrame) -> None:
    renamed = {name: f"x{99 - int(name[1:]):02d}" for name in found["track_id"]}
    turned = [row | {"track_id": renamed[row["track_id"]]} for row in reversed(rows)]
    again = features(spark, turned).set_index("track_id").loc[[renamed[name] for name in found["track_id"]]]
    for name in ("plays", "labelled_plays", "skip_rate", "skip_rate_shrunk", "play_share", "train_plays"):
        assert again[name].to_numpy() == pytest.approx(found[name].to_numpy(), abs=1e-9), name
    # Kept as 4-byte floats, whose own step is 1e-8 here.
    assert quality(again) == pytest.approx(quality(found), abs=1e-8)


def test_a_rate_is_drawn_towards_the_overall_rate(found: pd.DataFrame) -> None:
    overall = (found["skip_rate"] * found["labelled_plays"]).sum() / found["labelled_plays"].sum()
    distance, shrunk = (found["skip_rate"] - overall).abs(), (found["skip_rate_shrunk"] - overall).abs()
    assert (shrunk < distance).all()
    assert found["play_share"].sum() == pytest.approx(1)


def test_the_beta_prior_is_found_again() -> None:
    rng = np.random.default_rng(0)
    rates = rng.beta(12, 18, size=20_000)
    n = np.full(len(rates), 20.0)
    skips = rng.binomial(20, rates).astype(np.float64)
    # Prior 12 + 18 = 30 plays: the posterior mean is (s + 12) / 50.
    assert shrunk_rate(skips, n) == pytest.approx((skips + 12) / 50, abs=0.012)
    assert np.isnan(shrunk_rate(np.zeros(3), np.zeros(3))).all()


def test_quality_finds_the_effects_that_made_the_rewards() -> None:
    rng = np.random.default_rng(0)
    n_tracks, plays = 300, 40
    effects = rng.normal(scale=0.1, size=n_tracks)
    shape = (n_tracks, 10, 6)
    places = np.array([0.3, 0.1, 0, 0, 0, 0])
    draws = effects[:, None, None, None] + places[:, None] + rng.normal(scale=0.4, size=(*shape, plays))
    found = quality_by_fold(np.full(shape, float(plays)), draws.sum(axis=3), (draws**2).sum(axis=3))
    assert found.shape == (n_tracks, 10)
    # 8 x 6 x 40 plays a track: noise .4 / sqrt(1920) = .009 against .1.
    assert np.corrcoef(found[:, 9], effects)[0, 1] > 0.99
    assert np.std(found[:, 9]) == pytest.approx(0.1, rel=0.1)


def test_audio_is_scaled_and_missing_values_stand_at_the_mean() -> None:
    rng = np.random.default_rng(0)
    from musicbox_lib.features.audio import COLUMNS

    tracks = pd.DataFrame(rng.normal(5, 3, size=(50, len(COLUMNS))), columns=list(COLUMNS))
    tracks["key"], tracks["time_signature"] = rng.integers(0, 12, 50), 4
    tracks.loc[3, "tempo"] = np.nan
    tracks.loc[4, "energy"] = np.inf
    tracks.loc[5] = np.nan
    tracks.loc[5, "release_year"] = 1999
    audio, has_audio = scaled_audio(tracks)
    assert audio.shape == (50, 30) and has_audio.sum() == 49 and not has_audio[5]
    spread = audio[has_audio].std(axis=0)
    assert audio[has_audio].mean(axis=0) == pytest.approx(0, abs=1e-5)
    # The metre is 4 everywhere: no spread to scale, so it says nothing.
    assert np.sort(spread)[0] == 0 and np.sort(spread)[2:] == pytest.approx(1, abs=0.03)
    assert np.abs(audio).max() <= LIMIT


def test_no_track_at_all_is_refused(spark: SparkSession) -> None:
    with pytest.raises(DataRefused, match="no play and no track up to 2026-11-05"):
        features(spark, [])
