"""A record of a delivered CSV: the same lines and the same verdict in Python and in Spark, whatever stands in them."""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from musicbox_lib.contract.tables import table
from musicbox_lib.landing import records
from musicbox_lib.landing.lines import read_counted_rows
from musicbox_lib.landing.listing import user_files

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

WORDS = ("a", 'say "hi"', '"', '""', "\\", 'x\\"', ",", "two\nlines", "two\r\nlines", "a\rb", " ", "", "\t", "é", "NA")


def split(text: str) -> list[str]:
    cut = "\r" if records.ending_of(text) == "\r" else "\n"
    return list(io.TextIOWrapper(io.BytesIO(text.encode()), "utf-8", newline=cut))


def shape(text: str, width: int) -> list[tuple[int, str]]:
    return [(record.number, record.text) for record in records.records_of(split(text), width) if record.number > 1]


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_what_the_csv_module_writes_is_read_back_equal(quoting: int, ending: str) -> None:
    draw = random.Random(7)
    rows = [[draw.choice(WORDS) for _ in range(5)] for _ in range(500)]
    written = io.StringIO(newline="")
    csv.writer(written, quoting=quoting, lineterminator=ending).writerows([list("abcde"), *rows])  # type: ignore[arg-type]
    found = records.records_of(split(written.getvalue()), 5)
    read = [records.values_of(record.text) for record in found if record.number > 1]
    assert read == rows


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", [""]),
        ("a,", ["a", ""]),
        (",a", ["", "a"]),
        ('"a""b",c', ['a"b', "c"]),
        ('"a","b,c"', ["a", "b,c"]),
        ('"ends\\",c', ["ends\\", "c"]),
        ('"a" ,b', None),
        (' "a",b', None),
        ('a"b,c', None),
        ('"a"b,c', None),
        ('"a\\"b",c', None),
        ('"a', None),
    ],
)
def test_quotes_stand_around_a_whole_value_or_the_record_is_not_read(text: str, values: list[str] | None) -> None:
    assert records.values_of(text) == values


def test_one_stray_quote_takes_no_sound_row_along() -> None:
    text = 'x,y\n1,"a\n2,b\n3,"c\nd"\n4,e"\n\n5,f\n'
    assert shape(text, 2) == [(2, '1,"a'), (3, "2,b"), (4, '3,"c\nd"'), (6, '4,e"'), (7, ""), (8, "5,f")]


def test_a_record_has_a_longest_length() -> None:
    lines = records.MOST_LINES
    fits = 'x,y\n1,"' + "a\n" * (lines - 1) + 'b"\n2,c\n'
    assert [number for number, _ in shape(fits, 2)] == [2, lines + 2]
    longer = 'x,y\n1,"' + "a\n" * lines + 'b"\n2,c\n'
    assert [number for number, _ in shape(longer, 2)] == list(range(2, lines + 4))


def test_a_value_of_three_megabytes_is_judged() -> None:
    assert records.values_of('"' + 'a""' * 1_000_000 + '"') == ['a"' * 1_000_000]
    assert not records.is_well_formed('"' + "a" * 3_000_000)


def random_file(draw: random.Random, width: int) -> str:
    """Sound rows, quoted rows over several lines, stray quotes, short rows and blank lines, with every line ending."""
    written = io.StringIO(newline="")
    usual = draw.choice(["\n", "\r\n", "\r"])
    written.write(",".join(["h"] * width) + usual)
    for _ in range(draw.randrange(5, 60)):
        row = [draw.choice(WORDS) for _ in range(width)]
        ending = draw.choice([usual, usual, usual, "\n", "\r\n", "\r"])
        kind = draw.random()
        if kind < 0.5:
            csv.writer(written, lineterminator=ending).writerow(row)
        elif kind < 0.6:
            written.write(ending)
        elif kind < 0.7:
            written.write("".join(draw.choice(['"', ",", "a", "\n", "\r"]) for _ in range(8)) + ending)
        elif kind < 0.72:
            written.write('1,"' + f"a{usual}" * draw.choice([98, 99, 100, 101]) + '"' + ending)
        else:
            written.write(",".join("abcd"[:width]) + ending)
    return written.getvalue()


def test_spark_and_python_see_the_same_records(spark: SparkSession, lake_root: Path) -> None:
    draw = random.Random(11)
    expected: dict[str, list[tuple[int, str]]] = {}
    users = table("landing.session_users")
    folder = lake_root / "landing" / "session_users"
    folder.mkdir(parents=True)
    for at in range(24):
        text = random_file(draw, 2).replace("h,h", "session_id,user_id", 1) + "\rz,z\nz,z"
        (folder / f"{at}.csv").write_bytes(text.encode())
        expected[f"{at}.csv"] = [(number, record) for number, record in shape(text, 2) if record.strip()]
    before = spark.conf.get("spark.sql.files.maxPartitionBytes")
    spark.conf.set("spark.sql.files.maxPartitionBytes", "400")
    try:
        read, count = read_counted_rows(spark, user_files(spark), users, users.column_names)
        found = read.collect()
    finally:
        spark.conf.set("spark.sql.files.maxPartitionBytes", str(before))
    by_file: dict[str, list[tuple[int, str]]] = {name: [] for name in expected}
    for row in sorted(found, key=lambda row: row.line):
        by_file[row.file].append((row.line, row.raw_line))
    assert by_file == expected
    assert count == len(found)
    for row in found:
        values = records.values_of(row.raw_line)
        sound = values is not None and len(values) == 2
        assert row.is_parsed == sound, row
        if sound and values is not None:
            nobody = values[1].strip(" \t") in {"", "NA"}
            assert (row.session_id or "", row.user_id or "") == (values[0], "" if nobody else values[1]), row
