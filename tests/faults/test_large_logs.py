"""One session with every row, and one user with half of them: it ends, in memory, and no row is lost.

The seconds against an ordinary log of as many rows stand in the table and are asserted nowhere; `make bench NAME=skew`
measures them apart. `MUSICBOX_LARGE_ROWS` makes the logs smaller.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deliveries import DAY, LOG, as_line, play, rows_of
from lake_content import the_lake
from last_day import run_here, words_of

from musicbox_lib.errors import DataRefused
from musicbox_lib.sql.ask import ask

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROWS = int(os.environ.get("MUSICBOX_LARGE_ROWS", "1000000"))
LENGTH = 20
JOBS = ("session_events", "listening_events", "last_sessions", "track_features", "transitions", "policy_evaluation")
pytestmark = pytest.mark.slow


def deliver_log(
    root: Path, rows: int, session: Callable[[int], tuple[str, int, int]], user: Callable[[int], str]
) -> None:
    """A plain log of so many rows; `session` gives id, position and length of a row, `user` its listener."""
    place = root / "landing" / "session_logs" / f"dt={DAY}" / "log.csv"
    place.parent.mkdir(parents=True)
    line = as_line(play("SESSION", 7) | {"user_id": "USER"}).replace(",7,10,t_007,", ",PLACE,t_TRACK,")
    with place.open("w") as file:
        file.write(",".join(LOG) + "\n")
        for at in range(rows):
            name, position, length = session(at)
            told = line.replace("SESSION", name).replace("PLACE", f"{position},{length}").replace("USER", user(at))
            file.write(told.replace("TRACK", str(at * 7919 % 2000)) + "\n")


def sessions_of_20(at: int) -> tuple[str, int, int]:
    return f"s{at // LENGTH}", at % LENGTH + 1, LENGTH


def seconds_of(jobs: Sequence[str]) -> dict[str, float]:
    words, taken = words_of(DAY), {}
    for job in jobs:
        started = time.monotonic()
        run_here(job, words[job])
        taken[job] = time.monotonic() - started
    return taken


def count(table: str) -> int:
    [(rows,)] = ask(f"SELECT count(*) FROM {table}").rows
    return int(rows)


def ordinary(root: Path, rows: int) -> dict[str, float]:
    """The jobs' seconds on a log of 20-play sessions, three per user."""
    with the_lake(root):
        deliver_log(root, rows, sessions_of_20, lambda at: f"u{at // LENGTH // 3}")
        taken = seconds_of(JOBS)
        assert count("silver.listening_events") == rows
    return taken


@pytest.fixture(scope="module")
def plain(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Of an ordinary log, after a small one has warmed the JVM."""
    ordinary(tmp_path_factory.mktemp("warm") / "lake", ROWS // 100)
    return ordinary(tmp_path_factory.mktemp("plain") / "lake", ROWS)


@pytest.mark.fault("a giant", f"one session of {ROWS:,} rows")
def test_one_session_with_every_row(
    plain: dict[str, float], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with the_lake(tmp_path) as root:
        deliver_log(root, ROWS, lambda at: ("one", at + 1, ROWS), lambda at: "u")
        taken = seconds_of(["session_events"])
        started = time.monotonic()
        with pytest.raises(DataRefused, match=f"the night stops.*rejected_share.* {ROWS} rows"):
            run_here("listening_events", words_of(DAY)["listening_events"])
        taken["listening_events"] = time.monotonic() - started
        assert count("bronze.session_events") == ROWS
        results = rows_of("silver.validation_results")
        evaluated = {row["evaluated"] for row in results if row["input"] == "session_logs"}
    ratios = ", ".join(f"{job} {taken[job] / plain[job]:.1f} x" for job in taken)
    record_property("figure", f"{ratios} the time of an ordinary log; all rows counted, the night refused")
    assert evaluated == {ROWS}


@pytest.mark.fault("a giant", f"one user with half of {ROWS:,} rows")
def test_one_user_with_half_of_all_rows(
    plain: dict[str, float], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with the_lake(tmp_path) as root:
        deliver_log(root, ROWS, sessions_of_20, lambda at: "giant" if at // LENGTH % 2 else f"u{at // LENGTH // 6}")
        taken = seconds_of(JOBS)
        assert count("silver.listening_events") == ROWS
        assert count("training.transitions") == ROWS
        [(plays,)] = ask("SELECT user_plays FROM gold.last_sessions WHERE user_id = 'giant'").rows
    ratios = ", ".join(f"{job} {taken[job] / plain[job]:.1f} x" for job in taken)
    record_property("figure", f"{ratios} the time of an ordinary log; no row lost")
    assert plays == ROWS // LENGTH // 2 * LENGTH
