"""`musicbox recommend`: one user's night on the terminal."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from small_night import DAY, context_rows, write, write_tracks

from musicbox_lib.cli import recommend
from musicbox_lib.cli.recommend import find_answer, show
from musicbox_lib.errors import DataRefused
from musicbox_lib.scoring import reasons

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def scored_night() -> None:
    write_tracks(9, neighbours=False)
    histories = {"b": [(0, 0), (1, 2), (2, 3), (3, -1)], "a[x]": [(4, 1)]}
    write("gold.last_sessions", context_rows(histories, in_session=3))
    codes = [("near_liked_track", "t000"), ("exploring", None), ("popular_in_catalogue", None)]
    row = {"dt": DAY, "score": 0.5, "propensity": 0.25, "source": "actor", "model_id": "m1"}
    write(
        "scores.top3_recommendations",
        [
            {**row, "user_id": user, "rank": rank + 1, "track_id": f"t{rank + 5:03d}", "reason_code": code,
             "because_track_id": because}
            for user in ("a[x]", "b")
            for rank, (code, because) in reversed(list(enumerate(codes)))
        ],
    )  # fmt: skip


def test_session_slate_and_reasons(spark: SparkSession, lake_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataRefused, match="no night has been scored yet: run the nightly DAG first"):
        find_answer(None, None)
    scored_night()
    show(find_answer("b", DAY))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "1 Song t001 skipped (skip_2)" in lines
    assert "2 Song t002 skipped at once (skip_1)" in lines
    assert "3 Song t003 no label" in lines
    assert not any("not skipped" in line and line.startswith("1 Song t000") for line in lines)
    assert "1 Song t005 near Song t000, which was not skipped actor 0.2500" in lines
    assert "3 Song t007 among the catalogue's most played actor 0.2500" in lines

    show(find_answer(None, None))
    assert "User a[x], last session as known at the end of 2026-11-05:" in capsys.readouterr().out
    with pytest.raises(DataRefused, match="user 'nobody' was not active on 2026-11-05"):
        find_answer("nobody", None)
    with pytest.raises(DataRefused, match="2026-11-06 has not been scored"):
        find_answer(None, DAY + dt.timedelta(days=1))


def test_the_command_ends_with_3_and_one_sentence(lake_root: Path) -> None:
    asked = subprocess.run(
        [sys.executable, "-c", "from musicbox_lib.cli.app import main; main()", "recommend", "--user", "u"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 3
    assert asked.stderr.startswith("musicbox: no night has been scored yet")
    assert len(asked.stderr.splitlines()) == 1


def test_every_reason_has_its_words() -> None:
    assert set(recommend.REASONS) == set(reasons.REASONS)
