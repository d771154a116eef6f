"""Sessions cut at random over three days: in any order of nights, silver has what the uncut log gives."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from deliveries import play, rows_of
from lake_content import the_lake
from sessions_in_parts import D1, DAYS, content, doubled, night, unaccounted, with_others

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Log = dict[str, str]
# The second half of a lake's life: nights in the order of the days, the last one first, the first one last.
ORDERS = ((0, 1, 2), (2, 0, 1), (1, 2, 0))
OF_THE_NIGHTS = ("dt", "delivered_on")


def cut(seed: int, sessions: int = 15) -> dict[int, list[Log]]:
    """Number of the day -> rows. Every third session is exported while it runs (each part names the plays so far), the
    parts of the others name the whole length and come in any order; some parts repeat rows of an earlier one."""
    rng, days = random.Random(seed), {at: list[Log]() for at in range(3)}
    for number in range(sessions):
        length = rng.randint(10, 20)
        first, second = sorted((rng.randint(0, length - 1), rng.randint(1, length)))
        bounds = [(0, first), (first, second), (second, length)]
        grows = number % 3 == 0
        order = [0, 1, 2] if grows else rng.sample(range(3), 3)
        repeats = rng.random() < 0.3
        for at, piece in enumerate(order):
            start, end = bounds[piece]
            start = 0 if grows and repeats else start
            told = end if grows else length
            days[at] += [play(f"s{number:02d}", place, told, D1) for place in range(start + 1, end + 1)]
    return days


def plays_heard() -> list[list[tuple[str, Any]]]:
    """Silver's plays of the cut sessions, without the days on which they came."""
    rows = [row for row in rows_of("silver.listening_events") if row["session_id"].startswith("s")]
    rows.sort(key=lambda row: (row["session_id"], row["session_position"]))
    return [[(name, value) for name, value in row.items() if name not in OF_THE_NIGHTS] for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.fault("sessions cut at random, days in three orders", "parts, growing sessions, repeated rows")
def test_cut_sessions_end_as_the_uncut_log_gives_them(
    spark: SparkSession, tmp_path: Path, seed: int, record_property: Callable[[str, object], None]
) -> None:
    days = cut(seed)
    whole: dict[tuple[str, str], Log] = {}
    for at in range(3):
        whole |= {(row["session_id"], row["session_position"]): row for row in days[at]}
    lengths: dict[str, int] = {}
    for session, place in whole:
        lengths[session] = max(lengths.get(session, 0), int(place))
    uncut = [row | {"session_length": str(lengths[row["session_id"]])} for row in whole.values()]
    with the_lake(tmp_path / "uncut") as root:
        night(root, D1, with_others(D1, uncut, 5))
        expected = plays_heard()
    assert len(expected) == len(uncut)
    lakes = []
    for order in ORDERS:
        with the_lake(tmp_path / "-".join(map(str, order))) as root:
            for at in order:
                night(root, DAYS[at], with_others(DAYS[at], days[at], 60))
                assert doubled() == []
            assert (plays_heard() == expected, unaccounted()) == (True, {}), order
            lakes.append(content())
    told = [{name: rows for name, rows in one.items() if name != "silver.validation_results"} for one in lakes]
    record_property("figure", f"{sum(one == told[0] for one in told)}/{len(ORDERS)} orders give the same tables")
    assert told == [told[0]] * len(ORDERS)
