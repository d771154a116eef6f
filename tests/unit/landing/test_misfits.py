"""Which values of a line do not fit their columns, and what is said of them."""

from __future__ import annotations

import pytest
from deliveries import LOG, OFFICIAL, as_line, play

from musicbox_lib.contract.tables import table
from musicbox_lib.landing.misfits import LINE, misfits

LANDED = table("landing.session_logs")
TRACKS = table("landing.tracks")


def of(**changed: str) -> list[tuple[str, ...]]:
    return [tuple(found) for found in misfits(as_line(play("s", 1) | changed), LOG, LANDED)]


def test_a_good_line_has_none() -> None:
    assert of() == []
    assert of(skip_1="", skip_2="", skip_3="", not_skipped="", user_id="", propensity="") == []


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("session_position", "nine", "is no whole number"),
        ("session_position", "1_0", "is no whole number"),
        ("session_length", "3000000000", "is no whole number"),
        ("hour_of_day", "7:30", "is no whole number"),
        ("propensity", "a quarter", "is no number"),
        ("skip_2", "maybe", "is neither true nor false"),
        ("date", "05/11/2026", "is no day as YYYY-MM-DD"),
        ("date", "2026-11-31", "is no day as YYYY-MM-DD"),
    ],
)
def test_a_value_of_another_type_is_named_with_its_column(column: str, value: str, why: str) -> None:
    assert of(**{column: value}) == [(column, value, why)]


def test_every_column_at_fault_is_named_in_the_order_of_the_file() -> None:
    assert of(hour_of_day="late", session_position="nine") == [
        ("session_position", "nine", "is no whole number"),
        ("hour_of_day", "late", "is no whole number"),
    ]


def test_a_line_of_too_many_or_too_few_values_is_one_misfit_of_the_line() -> None:
    line = as_line(play("s", 1), OFFICIAL)
    assert misfits(line + ",a,b", OFFICIAL, LANDED) == [
        (LINE, line + ",a,b", "has 23 values where the header has 21 columns")
    ]
    assert misfits("s,1", OFFICIAL, LANDED)[0].why == "has 2 values where the header has 21 columns"


def test_a_quote_that_is_not_closed_is_the_line_s() -> None:
    line = as_line(play("s", 1) | {"track_id_clean": '"t'})
    assert misfits(line, LOG, LANDED) == [(LINE, line, "opens a quote that it does not close")]


def test_quotes_hold_commas_quotes_and_line_breaks() -> None:
    header = (*TRACKS.column_names[:30], "title", "artist")
    values = ["t_1", *["0.5"] * 29, '"Rain, ""and"" Sun"', '"two\nlines"']
    kinds = {column.name: column.type for column in TRACKS.columns}
    values = ["1" if kinds[name] == "int" else value for name, value in zip(header, values, strict=True)]
    assert misfits(",".join(values), header, TRACKS) == []
    values[header.index("tempo")] = "fast"
    assert misfits(",".join(values), header, TRACKS) == [("tempo", "fast", "is no number")]
