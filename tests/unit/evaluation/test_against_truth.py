"""The judge: gap closed and paired differences from known values, policies whose truth is known fed through the public
interface, and a whole evaluation on a hand-made night."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from rich.console import Console
from small_night import DAY as NIGHT
from small_night import write

from musicbox_lib.cli.evaluate import show
from musicbox_lib.errors import DataRefused
from musicbox_lib.evaluation import against_truth
from musicbox_lib.evaluation.against_truth import LOGGING, ORACLE, SERVED, compare, evaluate
from musicbox_lib.synthetic.generate import generate
from musicbox_lib.synthetic.truth import Truth

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_gap_closed_runs_from_the_logging_policy_to_the_oracle() -> None:
    n = 100
    values = {
        SERVED: np.full(n, 0.4),
        "popularity": np.full(n, 0.6),
        "random": np.full(n, 0.7),
        LOGGING: np.full(n, 0.5),
        ORACLE: np.full(n, 0.3),
    }
    folds = np.arange(n) % 10
    rows, differences = compare(values, folds, {}, seed=1, draws=100)
    gaps = {(row.policy, row.segment): row.gap_closed for row in rows}
    assert gaps[SERVED, "all"] == pytest.approx(0.5)
    assert gaps[LOGGING, "all"] == pytest.approx(0.0)
    assert gaps[ORACLE, "held out"] == pytest.approx(1.0)
    assert gaps["random", "validation"] == pytest.approx(-1.0)
    assert {row.segment: row.users for row in rows} == {"all": 100, "validation": 10, "held out": 10}
    assert [row.policy for row in rows if row.segment == "all"] == [ORACLE, SERVED, LOGGING, "popularity", "random"]
    found = {(pair.versus, pair.segment): pair for pair in differences}
    assert found["popularity", "all"].difference == pytest.approx(-0.2)
    assert found[LOGGING, "held out"].hi == pytest.approx(-0.1)


def test_held_out_users_are_those_of_fold_nine_alone() -> None:
    folds = np.array([0, 8, 9, 9])
    served = np.array([0.9, 0.9, 0.1, 0.3])
    values = {SERVED: served, "popularity": served, LOGGING: np.full(4, 0.5), ORACLE: np.zeros(4)}
    rows, _ = compare(values, folds, {}, seed=1, draws=50)
    held_out = next(row for row in rows if row.segment == "held out" and row.policy == SERVED)
    assert held_out.users == 2
    assert held_out.skip == pytest.approx(0.2)


def test_where_the_oracle_gains_nothing_there_is_no_gap() -> None:
    values = {SERVED: np.full(9, 0.5), LOGGING: np.full(9, 0.5), ORACLE: np.full(9, 0.5)}
    rows, _ = compare(values, np.zeros(9), {}, seed=1, draws=50)
    assert np.isnan([row.gap_closed for row in rows]).all()


@pytest.fixture
def night(spark: SparkSession, lake_root: Path, tmp_path: Path) -> Path:
    """A lake in which the oracle's slates were served; returns the truth folder."""
    truth = tmp_path / "truth"
    generate(
        users=60, tracks=100, days=2, seed=7, from_date=dt.date(2026, 11, 4), lake=lake_root, truth=truth, workers=1
    )
    opened = Truth(truth)
    users = [f"u_{i:06d}" for i in range(60)]
    slates = opened.oracle_slate(users, NIGHT)
    served = [
        {
            "dt": NIGHT, "user_id": user, "rank": rank + 1, "track_id": str(track), "score": 1.0, "propensity": 1.0,
            "source": "actor", "reason_code": "fits_session", "because_track_id": None, "model_id": "ddpg_w_1",
        }
        for user, slate in zip(users, slates, strict=True)
        for rank, track in enumerate(slate)
    ]  # fmt: skip
    # Rows come in any order.
    order = np.random.default_rng(1).permutation(len(served))
    write("scores.top3_recommendations", [served[at] for at in order])
    contexts = [
        {
            "dt": NIGHT, "user_id": user, "fold": at % 10, "session_id": f"s{at}", "n_in_session": 0, "user_plays": 0,
            "track_ids": [], "skip_grades": [], "user_skips": 0, "context_type": "radio", "hour_of_day": 1,
            "is_shuffle": False, "premium": True, "session_dt": NIGHT,
        }
        for at, user in reversed(list(enumerate(users)))
    ]  # fmt: skip
    write("gold.last_sessions", contexts)
    tracks = sorted(opened.tracks.ids)
    features = {"dt": NIGHT, "play_share": 0.01, "quality_by_fold": [0.0] * 10}
    write("gold.track_features", [{**features, "track_id": track, "plays": at} for at, track in enumerate(tracks)])
    placed = {"dt": NIGHT, "embedding": [1.0, 0.0], "source": "none", "neighbours": [], "similarities": []}
    write("gold.track_embeddings", [{**placed, "track_id": track} for track in tracks])
    return truth


def test_the_oracles_slates_close_the_whole_gap(night: Path) -> None:
    found = evaluate(NIGHT, night, seed=3, draws=200)
    served = next(row for row in found.values if row.policy == SERVED and row.segment == "all")
    assert served.gap_closed == pytest.approx(1.0)
    assert served.users == 60
    oracle = next(row for row in found.values if row.policy == ORACLE and row.segment == "all")
    assert (served.coverage, served.ild) == (oracle.coverage, oracle.ild)
    policies = {row.policy for row in found.values}
    assert policies == {SERVED, "item_knn", "popularity", "random", LOGGING, ORACLE}
    assert found.model_ids == ("ddpg_w_1",)
    assert all(pair.hi < 0 for pair in found.differences if pair.segment == "all")
    console = Console(record=True, width=140)
    show(found, console)
    text = console.export_text()
    assert "held out" in text
    assert f"{served.skip:.3f}" in text
    assert "fewer skips" in text


def test_a_night_without_slates_is_refused(night: Path) -> None:
    with pytest.raises(DataRefused, match="dt=2026-11-06 is empty"):
        evaluate(dt.date(2026, 11, 6), night, seed=1)


def test_a_user_with_too_many_tracks_is_refused(night: Path) -> None:
    extra = {
        "dt": NIGHT, "user_id": "u_000003", "rank": 3, "track_id": "t_x", "score": 1.0, "propensity": 1.0,
        "source": "actor", "reason_code": "fits_session", "because_track_id": None, "model_id": "ddpg_w_1",
    }  # fmt: skip
    write("scores.top3_recommendations", [extra])
    with pytest.raises(DataRefused, match="user u_000003 has 4 tracks instead of 3"):
        evaluate(NIGHT, night, seed=1)


def test_the_truth_of_another_world_is_refused(night: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    generate(
        users=60,
        tracks=100,
        days=2,
        seed=8,
        from_date=dt.date(2026, 11, 4),
        lake=tmp_path / "l2",
        truth=other,
        workers=1,
    )
    with pytest.raises(DataRefused, match="is not of the world"):
        evaluate(NIGHT, other, seed=1)


def test_only_the_evaluation_opens_the_truth() -> None:
    package = Path(against_truth.__file__).parent.parent
    users = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if "synthetic.truth" in path.read_text() and path.parent.name != "synthetic"
    }
    assert users == {"evaluation/against_truth.py", "evaluation/true_values.py"}
