"""`musicbox sql`: DuckDB over the newest Delta snapshot, reading only."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from musicbox_lib import lake
from musicbox_lib.cli.app import app
from musicbox_lib.errors import DataRefused, UsageError
from musicbox_lib.settings import PROJECT
from musicbox_lib.sql.ask import ask
from musicbox_lib.sql.questions import Question, read_questions
from musicbox_lib.sql.views import View, views

REJECTED = pa.schema(
    {
        "dt": pa.date32(),
        "file": pa.string(),
        "line": pa.int64(),
        "raw_line": pa.string(),
        "session_id": pa.string(),
        "session_position": pa.int32(),
        "rules": pa.list_(pa.string()),
    }
)


def reject(day: str, *rules: list[str]) -> None:
    rows = [
        {"dt": dt.date.fromisoformat(day), "file": "a.csv", "line": line, "rules": broken}
        for line, broken in enumerate(rules, start=2)
    ]
    table = pa.Table.from_pylist(rows, schema=REJECTED)
    predicate = f"dt = '{day}'"
    path = lake.path_of("silver.rejected_events")
    if deltalake.DeltaTable.is_deltatable(path):
        deltalake.write_deltalake(path, table, mode="overwrite", predicate=predicate)
    else:
        deltalake.write_deltalake(path, table, partition_by=["dt"])


@pytest.fixture
def rejected(lake_root: Path) -> None:
    # The summary leaves out what a later day completed.
    valid = {"dt": pa.date32(), "session_id": pa.string(), "session_position": pa.int32()}
    deltalake.write_deltalake(lake.path_of("silver.listening_events"), pa.schema(valid).empty_table())
    reject("2026-11-04", ["short_row"])
    reject("2026-11-05", ["short_row"], ["short_row", "bad_hour"], ["bad_hour"], ["bad_hour"])


def test_a_view_counts_every_rule_of_every_night(rejected: None) -> None:
    answer = ask("SELECT * FROM quarantine_summary")
    assert answer.columns == ("dt", "input", "rule", "rejected_rows")
    assert list(answer.rows) == [
        (dt.date(2026, 11, 4), "session_logs", "short_row", 1),
        (dt.date(2026, 11, 5), "session_logs", "bad_hour", 3),
        (dt.date(2026, 11, 5), "session_logs", "short_row", 2),
    ]


def test_the_quarantine_of_track_tables_is_counted_too(rejected: None) -> None:
    row = {"dt": dt.date(2026, 11, 5), "file": "tracks.csv", "line": 2, "raw_line": "t", "track_id": "t"}
    rows = pa.Table.from_pylist([row | {"rules": ["key_range", "short_row"]}])
    deltalake.write_deltalake(lake.path_of("silver.rejected_tracks"), rows, partition_by=["dt"])
    counted = list(ask("SELECT input, rule, rejected_rows FROM quarantine_summary WHERE dt = '2026-11-05'").rows)
    assert ("tracks", "key_range", 1) in counted and ("tracks", "short_row", 1) in counted
    assert ("session_logs", "short_row", 2) in counted


def test_rows_replaced_by_a_later_write_are_not_seen(rejected: None) -> None:
    reject("2026-11-05", ["bad_hour"])
    counted = ask("SELECT dt, count(*) FROM silver.rejected_events GROUP BY dt ORDER BY dt")
    assert list(counted.rows) == [(dt.date(2026, 11, 4), 1), (dt.date(2026, 11, 5), 1)]


def test_a_column_declared_after_the_last_write_is_null(rejected: None, lake_root: Path) -> None:
    path = lake.path_of("silver.validation_results")
    old = {"dt": [dt.date(2026, 11, 5)], "rule": ["parsed"], "severity": ["quarantine"], "evaluated": [9]}
    old |= {"unexpected": [1], "unexpected_share": [1 / 9], "success": [False], "decision": ["quarantine"]}
    deltalake.write_deltalake(path, pa.table(old), partition_by=["dt"])
    assert list(ask("SELECT input, rule, value FROM validation_trend").rows) == [(None, "parsed", None)]


def test_a_table_without_rows_answers_with_its_columns(lake_root: Path) -> None:
    path = lake.path_of("silver.rejected_events")
    deltalake.DeltaTable.create(path, deltalake.Schema.from_arrow(REJECTED), partition_by=["dt"])
    answer = ask("SELECT dt, rules FROM silver.rejected_events")
    assert (answer.columns, list(answer.rows)) == (("dt", "rules"), [])


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT * FROM silver.nothing", "silver.listening_events"),
        ("SELEKT 1", "syntax error"),
        ("SELECT nothing FROM silver.rejected_events", "nothing"),
        ("DELETE FROM silver.rejected_events", "reads only"),
        ("EXPLAIN ANALYZE SELECT 1", "reads only"),
        ("SELECT 1; SELECT 2", "reads only"),
        ("SELECT * FROM read_csv('/etc/hostname')", "disabled"),
    ],
)
def test_a_wrong_question_is_one_sentence(rejected: None, query: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        ask(query)
    assert "\n" not in str(refused.value.args[0])


def test_nothing_can_be_written_through_a_query(rejected: None, tmp_path: Path) -> None:
    target = tmp_path / "copied.csv"
    with pytest.raises(UsageError, match="reads only"):
        ask(f"COPY silver.rejected_events TO '{target}'")
    assert not target.exists()


def test_a_table_that_is_not_written_yet_is_refused(lake_root: Path) -> None:
    with pytest.raises(DataRefused, match=r"gold.track_features has not been written yet"):
        ask("SELECT * FROM gold.track_features")
    with pytest.raises(DataRefused, match=r"reports.skip_rate has not been written yet"):
        ask("SELECT * FROM skip_rate_trend")


def test_show_all_tables_lists_what_is_written(rejected: None) -> None:
    answer = ask("SHOW ALL TABLES")
    name = answer.columns.index("name")
    assert {row[name] for row in answer.rows} == {"rejected_events", "listening_events", "quarantine_summary"}


@pytest.mark.parametrize("view", views().values(), ids=views())
def test_every_view_names_declared_columns_only(view: View, lake_root: Path) -> None:
    """Each view binds against empty tables of the contract's own types."""
    import duckdb

    from musicbox_lib.contract.tables import tables
    from musicbox_lib.sql.ask import EXPLODE, _duckdb_type

    connection = duckdb.connect()
    connection.execute(EXPLODE)
    for found in tables().values():
        columns = ", ".join(f'"{column.name}" {_duckdb_type(column.type)}' for column in found.columns)
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {found.stage}")
        connection.execute(f"CREATE TABLE {found.stage}.{found.noun} ({columns})")
    assert connection.execute(view.sql).fetchall() == []


@pytest.mark.parametrize("view", views().values(), ids=views())
def test_every_view_says_in_one_sentence_what_it_answers(view: View) -> None:
    assert re.fullmatch(r"[A-Z][^\n]{20,200}[a-z]\.", view.about)
    assert view.sql.startswith("SELECT")


def test_the_help_names_every_view() -> None:
    said = CliRunner().invoke(app, ["sql", "--help"], terminal_width=200).stdout
    assert [view for view in views() if view not in said] == []


QUESTIONS = """-- What to know beforehand.

-- Which rules
-- reject? Say it; all.
SELECT rule FROM quarantine_summary WHERE rule <> ';--' GROUP BY rule ORDER BY rule;

-- Is anything wrong?
SELECT nothing FROM gold.track_features;
SELECT 1 AS one
"""


def test_a_file_of_questions_is_asked_whole(rejected: None, tmp_path: Path) -> None:
    file = tmp_path / "questions.sql"
    file.write_text(QUESTIONS)
    first, second, third = read_questions(file)
    assert first.words == "Which rules reject? Say it; all."
    assert first.sql.startswith("SELECT rule") and first.sql.endswith("ORDER BY rule")
    assert second == Question("Is anything wrong?", "SELECT nothing FROM gold.track_features")
    assert third == Question("", "SELECT 1 AS one")
    asked = CliRunner().invoke(app, ["sql", "--file", str(file), "--format", "csv"])
    # The second is refused, with the exit code of a table that is not written, and the third is asked all the same.
    assert (asked.exit_code, asked.stdout) == (3, "rule\nbad_hour\nshort_row\none\n1\n")
    assert "Which rules reject? Say it; all.\n" in asked.stderr
    assert "musicbox: gold.track_features has not been written yet" in asked.stderr
    shown = CliRunner().invoke(app, ["sql", "--file", str(file)]).stdout
    assert shown.index("Which rules reject?") < shown.index("bad_hour") < shown.index("Is anything wrong?")


def test_a_file_that_cannot_be_asked_is_one_sentence(rejected: None, tmp_path: Path) -> None:
    broken = tmp_path / "broken.sql"
    broken.write_text("SELEKT 1;")
    for file, said in ((tmp_path / "nothing.sql", "cannot be read"), (broken, "syntax error")):
        with pytest.raises(UsageError, match=said) as refused:
            read_questions(file)
        assert "\n" not in str(refused.value.args[0])
    neither = CliRunner().invoke(app, ["sql"])
    assert isinstance(neither.exception, UsageError)


def test_the_twenty_questions_are_numbered_and_asked_in_words() -> None:
    words = [question.words for question in read_questions(PROJECT / "docs" / "questions.sql")]
    assert [word.split(" ")[0] for word in words] == [f"{number}." for number in range(1, 21)]
    assert [word for word in words if not word.endswith("?")] == []


def test_the_command_prints_json_and_csv(rejected: None) -> None:
    query = "SELECT line, rules FROM silver.rejected_events WHERE dt = '2026-11-04'"
    asked = CliRunner().invoke(app, ["sql", query, "--format", "json"])
    assert json.loads(asked.stdout) == [{"line": 2, "rules": ["short_row"]}]
    asked = CliRunner().invoke(app, ["sql", query, "--format", "csv"])
    assert asked.stdout.splitlines() == ["line,rules", '2,"[""short_row""]"']
    asked = CliRunner().invoke(app, ["sql", query])
    assert "short_row" in asked.stdout
    assert CliRunner().invoke(app, ["sql", query, "--format", "xml"]).exit_code == 2
