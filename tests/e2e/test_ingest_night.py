"""The first two jobs of a night: what they take in, what a later night takes in again, when they stop."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from deliveries import DAY, OFFICIAL, as_csv, deliver, play, plays, refused, rows_of, run, versions

from musicbox_lib.landing.land import land
from musicbox_lib.settings import settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAYS = [DAY - dt.timedelta(days=back) for back in (3, 2, 1, 0)]


def night(day: dt.date) -> None:
    run("session_events", day)
    run("listening_events", day)


def log_of(day: dt.date, *sessions: str) -> bytes:
    return as_csv([row for session in sessions for row in plays(session, day=day)])


def plays_by_day() -> dict[dt.date, int]:
    return dict(Counter(row["dt"] for row in rows_of("silver.listening_events")))


def all_rows() -> dict[str, list[str]]:
    names = ["bronze.session_events", "silver.listening_events", "silver.rejected_events", "silver.validation_results"]
    return {name: sorted(str(sorted(row.items())) for row in rows_of(name)) for name in names}


def test_a_night_takes_in_what_no_earlier_night_knew(spark: SparkSession, lake_root: Path) -> None:
    for day in DAYS:
        deliver(lake_root, log_of(day, f"a-{day}", f"b-{day}"), day=day)
    night(DAYS[2])
    assert plays_by_day() == dict.fromkeys(DAYS[:3], 20), "two days of catch-up, and nothing delivered later"
    # A file added to an old day, and a session delivered again on a later day.
    deliver(lake_root, log_of(DAYS[0], "late"), "more.csv", DAYS[0])
    deliver(lake_root, log_of(DAYS[3], f"a-{DAYS[1]}"), "again.csv", DAYS[3])
    first_of_day_1 = [row for row in rows_of("ops.run_ledger") if DAYS[1] in (row["days"] or [])]
    night(DAYS[3])
    assert plays_by_day() == {DAYS[0]: 30, DAYS[1]: 20, DAYS[2]: 20, DAYS[3]: 20}
    assert Counter(tuple(row["rules"]) for row in rows_of("silver.rejected_events")) == {("first_delivery",): 10}
    again = [row for row in rows_of("ops.run_ledger") if DAYS[1] in (row["days"] or [])]
    assert again == first_of_day_1, "a day that did not change is not written again"
    before = all_rows()
    night(DAYS[3])
    assert all_rows() == before


def test_users_come_from_the_log_then_the_file_then_the_session(spark: SparkSession, lake_root: Path) -> None:
    whole = as_csv([row for name in ("named", "alone", "two") for row in plays(name, 4)], OFFICIAL)
    deliver(lake_root, whole, "no_users.csv")
    deliver(lake_root, as_csv([*plays("told", 4), *plays("good", 20), *plays("fine", 20), *plays("well", 20)]))
    users = lake_root / "landing" / "session_users" / "users.csv"
    users.parent.mkdir(parents=True)
    users.write_text("session_id,user_id\nnamed,ann\ntold,not-this\ntwo,bob\ntwo,carl\nfar,dora\n")
    night(DAY)
    events = rows_of("silver.listening_events")
    assert {row["session_id"]: row["user_id"] for row in events} == {
        "named": "ann",
        "alone": "alone",
        "told": "u-told",
        "good": "u-good",
        "fine": "u-fine",
        "well": "u-well",
    }
    assert {(row["session_id"], *row["rules"]) for row in rows_of("silver.rejected_events")} == {("two", "one_user")}
    named = sorted((row for row in events if row["session_id"] == "named"), key=lambda row: row["session_position"])
    assert [row["skip_grade"] for row in named] == [1, 2, 0, 1]
    assert {(row["session_date"], row["session_hour"], row["propensity"]) for row in named} == {(DAY, 8, None)}


def test_too_many_rejected_rows_stop_the_night(
    spark: SparkSession, lake_root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bad = [play(f"s{number}", 1, 1) | {"hour_of_day": "99"} for number in range(3)]
    deliver(lake_root, as_csv([*plays("good"), *bad]))
    run("session_events")
    before = versions()
    code, sentence = refused("listening_events", monkeypatch, caplog)
    assert code == 3
    assert f"rejected_share: 3 of 13 rows of session_logs on {DAY} are rejected (at most 20 % may be)" in sentence
    assert "hour_of_day_range 3 rows, column hour_of_day, e.g. log.csv.gz line 12: hour_of_day '99' is not" in sentence
    after = versions()
    for name in ("silver.validation_results", "silver.validation_examples"):
        assert after.pop(name) > before.pop(name)
    assert after.pop("ops.run_ledger") > before.pop("ops.run_ledger")
    assert after == before
    decisions = {row["rule"]: row["decision"] for row in rows_of("silver.validation_results")}
    assert (decisions["rejected_share"], decisions["hour_of_day_range"]) == ("stop", "quarantine")
    assert {
        decision for rule, decision in decisions.items() if rule not in {"rejected_share", "hour_of_day_range"}
    } == {"go_on"}


@pytest.mark.mssd
def test_the_real_log_comes_through(spark: SparkSession, lake_root: Path) -> None:
    day = dt.date(2018, 7, 15)
    land(day, settings().mssd_log, None)
    night(day)
    events, rejected = rows_of("silver.listening_events"), rows_of("silver.rejected_events")
    assert len(events) + len(rejected) == 67_185
    # The one row of the log that says skip_2 without skip_3.
    assert [(row["session_position"], row["rules"]) for row in rejected] == [(6, ["labels_agree"])]
    assert sum(row["skip_grade"] is None for row in events) == 1_258
    assert sum(row["skip_2"] for row in events) == 28_395 + 6_453
    assert all(row["user_id"] == row["session_id"] and row["propensity"] is None for row in events)
    results: dict[str, dict[str, Any]] = {row["rule"]: row for row in rows_of("silver.validation_results")}
    told = {name: (row["unexpected"], row["decision"]) for name, row in results.items() if row["unexpected"]}
    assert told == {
        "labels_agree": (1, "quarantine"),
        "date_not_late": (38, "warn"),
        "labelled": (1_258, "go_on"),
    }
    measured = {name: round(row["value"], 4) for name, row in results.items() if row["value"] is not None}
    assert measured == {
        "minimum_rows": 67_185,
        "rejected_share": 0.0,
        "rows_as_usual": 67_185,
        "skip_rate_as_usual": 0.5286,
        "unlabelled_as_usual": 0.0187,
        "propensity_as_usual": 1.0,
        "users_as_usual": 1.0,
        "fresh_as_usual": 0.9942,
    }, "no night before, so nothing is usual yet"
    assert all(
        row["success"] and row["expected_lo"] is None
        for row in results.values()
        if row["rule"] in measured and row["rule"].endswith("usual")
    )
