"""Two processes at one table at once: on one date, and on two dates.

Both run session_events (Spark's writer), then listening_events (Spark's and delta-rs's), each with its own JVM: this
process and another one. Every round begins on an empty lake, so that even the tables' creation is raced for.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import deltalake
import pytest
from deliveries import DAY, as_csv, deliver, plays, rows_of, words
from lake_content import Content, table_content, the_lake
from last_day import run_here
from processes import OtherProcess

from musicbox_lib import lake
from musicbox_lib.contract.tables import table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROUNDS = 10
BOTH = ("session_events", "listening_events")
DAYS = (DAY - dt.timedelta(days=1), DAY)
WRITTEN = ("bronze.session_events", "silver.listening_events", "silver.rejected_events", "silver.validation_results")


@dataclass
class Found:
    """What the rounds showed."""

    same: int = 0
    lost: int = 0
    doubled: int = 0


@pytest.fixture(scope="module")
def other(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtherProcess]:
    process = OtherProcess("spark", tmp_path_factory.mktemp("other"))
    yield process
    process.kill()


def delivered(root: Path) -> None:
    for day in DAYS:
        good = [row for number in range(20) for row in plays(f"s{number}-{day}", day=day)]
        wrong = [row | {"hour_of_day": "99"} for row in plays(f"wrong-{day}", day=day)]
        deliver(root, as_csv([*good, *wrong]), day=day)


def unlike_the_ledger(name: str) -> int:
    """Commits of the table that the ledger does not have, or has twice, and lines of the ledger without a commit."""
    history = deltalake.DeltaTable(lake.path_of(name)).history()
    committed = Counter(commit["version"] for commit in history if commit["operation"] == "WRITE")
    entered = Counter(row["version"] for row in rows_of(lake.LEDGER) if row["table"] == name)
    return sum((committed - entered).values()) + sum((entered - committed).values())


def doubles(name: str) -> int:
    """Rows beyond one for each of the grain's values."""
    grain = table(name).grain
    counted = Counter(tuple(row[column] for column in ("dt", *grain)) for row in rows_of(name))
    return counted.total() - len(counted)


def compete(
    other: OtherProcess, folder: Path, rounds: int, days: tuple[dt.date, dt.date], jobs: tuple[str, ...] = BOTH
) -> Found:
    """So many rounds: the other process takes the first day, this one the second."""
    written = WRITTEN[: 1 if jobs == BOTH[:1] else None]
    with the_lake(folder / "alone") as root:
        delivered(root)
        for day in sorted(set(days)):
            for job in jobs:
                run_here(job, words(job, day))
        alone: Content = table_content()
    found = Found()
    for number in range(rounds):
        with the_lake(folder / f"round-{number}") as root:
            delivered(root)
            for job in jobs:
                other.ask(job, words(job, days[0]), root)
                run_here(job, words(job, days[1]))
                answer = other.answer()
                assert answer is not None and "refused" not in answer, answer
            found.same += table_content() == alone
            found.lost += sum(unlike_the_ledger(name) for name in written)
            found.doubled += sum(doubles(name) for name in written)
    return found


def hold(found: Found, rounds: int, record: Callable[[str, object], None]) -> None:
    figure = f"{found.lost} lost commits, {found.doubled} duplicates, {found.same}/{rounds} the undisturbed content"
    record("figure", figure)
    assert found == Found(same=rounds)


@pytest.mark.fault("two processes", "one round on two dates, session_events")
def test_one_round_on_two_dates(
    other: OtherProcess, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    hold(compete(other, tmp_path, 1, DAYS, BOTH[:1]), 1, record_property)


@pytest.mark.slow
@pytest.mark.parametrize("days", [(DAY, DAY), DAYS], ids=["one date", "two dates"])
@pytest.mark.fault("two processes", "")
def test_ten_rounds(
    other: OtherProcess,
    tmp_path: Path,
    days: tuple[dt.date, dt.date],
    record_property: Callable[[str, object], None],
) -> None:
    dates = "one date" if days[0] == days[1] else "two dates"
    record_property("done", f"{ROUNDS} rounds on {dates}, session_events and listening_events")
    hold(compete(other, tmp_path, ROUNDS, days), ROUNDS, record_property)
