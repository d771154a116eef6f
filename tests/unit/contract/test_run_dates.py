"""The table of ways to start a run, and the day each is for."""

from __future__ import annotations

import datetime as dt

import pytest

from musicbox_lib.contract.days import days_between, resolve
from musicbox_lib.errors import UsageError

NOW = dt.datetime(2026, 11, 6, 7, 30, tzinfo=dt.UTC)


def at(day: int, hour: int = 0) -> dt.datetime:
    return dt.datetime(2026, 11, day, hour, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("how", "param", "logical_date", "run_after", "day"),
    [
        ("the schedule: the interval's start", None, at(5), at(6), 5),
        ("trigger --conf run_date", "2026-11-03", None, at(6, 7), 3),
        ("trigger -l and --conf: the parameter wins", "2026-11-03", at(5), at(6, 7), 3),
        ("trigger -l", None, at(4), at(6, 7), 4),
        ("trigger with nothing: yesterday", None, None, at(6, 7), 5),
        ("trigger with nothing, a minute past midnight", None, None, at(6), 5),
        ("an empty field of the form is no date", "", None, at(6, 7), 5),
        ("dags test: its logical date is now", None, at(6, 7), at(6, 7), 6),
        (
            "a logical date in another zone counts in UTC",
            None,
            at(5, 23).astimezone(dt.timezone(dt.timedelta(hours=9))),
            at(6),
            5,
        ),
        ("today has begun, so it is allowed", "2026-11-06", None, at(6, 7), 6),
    ],
)
def test_resolve(
    how: str, param: str | None, logical_date: dt.datetime | None, run_after: dt.datetime, day: int
) -> None:
    assert resolve(param, logical_date, run_after, NOW) == dt.date(2026, 11, day), how


@pytest.mark.parametrize(
    ("param", "sentence"),
    [
        ("2026-11-07", "in the future"),
        ("2026-11-31", "is not a day"),
        ("05.11.2026", "is not a day"),
        ("20261105", "is not a day"),
        ("yesterday", "is not a day"),
        ("2026-11-05; rm -rf /", "is not a day"),
    ],
)
def test_refused(param: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        resolve(param, None, at(6), NOW)


def test_a_schedule_that_runs_ahead_of_the_clock_is_refused() -> None:
    with pytest.raises(UsageError, match="2026-11-08 is in the future"):
        resolve(None, at(8), at(9), NOW)


def test_days_between() -> None:
    assert days_between("2026-10-30", "2026-11-02") == [
        dt.date(2026, 10, 30), dt.date(2026, 10, 31), dt.date(2026, 11, 1), dt.date(2026, 11, 2)
    ]  # fmt: skip
    assert days_between("2026-11-05", "2026-11-05") == [dt.date(2026, 11, 5)]
    with pytest.raises(UsageError, match="swap them"):
        days_between("2026-11-05", "2026-11-04")
    with pytest.raises(UsageError, match="'x' is not a day"):
        days_between("2026-11-05", "x")
