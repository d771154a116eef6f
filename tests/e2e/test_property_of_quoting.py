"""Whatever a CSV writer makes of any text comes back equal, or is set aside with its reason; nothing is changed."""

from __future__ import annotations

import csv
import io
import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pandas as pd
import polars as pl
import pytest
from deliveries import DAY, LOG, deliver, play, rows_of, run
from typer.testing import CliRunner

from musicbox_lib.cli.app import app
from musicbox_lib.contract.tables import table
from musicbox_lib.landing import records
from musicbox_lib.privacy.forget import look
from musicbox_lib.privacy.landed import logs

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Rows = list[list[str]]
Writer = Callable[[Path, Sequence[str], Rows], None]
TRACKS = table("landing.tracks").column_names
PIECES = (
    *(
        '"',
        '""',
        "'",
        "\\",
        '\\"',
        ",",
        ";",
        "\n",
        "\r\n",
        "\r",
        "\t",
        " ",
        "  ",
        "NA",
        "null",
        "NaN",
        "None",
        "é",
        "日本",
        "🎵",
    ),
    *("a", "The", "Mix", "7", "12", "(", ")", "#", "--", "<b>", "[1]", "%s", "\u00a0", "\u2028", "=1+1", "True", "0.5"),
)
# What may stand in an id that the rules of silver let pass.
ID_PIECES = ('"', '""', "'", "\\", '\\"', ",", ";", "a", "Z", "é", "日本", "#", "[", "]", "<", "%", "=", "nan", "null")


def by_csv(quoting: int, ending: str) -> Writer:
    def write(place: Path, header: Sequence[str], rows: Rows) -> None:
        with place.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, quoting=quoting, lineterminator=ending).writerows([header, *rows])  # type: ignore[arg-type]

    return write


def by_pandas(place: Path, header: Sequence[str], rows: Rows) -> None:
    pd.DataFrame(rows, columns=list(header)).to_csv(place, index=False)


def by_duckdb(place: Path, header: Sequence[str], rows: Rows) -> None:
    frame = pl.DataFrame(rows, schema=dict.fromkeys(header, pl.String), orient="row").to_arrow()
    with duckdb.connect() as database:
        database.register("frame", frame)
        database.execute(f"COPY frame TO '{place}' (HEADER)")


def by_polars(place: Path, header: Sequence[str], rows: Rows) -> None:
    pl.DataFrame(rows, schema=dict.fromkeys(header, pl.String), orient="row").write_csv(place)


def by_r(escape: str) -> Writer:
    """As R's write.csv (a quote is doubled) or write.table (a backslash before it): every text in quotes."""

    def write(place: Path, header: Sequence[str], rows: Rows) -> None:
        lines = [
            ",".join('"' + value.replace('"', f'{escape}"') + '"' for value in row) for row in [list(header), *rows]
        ]
        place.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")

    return write


WRITERS: dict[str, Writer] = {
    "csv": by_csv(csv.QUOTE_MINIMAL, "\n"),
    "csv_crlf": by_csv(csv.QUOTE_MINIMAL, "\r\n"),
    "csv_all": by_csv(csv.QUOTE_ALL, "\n"),
    "csv_all_crlf": by_csv(csv.QUOTE_ALL, "\r\n"),
    "csv_nonnumeric": by_csv(csv.QUOTE_NONNUMERIC, "\n"),
    "pandas": by_pandas,
    "duckdb": by_duckdb,
    "polars": by_polars,
    "r_write_csv": by_r('"'),
    "r_write_table": by_r("\\"),
}


def text(draw: random.Random, pieces: Sequence[str], most: int = 6) -> str:
    return "".join(draw.choice(pieces) for _ in range(draw.randint(1, most)))


def deliver_random_rows(root: Path, count: int, seed: int) -> tuple[dict[str, tuple[str, str]], dict[str, str]]:
    """Half of the rows are tracks (expected: title and artist by track), half plays (user by session)."""
    draw = random.Random(seed)
    audio = ["200.5", "1999", *["0.5"] * 9, "7", "0.5", "-6.0", "0.5", "1", *["0.5"] * 3, "4", *["0.5"] * 9]
    titles, users = {}, {}
    folder = root / "landing" / "tracks"
    folder.mkdir(parents=True)
    each = count // 2 // len(WRITERS)
    for at, (name, write) in enumerate(WRITERS.items()):
        tracks, plays = [], []
        for number in range(each):
            track, session = f"t{at}_{number}", f"s{at}_{number}"
            titles[track] = (text(draw, PIECES), text(draw, PIECES, 3))
            tracks.append([track, *audio[:29], *titles[track], draw.choice(["pop", "R&B, soul"]), ""])
            users[session] = f"u{at}-{number}-" + text(draw, ID_PIECES)
            row = play(session, 1, 1) | {"user_id": users[session]}
            plays.append([row[column] for column in LOG])
        write(folder / f"{name}.dt={DAY}.csv", TRACKS, tracks)
        write(deliver(root, b"", f"{name}.csv"), LOG, plays)
    return titles, users


def night_of_random_rows(root: Path, count: int, seed: int, note: Callable[[str, object], None]) -> None:
    titles, users = deliver_random_rows(root, count, seed)
    run("session_events")
    run("listening_events")
    read: dict[str, tuple[str, ...]] = {
        row["track_id"]: (row["title"] or "", row["artist"] or "") for row in rows_of("silver.known_tracks")
    }
    read |= {row["session_id"]: (row["user_id"],) for row in rows_of("silver.listening_events")}
    expected: dict[str, tuple[str, ...]] = {**titles, **{session: (user,) for session, user in users.items()}}
    equal = {key for key, value in read.items() if expected.get(key) == value}
    changed = {key: (value, expected.get(key)) for key, value in read.items() if key not in equal}
    rejected = [*rows_of("silver.rejected_tracks"), *rows_of("silver.rejected_events")]
    aside = Counter((row["file"].partition(".")[0], *row["rules"]) for row in rejected)
    lost = [key for key in expected.keys() - read.keys() if not any(key in row["raw_line"] for row in rejected)]
    note(
        "figure",
        f"{len(equal)} equal, {len(expected) - len(read)} set aside, {len(changed)} changed of {len(expected)}",
    )
    assert not changed
    assert not lost
    assert len(equal) + (len(expected) - len(read)) == len(expected)
    # What RFC 4180 says is written by all but one, whose quotes nobody can tell from the ends of values.
    assert {file for file, *_ in aside} <= {"r_write_table"}
    # A backslash that ends a value may close its quotes at a comma: such a row has other columns instead.
    assert all({"closed_quotes", "parsed"} & set(rules) for _, *rules in aside), aside
    sql_prints_what_was_delivered(titles, read)
    forgetting_finds_every_line(users, read, seed)


def sql_prints_what_was_delivered(titles: dict[str, tuple[str, str]], read: dict[str, tuple[str, ...]]) -> None:
    query = "SELECT track_id, title, artist FROM silver.known_tracks ORDER BY track_id"
    expected = [[track, *titles[track]] for track in sorted(read.keys() & titles.keys())]
    asked = CliRunner().invoke(app, ["sql", query, "--format", "csv"])
    assert asked.exit_code == 0
    # Its bytes: CliRunner's text has no carriage return before a line feed any more.
    lines = io.TextIOWrapper(io.BytesIO(asked.stdout_bytes), "utf-8", newline="\n")
    assert [records.values_of(record.text) for record in records.records_of(lines, 3)][1:] == expected
    answer = json.loads(CliRunner().invoke(app, ["sql", query, "--format", "json"]).stdout)
    assert [[row["track_id"], row["title"], row["artist"]] for row in answer] == expected


def forgetting_finds_every_line(users: dict[str, str], read: dict[str, tuple[str, ...]], seed: int) -> None:
    draw = random.Random(seed)
    delivered = {log.landed.place.name: log for log in logs()}
    assert set(delivered) == {f"{name}.csv" for name in WRITERS}
    for at, name in enumerate(WRITERS):
        mine = sorted(session for session in users if session.startswith(f"s{at}_") and session in read)
        session = draw.choice([session for session in mine if '"' in users[session]] or mine)
        found = look(users[session])
        lines = {log.landed.place.name: count for log, count in found.logs.items()}
        assert lines == {f"{name}.csv": 1}, (users[session], lines)
        assert set(found.tables) == {"bronze.session_events", "silver.listening_events"}


def test_what_any_writer_writes_comes_back_equal_or_is_set_aside(
    spark: SparkSession, lake_root: Path, record_property: Callable[[str, object], None]
) -> None:
    night_of_random_rows(lake_root, 1_000, 5, record_property)


@pytest.mark.slow
def test_ten_thousand_rows_come_back_equal_or_are_set_aside(
    spark: SparkSession, lake_root: Path, record_property: Callable[[str, object], None]
) -> None:
    night_of_random_rows(lake_root, 10_000, 6, record_property)
