"""A session cut at midnight, or exported while it ran, ends in silver whole, on the day that completes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from deliveries import plays, rows_of
from lake_content import the_lake
from sessions_in_parts import D1, D2, D3, DAYS, content, doubled, night, part, plays_of, unaccounted, where, with_others

from musicbox_lib.lake import ReadPartition
from musicbox_lib.sessions import known_plays
from musicbox_lib.sessions.last_sessions import last_sessions
from musicbox_lib.sql.ask import ask

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

VALID, SUPERSEDED, REJECTED = "silver.listening_events", "silver.superseded_events", "silver.rejected_events"
ONE_TO_TEN, FIVE = list(range(1, 11)), list(range(1, 6))
OTHER_LABELS = {"skip_1": "True", "skip_2": "True", "skip_3": "True", "not_skipped": "False"}
DELIVERED = {
    D1: [
        *part("cut", 1, 5, 10),
        *part("in-three", 1, 3, 10),
        *part("backwards", 6, 10, 10),
        *part("grown", 1, 5, 5),
        *part("rest-alone", 1, 5, 5),
        *part("ran", 1, 5, 5),
        *part("grew-twice", 1, 5, 5),
        *part("again", 1, 10, 10),
        *part("half-again", 1, 10, 10),
        *part("of-another", 1, 5, 5),
        *part("faulty", 1, 2, 10),
        *part("faulty", 3, 3, 10, hour_of_day="99"),
        *part("faulty", 4, 5, 10),
        *part("never", 1, 5, 10),
        *part("corrected", 1, 5, 10),
    ],
    D2: [
        *part("cut", 6, 10, 10),
        *part("in-three", 4, 6, 10),
        *part("backwards", 1, 5, 10),
        *part("grown", 1, 10, 10),
        *part("rest-alone", 6, 10, 10),
        *part("ran", 1, 4, 10),
        *part("ran", 5, 5, 10, **OTHER_LABELS),
        *part("ran", 6, 10, 10),
        *part("grew-twice", 1, 8, 8),
        *part("half-again", 6, 10, 10),
        *part("of-another", 1, 10, 10, user_id="somebody-else"),
        *part("faulty", 6, 10, 10),
        *part("corrected", 1, 5, 5),
    ],
    D3: [*part("in-three", 7, 10, 10), *part("grew-twice", 1, 10, 10), *part("again", 1, 10, 10)],
}


def as_known(spark: SparkSession, day: Any) -> tuple[list[str], list[str]]:
    """The plays, and where every user stands, as the night of the day knows them."""
    events = known_plays.read(spark, ReadPartition.parse(f"{VALID}/dt=..{day}"))
    active = last_sessions(events, day, 30)
    return sorted(map(str, events.collect())), sorted(map(str, active.collect()))


@pytest.fixture(scope="module")
def told(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Three nights, what each knew at its end, and what silver held of single days meanwhile."""
    with the_lake(tmp_path_factory.mktemp("parts") / "lake") as root:
        known, valid, lost = {}, {}, {}
        for day in DAYS:
            night(root, day, with_others(day, DELIVERED[day]))
            known[day], valid[day] = as_known(spark, day), {s: where(VALID, s) for s in ("cut", "grown", "in-three")}
            lost[day] = (unaccounted(), doubled())
        yield {"known": known, "valid": valid, "lost": lost, "root": root}


def test_a_session_cut_at_midnight_waits_for_its_second_half(told: dict[str, Any]) -> None:
    assert told["valid"][D1]["cut"] == {}
    assert told["valid"][D2]["cut"] == {D2: ONE_TO_TEN}
    rows = plays_of(VALID, "cut")
    assert [row["delivered_on"] for row in rows] == [D1] * 5 + [D2] * 5
    assert [row["track_id"] for row in rows] == [f"t_{position:03d}" for position in ONE_TO_TEN]
    assert {(row["session_date"], row["session_hour"], row["session_length"]) for row in rows} == {(D1, 8, 10)}
    waited = {tuple(row["rules"]) for row in plays_of(REJECTED, "cut")}
    assert waited == {("session_complete",)} and where(REJECTED, "cut") == {D1: FIVE}, (
        "quarantine keeps what night 1 said"
    )


def test_parts_may_come_on_three_days_and_in_any_order(told: dict[str, Any]) -> None:
    assert told["valid"][D2]["in-three"] == {}
    assert where(VALID, "in-three") == {D3: ONE_TO_TEN}
    assert where(REJECTED, "in-three") == {D1: [1, 2, 3], D2: [4, 5, 6]}
    assert where(VALID, "backwards") == {D2: ONE_TO_TEN}
    assert {row["session_hour"] for row in plays_of(VALID, "backwards")} == {8}, "the hour of the first play"


def test_a_session_that_grew_stands_once_as_long_as_it_was_delivered_last(told: dict[str, Any]) -> None:
    assert told["valid"][D1]["grown"] == {D1: FIVE}
    for name in ("grown", "rest-alone", "ran"):
        assert where(VALID, name) == {D2: ONE_TO_TEN}, name
        assert {row["session_length"] for row in plays_of(VALID, name)} == {10}, name
        assert where(SUPERSEDED, name) == {D1: FIVE}, name
        assert {(row["session_length"], row["superseded_on"]) for row in plays_of(SUPERSEDED, name)} == {(5, D2)}, name
    assert [row["delivered_on"] for row in plays_of(VALID, "grown")] == [D2] * 10
    assert [row["delivered_on"] for row in plays_of(VALID, "rest-alone")] == [D1] * 5 + [D2] * 5


def test_the_later_labels_of_the_play_that_ran_count(told: dict[str, Any]) -> None:
    assert plays_of(SUPERSEDED, "ran")[4]["skip_grade"] == 2
    assert plays_of(VALID, "ran")[4]["skip_grade"] == 3


def test_a_session_may_grow_again(told: dict[str, Any]) -> None:
    assert where(VALID, "grew-twice") == {D3: ONE_TO_TEN}
    assert where(SUPERSEDED, "grew-twice") == {D1: FIVE, D2: list(range(1, 9))}
    assert {(row["dt"], row["superseded_on"]) for row in plays_of(SUPERSEDED, "grew-twice")} == {(D1, D2), (D2, D3)}


def test_what_is_no_longer_than_before_or_of_another_user_is_set_aside(told: dict[str, Any]) -> None:
    assert where(VALID, "again") == {D1: ONE_TO_TEN} and where(VALID, "half-again") == {D1: ONE_TO_TEN}
    assert where(VALID, "of-another") == {D1: FIVE}
    for name, day in (("again", D3), ("half-again", D2), ("of-another", D2)):
        rows = plays_of(REJECTED, name)
        assert {(row["dt"], *row["rules"]) for row in rows} == {(day, "first_delivery")}, name


def test_a_faulty_play_costs_its_own_row_only(told: dict[str, Any]) -> None:
    assert where(VALID, "faulty") == {D2: [1, 2, 4, 5, 6, 7, 8, 9, 10]}
    rows = plays_of(REJECTED, "faulty")
    assert {tuple(row["rules"]) for row in rows if row["session_position"] == 3} == {
        ("hour_of_day_range", "session_complete")
    }
    assert where(REJECTED, "faulty") == {D1: FIVE}, "a day's quarantine holds rows of its own delivery only"


def test_a_waiting_part_does_not_hold_up_a_delivery_that_is_whole(told: dict[str, Any]) -> None:
    assert where(VALID, "corrected") == {D2: FIVE} and where(SUPERSEDED, "corrected") == {}
    assert where(VALID, "never") == {} and where(REJECTED, "never") == {D1: FIVE}


def test_every_delivered_row_is_valid_superseded_or_rejected_on_its_day(told: dict[str, Any]) -> None:
    assert told["lost"] == {day: ({}, []) for day in DAYS}


def test_an_earlier_day_gives_what_its_night_knew(spark: SparkSession, told: dict[str, Any]) -> None:
    assert {day: as_known(spark, day) for day in DAYS} == told["known"]


def test_one_day_read_by_itself_has_what_its_night_took_in(spark: SparkSession, told: dict[str, Any]) -> None:
    events = known_plays.read(spark, ReadPartition.parse(f"{VALID}/dt={D2}"))
    known = Counter(events.where("session_id NOT LIKE 'other%'").select("session_id").toPandas()["session_id"])
    assert known == {"cut": 10, "backwards": 10, "grown": 10, "rest-alone": 10, "ran": 10, "grew-twice": 8} | {
        "faulty": 9,
        "corrected": 5,
    }


def test_the_summary_counts_what_still_waits(told: dict[str, Any]) -> None:
    rows = {(row[0], row[2]): row[3] for row in ask("SELECT * FROM quarantine_summary").rows}
    # `never` alone, and the faulty play: `corrected` came again, the others were completed.
    assert rows == {
        (D1, "session_complete"): 6,
        (D1, "hour_of_day_range"): 1,
        (D2, "first_delivery"): 15,
        (D3, "first_delivery"): 10,
    }


def test_any_night_run_again_changes_nothing(spark: SparkSession, told: dict[str, Any]) -> None:
    before = content()
    for day in (D1, D2):
        night(told["root"], day)
        assert content() == before, day
        assert (unaccounted(), doubled()) == ({}, [])


def test_a_longer_delivery_that_is_withdrawn_lets_the_shorter_one_back(
    spark: SparkSession, told: dict[str, Any]
) -> None:
    kept = [row for row in DELIVERED[D2] if row["session_id"] != "grown"]
    night(told["root"], D2, with_others(D2, kept))
    assert where(VALID, "grown") == {D1: FIVE} and where(SUPERSEDED, "grown") == {}
    assert (unaccounted(), doubled()) == ({}, [])
    night(told["root"], D2, with_others(D2, DELIVERED[D2]))
    assert where(VALID, "grown") == {D2: ONE_TO_TEN} and where(SUPERSEDED, "grown") == {D1: FIVE}
    assert len(plays("grown")) == 10 and len(rows_of(SUPERSEDED)) == 28
