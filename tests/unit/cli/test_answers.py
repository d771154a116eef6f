"""What a command prints is what the table holds: no markup, no lost column, no cut number, JSON that any parser takes.

Cases 04 and 05 of the shared cases, and their kinds."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from musicbox_lib.cli.app import app, main
from musicbox_lib.cli.grid import grid
from musicbox_lib.cli.tables import show
from musicbox_lib.settings import PROJECT
from musicbox_lib.sql.ask import ask

TITLES = ["Heart [feat. ana]", "[remix]", "Day [/edit]", ":smile: 100", "[bold]x[/bold]", "a\\[b", "$x_1$", "100 %"]


def printed(query: str, form: str = "table") -> str:
    """Standard output of `musicbox sql`."""
    asked = CliRunner().invoke(app, ["sql", query, "--format", form])
    assert asked.exit_code == 0, asked.exception
    # As bytes: click's own text takes \\r\\n for \\n.
    return asked.stdout_bytes.decode()


def text_of(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def strict(text: str) -> Any:
    """JSON as the standard has it: no NaN, no key twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse, parse_float=Decimal, object_pairs_hook=once)


@pytest.mark.parametrize("title", TITLES)
def test_a_cell_is_the_text_as_it_is(lake_root: Path, title: str) -> None:
    query = f"SELECT {text_of(title)} AS t"
    assert [line.strip() for line in printed(query).splitlines()][3] == title
    assert list(csv.reader(io.StringIO(printed(query, "csv")))) == [["t"], [title]]
    assert strict(printed(query, "json")) == [{"t": title}]


def test_a_column_title_is_no_markup_either(lake_root: Path) -> None:
    assert printed("""SELECT 1 AS "[bold]n[/edit] :cat:" """).splitlines()[1].strip() == "[bold]n[/edit] :cat:"


def test_random_texts_come_back_equal_from_csv_and_json(lake_root: Path) -> None:
    rng = random.Random(20261105)
    letters = [
        "a",
        '"',
        "'",
        ",",
        "\n",
        "\r",
        "\t",
        "\\",
        "[",
        "]",
        ":",
        "ü",
        "日",
        "🎵",
        " ",
        "\u2028",
        "\x1b",
        "\x7f",
    ]
    texts = ["".join(rng.choices(letters, k=rng.randint(1, 8))) for _ in range(2_000)]
    query = f"SELECT unnest([{', '.join(map(text_of, texts))}]) AS t"
    assert [row["t"] for row in strict(printed(query, "json"))] == texts
    assert [row[0] for row in csv.reader(io.StringIO(printed(query, "csv"), newline=""))][1:] == texts
    # A row of the table stays one line: control characters are written out.
    assert len(printed(query.replace("SELECT ", "SELECT 1 AS n, ", 1) + " LIMIT 200").splitlines()) == 200 + 4


def test_of_two_columns_of_one_name_json_has_both(lake_root: Path) -> None:
    asked = CliRunner().invoke(app, ["sql", "SELECT 1 AS n, 2 AS n", "--format", "json"])
    assert strict(asked.stdout) == [{"n": 1, "n_1": 2}]
    assert asked.stderr == "musicbox: columns of one name: JSON calls the next n n_1.\n"
    assert strict(printed("SELECT 1 AS n, 2 AS n_1, 3 AS n, 4 AS n", "json")) == [
        {"n": 1, "n_1": 2, "n_2": 3, "n_3": 4}
    ]
    joined = "SELECT * FROM (SELECT 1 AS id, 2 AS x) AS a JOIN (SELECT 1 AS id, 3 AS x) AS b ON a.id = b.id"
    assert strict(printed(joined, "json")) == [{"id": 1, "x": 2, "id_1": 1, "x_1": 3}]
    assert printed("SELECT 1 AS n, 2 AS n", "csv") == "n,n\n1,2\n"


VALUES = [
    ("0.0/0.0", "nan", "NaN"),
    ("1e308*10", "inf", "Infinity"),
    ("-1e308*10", "-inf", "-Infinity"),
    ("0.1::DOUBLE + 0.2", "0.30000000000000004", Decimal("0.30000000000000004")),
    ("1::DOUBLE / 3", "0.3333333333333333", Decimal("0.3333333333333333")),
    ("0.1::FLOAT", "0.1", Decimal("0.1")),
    ("123456789.0::DOUBLE", "123456789.0", Decimal("123456789.0")),
    ("1.10::DECIMAL(10,2)", "1.10", Decimal("1.10")),
    ("170141183460469231731687303715884105727", "170141183460469231731687303715884105727", 2**127 - 1),
    ("true", "true", True),
    ("DATE '2026-11-05'", "2026-11-05", "2026-11-05"),
    ("TIMESTAMPTZ '2026-11-05 01:02:03+02'", "2026-11-04 23:02:03+00:00", "2026-11-04 23:02:03+00:00"),
    ("INTERVAL 1 MONTH", "1 month", "1 month"),
    ("age(DATE '2026-11-05', DATE '2026-09-03')", "2 months 2 days", "2 months 2 days"),
    ("TIMESTAMP_NS '2026-11-05 01:02:03.123456789'",) + ("2026-11-05 01:02:03.123456789",) * 2,
    ("'\\xAA\\x00b'::BLOB", "\\xAA\\x00b", "\\xAA\\x00b"),
    ("'915343df-12aa-47af-9144-8f4724d129c7'::UUID",) + ("915343df-12aa-47af-9144-8f4724d129c7",) * 2,
    ("['a', NULL, 'b,\"c']", '["a", null, "b,\\"c"]', ["a", None, 'b,"c']),
    ("[0.1::FLOAT, 'nan'::FLOAT]", '[0.1, "NaN"]', [Decimal("0.1"), "NaN"]),
    ("{'x': 0.1::FLOAT, 'y': [1]}", '{"x": 0.1, "y": [1]}', {"x": Decimal("0.1"), "y": [1]}),
    ("MAP {'k': 1, 'l': 2}", '{"k": 1, "l": 2}', {"k": 1, "l": 2}),
    ("MAP {DATE '2026-11-05': true}", '{"2026-11-05": true}', {"2026-11-05": True}),
    ("MAP {[1]: 2}", '{"[1]": 2}', {"[1]": 2}),
    ("[INTERVAL 1 YEAR]", '["1 year"]', ["1 year"]),
    ("'{\"a\": [1.10]}'::JSON", '{"a": [1.10]}', {"a": [Decimal("1.10")]}),
]


@pytest.mark.parametrize(("value", "text", "in_json"), VALUES, ids=[value for value, *_ in VALUES])
def test_a_value_is_printed_whole(lake_root: Path, value: str, text: str, in_json: object) -> None:
    query = f"SELECT {value} AS v, 'x' AS w"
    assert list(csv.reader(io.StringIO(printed(query, "csv"))))[1] == [text, "x"]
    assert printed(query).splitlines()[3].split("   ")[0].strip() == text
    assert strict(printed(query, "json")) == [{"v": in_json, "w": "x"}]


def test_null_is_told_from_an_empty_text(lake_root: Path) -> None:
    query = "SELECT NULL AS a, '' AS b, 'NULL' AS c"
    assert printed(query, "csv") == 'a,b,c\n,"",NULL\n'
    assert strict(printed(query, "json")) == [{"a": None, "b": "", "c": "NULL"}]
    assert printed("SELECT NULL AS a, 1 AS b").splitlines()[3].split() == ["NULL", "1"]


def test_an_answer_without_rows_says_so_in_a_table_only(lake_root: Path) -> None:
    query = "SELECT 1 AS n WHERE false"
    assert printed(query).splitlines()[-1] == "No rows."
    assert (printed(query, "csv"), printed(query, "json")) == ("n\n", "[]\n")


def test_what_is_wider_than_the_terminal_is_printed_record_by_record_and_whole() -> None:
    rows = [["0.30000000000000004", "x" * 90], ["-", "[b]"]]
    assert list(grid(("number", "title"), rows, 80)) == [
        "── record 1 ────────────────────",
        "  number   0.30000000000000004",
        f"  title    {'x' * 90}",
        "── record 2 ────────────────────",
        "  number   -",
        "  title    [b]",
        "",
    ]
    assert len(list(grid(("number", "title"), rows, None))) == 6
    assert list(grid(("n",), [["日"], ["ab"]]))[3:5] == ["  日", "  ab"]


@pytest.mark.parametrize("comment", ["-- How many?\n", "--How many?\n", "--\n", "/* How many? */ "])
def test_a_query_may_begin_with_a_comment(
    lake_root: Path, comment: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As those of docs/questions.sql do; two dashes make no option of it."""
    monkeypatch.setattr("sys.argv", ["musicbox", "sql", f"{comment}SELECT 7 AS n", "--format", "csv"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, capsys.readouterr().out) == (0, "n\n7\n")


@pytest.mark.parametrize("is_exported", [False, True])
def test_a_query_given_to_make_is_asked_as_it_is(tmp_path: Path, is_exported: bool) -> None:
    """Make has variables of its own: $9 and $(x) would be empty, and LIKE '$9%' would find everything."""
    query = "SELECT '$9 $HOME $(x) $$a$$ a\\b #' AS t, \"x\" WHERE t LIKE '%$' -- $"
    probe = tmp_path / "Makefile"
    probe.write_text(f"include {PROJECT}/Makefile\nprobe:\n\t@printenv Q\n")
    words = ["make", "-f", str(probe), "probe", *([] if is_exported else [f"Q={query}"])]
    given = {**os.environ, "Q": query} if is_exported else dict(os.environ)
    asked = subprocess.run(words, cwd=PROJECT, env=given, capture_output=True, text=True, check=True)
    assert asked.stdout == f"{query}\n"


def test_a_long_answer_is_written_row_by_row(lake_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first rows are out before the last one is asked for."""
    for form in ("csv", "json"):
        number = "CASE WHEN range = 60000 THEN 'x' ELSE '1' END::INT"
        answer = ask(f"SELECT {number} AS n, repeat('y', 1000) AS t FROM range(70000)")
        with pytest.raises(Exception, match="Could not convert string 'x'"):
            show(answer, form)
        assert len(capsys.readouterr().out.splitlines()) > 10_000


def test_a_reader_that_leaves_ends_the_answer_without_a_trace(lake_root: Path) -> None:
    command = [sys.executable, "-c", "from musicbox_lib.cli.app import main; main()", "sql"]
    words = [*command, "SELECT range FROM range(3000000)", "--format", "csv"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asked:
        assert asked.stdout is not None and asked.stderr is not None
        assert asked.stdout.readline() == "range\n"
        asked.stdout.close()
        assert asked.stderr.read() == ""
