"""Each column is read in the spellings that its sources use; what fits none is set aside, never changed."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from deliveries import DAY, LOG, as_csv, deliver, play, rows_of, run

from musicbox_lib.contract.tables import table
from musicbox_lib.landing import spellings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LOGS, TRACKS = table("landing.session_logs"), table("landing.tracks")
SPELLED: list[tuple[str, str, str, Any]] = [
    # the log's column, as delivered, bronze's column, as read
    ("session_length", "10.0", "session_length", 10),
    ("session_length", "+10", "session_length", 10),
    ("hour_of_day", "8.", "hour_of_day", 8),
    ("context_switch", "True", "context_switch", 1),
    ("context_switch", "false", "context_switch", 0),
    ("context_switch", "1.0", "context_switch", 1),
    ("skip_2", "TRUE", "skip_2", True),
    ("skip_2", "t", "skip_2", True),
    ("skip_2", "F", "skip_2", False),
    ("skip_2", "1", "skip_2", True),
    ("skip_2", "0.0", "skip_2", False),
    ("skip_2", "NaN", "skip_2", None),
    ("skip_2", "", "skip_2", None),
    ("premium", "1", "premium", True),
    ("date", "2018-7-5", "date", dt.date(2018, 7, 5)),
    ("date", "2018-07-05 00:00:00", "date", dt.date(2018, 7, 5)),
    ("propensity", "1e-3", "propensity", 0.001),
    *[
        ("propensity", word, "propensity", None)
        for word in ("", "NaN", "nan", "NA", "N/A", "null", "None", "<NA>", r"\N")
    ],
    *[("user_id", word, "user_id", None) for word in ("", "nan", "NULL", "None", "NA", "n/a", "  ", r"\N", "<NA>")],
    *[("user_id", word, "user_id", None) for word in ("null ", "None\t", " <NA> ", "     ")],
    ("user_id", "nana ", "user_id", "nana "),
    ("user_id", "17.0", "user_id", "17.0"),
]
MISFITS = [
    ("session_length", "10.5"),
    ("session_length", "ten"),
    ("session_length", "NaN"),
    ("session_length", "99999999999"),
    ("hour_of_day", "None"),
    ("context_switch", "major"),
    ("skip_2", "maybe"),
    ("premium", "NA"),
    ("date", "2018-07-05 13:45:00"),
    ("date", "05.07.2018"),
    ("date", "2018-02-30"),
    ("date", "null"),
    ("propensity", "0,5"),
    ("propensity", "half"),
]


def test_every_spelling_of_a_log_is_read_and_every_misfit_is_not(spark: SparkSession, lake_root: Path) -> None:
    rows = [play(f"s{at}", 1) | {name: value} for at, (name, value, _, _) in enumerate(SPELLED)]
    quoted = [{key: f'"{value}"' if "," in value else value for key, value in row.items()} for row in rows]
    bad = [
        play(f"b{at}", 1) | {name: f'"{value}"' if "," in value else value} for at, (name, value) in enumerate(MISFITS)
    ]
    swapped = [*LOG[:-2], "propensity", "user_id"]
    deliver(lake_root, as_csv([*quoted, *bad]))
    deliver(lake_root, as_csv([play("other", 1) | {"user_id": "ann", "propensity": "0.5"}], swapped), "swapped.csv")
    run("session_events")
    read = {row["session_id"]: row for row in rows_of("bronze.session_events")}
    found = [read[f"s{at}"][name] for at, (_, _, name, _) in enumerate(SPELLED)]
    assert found == [value for *_, value in SPELLED]
    assert [read[f"s{at}"]["is_parsed"] for at in range(len(SPELLED))] == [True] * len(SPELLED)
    assert [read[f"b{at}"]["is_parsed"] for at in range(len(MISFITS))] == [False] * len(MISFITS)
    assert (read["other"]["user_id"], read["other"]["propensity"]) == ("ann", 0.5), "the optional columns, in any order"


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, value, _, _ in SPELLED])
def test_land_finds_nothing_odd_in_a_spelling(name: str, value: str) -> None:
    assert spellings.fits(value, next(column for column in LOGS.columns if column.name == name))


@pytest.mark.parametrize(("name", "value"), MISFITS)
def test_land_finds_every_misfit(name: str, value: str) -> None:
    assert not spellings.fits(value, next(column for column in LOGS.columns if column.name == name))


def test_a_track_keeps_its_title_whatever_stands_for_a_missing_value(spark: SparkSession, lake_root: Path) -> None:
    values = ["200.5", "1999", *["0.5"] * 9, "7", "0.5", "-6.0", "0.5", "1", *["0.5"] * 3, "4", *["0.5"] * 9]
    names = [*TRACKS.column_names[:30], "artist", "title", "genre", "preview_url"]
    rows = []
    for at, word in enumerate(("NaN", "nan", "NA", "N/A", "null", "NULL", "None", "<NA>", r"\N", "")):
        audio = list(values)
        audio[1] = audio[5] = audio[11] = word
        audio[15] = ("major", "minor", "1.0", "Major", "0", "TRUE", "False", "1", " major ", "0.0")[at]
        rows.append(",".join([f"t{at}", *audio[:29], f"{word} band", word, word, word]))
    place = lake_root / "landing" / "tracks" / f"t.dt={DAY}.csv"
    place.parent.mkdir(parents=True)
    place.write_bytes(as_csv(rows, names))
    deliver(lake_root, as_csv([play("s", 1)]))
    run("session_events")
    read = sorted(rows_of("bronze.tracks"), key=lambda row: row["track_id"])
    assert [row["is_parsed"] for row in read] == [True] * 10
    assert [row["title"] for row in read] == ["NaN", "nan", "NA", "N/A", "null", "NULL", "None", "<NA>", r"\N", None]
    assert read[3]["artist"] == "N/A band"
    assert [row["mode"] for row in read] == [1, 0, 1, 1, 0] * 2
    assert {(row["release_year"], row["bounciness"], row["key"], row["genre"]) for row in read} == {(None,) * 4}
    assert {row["duration"] for row in read} == {200.5}
