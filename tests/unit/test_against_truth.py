"""The judge: gap closed and paired differences from known values, and a whole evaluation on a hand-made night."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import deltalake
import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from musicbox_lib import lake
from musicbox_lib.errors import DataRefused
from musicbox_lib.evaluation import against_truth, truth_tables
from musicbox_lib.evaluation.against_truth import CHAMPION, LOGGING, ORACLE, POPULARITY, RANDOM, compare, evaluate
from musicbox_lib.synthetic.generate import generate
from musicbox_lib.synthetic.truth import Truth

NIGHT = dt.date(2026, 11, 5)


def test_gap_closed_runs_from_the_logging_policy_to_the_oracle() -> None:
    n = 100
    values = {
        CHAMPION: np.full(n, 0.4),
        POPULARITY: np.full(n, 0.6),
        RANDOM: np.full(n, 0.7),
        LOGGING: np.full(n, 0.5),
        ORACLE: np.full(n, 0.3),
    }
    folds = np.arange(n) % 10
    rows, differences = compare(values, folds, seed=1, draws=100)
    gaps = {(row.policy, row.segment): row.gap_closed for row in rows}
    assert gaps[CHAMPION, "all"] == pytest.approx(0.5)
    assert gaps[LOGGING, "all"] == pytest.approx(0.0)
    assert gaps[ORACLE, "held out"] == pytest.approx(1.0)
    assert gaps[RANDOM, "validation"] == pytest.approx(-1.0)
    assert {row.segment: row.users for row in rows} == {"all": 100, "validation": 10, "held out": 10}
    found = {(pair.versus, pair.segment): pair for pair in differences}
    assert found[POPULARITY, "all"].difference == pytest.approx(-0.2)
    assert found[LOGGING, "held out"].hi == pytest.approx(-0.1)


def test_held_out_users_are_those_of_fold_nine_alone() -> None:
    folds = np.array([0, 8, 9, 9])
    champion = np.array([0.9, 0.9, 0.1, 0.3])
    values = {CHAMPION: champion, POPULARITY: champion, LOGGING: np.full(4, 0.5), ORACLE: np.zeros(4)}
    rows, _ = compare(values, folds, seed=1, draws=50)
    held_out = next(row for row in rows if row.segment == "held out" and row.policy == CHAMPION)
    assert held_out.users == 2
    assert held_out.skip == pytest.approx(0.2)


def write(name: str, rows: pa.Table) -> None:
    deltalake.write_deltalake(lake.path_of(name), rows, partition_by=["dt"], mode="append")


@pytest.fixture
def night(lake_root: Path, tmp_path: Path) -> Path:
    """A lake with the oracle's slates as the champion's; returns the truth folder."""
    truth = tmp_path / "truth"
    generate(
        users=60, tracks=100, days=2, seed=7, from_date=dt.date(2026, 11, 4), lake=lake_root, truth=truth, workers=1
    )
    opened = Truth(truth)
    users = [f"u_{i:06d}" for i in range(60)]
    slates = opened.oracle_slate(users, NIGHT)
    each = np.repeat(users, 3)
    # Rows come in any order.
    order = np.random.default_rng(1).permutation(180)
    rows = pa.table(
        {
            "dt": pa.array([NIGHT] * 180),
            "user_id": each[order].tolist(),
            "rank": pa.array((np.tile([1, 2, 3], 60))[order], pa.int32()),
            "track_id": slates.ravel()[order].tolist(),
            "model_id": ["ddpg_w_1"] * 180,
        }
    )
    write("scores.top3_recommendations", rows)
    folds = pa.array([i % 10 for i in range(60)], pa.int32())
    write("gold.last_sessions", pa.table({"dt": [NIGHT] * 60, "user_id": users[::-1], "fold": folds}))
    plays = pa.array(range(100), pa.int64())
    write("gold.track_features", pa.table({"dt": [NIGHT] * 100, "track_id": list(opened.tracks.ids), "plays": plays}))
    return truth


def test_the_oracles_slates_close_the_whole_gap(night: Path) -> None:
    found = evaluate(NIGHT, night, seed=3, draws=200)
    champion = next(row for row in found.values if row.policy == CHAMPION and row.segment == "all")
    assert champion.gap_closed == pytest.approx(1.0)
    assert champion.users == 60
    assert found.model_ids == ("ddpg_w_1",)
    assert all(pair.hi < 0 for pair in found.differences if pair.segment == "all")
    console = Console(record=True, width=120)
    truth_tables.show(found, console)
    text = console.export_text()
    assert "gap closed" in text
    assert f"{champion.skip:.3f}" in text
    assert "fewer skips" in text


def test_a_night_without_slates_is_refused(night: Path) -> None:
    with pytest.raises(DataRefused, match="dt=2026-11-06 is empty"):
        evaluate(dt.date(2026, 11, 6), night, seed=1)


def test_a_user_with_too_many_tracks_is_refused(night: Path) -> None:
    extra = pa.table(
        {
            "dt": [NIGHT],
            "user_id": ["u_000003"],
            "rank": pa.array([4], pa.int32()),
            "track_id": ["t_x"],
            "model_id": ["ddpg_w_1"],
        }
    )
    write("scores.top3_recommendations", extra)
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
    assert users == {"evaluation/against_truth.py"}
