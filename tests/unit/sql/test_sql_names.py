"""Which tables a question names, what a wrong one is told, and analysts' own views."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest

from musicbox_lib import lake
from musicbox_lib import settings as settings_module
from musicbox_lib.contract.tables import table
from musicbox_lib.errors import DataRefused, UsageError
from musicbox_lib.sql.ask import ask, queryable
from musicbox_lib.sql.names import names_in, tables_in
from musicbox_lib.sql.refusals import near_names
from musicbox_lib.sql.server_catalogue import wanted_entries

NAMED = {
    "SELECT 1 -- gold.track_features": set(),
    "SELECT 1 /* FROM gold.track_features */": set(),
    "SELECT 'gold.track_features'": set(),
    "SELECT 1 AS latest_writes": set(),
    "WITH latest_writes AS (SELECT 1 AS a) SELECT * FROM latest_writes": set(),
    "WITH latest_writes AS (SELECT * FROM latest_writes) SELECT * FROM latest_writes": {"latest_writes"},
    "WITH RECURSIVE r AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM r WHERE a < 3) SELECT * FROM r": set(),
    'SELECT * FROM "gold"."track_features" AS t JOIN Scores.TOP3_recommendations USING (track_id)': {
        "gold.track_features",
        "scores.top3_recommendations",
    },
    "SELECT (SELECT max(dt) FROM gold.last_sessions) WHERE 1 IN (SELECT rank FROM latest_recommendations)": {
        "gold.last_sessions",
        "latest_recommendations",
    },
    "DESCRIBE memory.gold.track_features": {"gold.track_features"},
    "FROM main.latest_writes": {"latest_writes"},
    "SUMMARIZE SELECT * FROM latest_writes": {"latest_writes"},
    "SELECT 1 UNION SELECT plays FROM gold.track_features": {"gold.track_features"},
}


@pytest.mark.parametrize(("query", "names"), NAMED.items(), ids=NAMED)
def test_a_table_is_named_where_it_is_read_and_nowhere_else(query: str, names: set[str]) -> None:
    assert names_in(query).relations == names


def test_tables_come_in_the_contracts_order() -> None:
    assert tables_in("SELECT * FROM ops.run_ledger, gold.track_features, x") == [
        "gold.track_features",
        "ops.run_ledger",
    ]


def test_a_table_named_in_a_comment_or_a_text_need_not_be_written(lake_root: Path) -> None:
    answer = ask("SELECT 'silver.rejected_tracks' AS t -- gold.track_features, latest_writes")
    assert list(answer.rows) == [("silver.rejected_tracks",)]


def refusal(query: str) -> list[str]:
    with pytest.raises(UsageError) as refused:
        list(ask(query).rows)
    return str(refused.value).splitlines()


NIGHT = dt.date(2026, 11, 5)
ARROW = {"string": pa.string(), "date": pa.date32(), "int": pa.int32(), "bigint": pa.int64(), "double": pa.float64()}
ARROW |= {"boolean": pa.bool_(), "tinyint": pa.int8(), "timestamp": pa.timestamp("us", "UTC"), "float": pa.float32()}
ARROW |= {f"array<{name}>": pa.list_(kind) for name, kind in tuple(ARROW.items())}
ARROW["map<string,string>"] = pa.map_(pa.string(), pa.string())


def write(name: str, rows: list[dict[str, object]]) -> None:
    """The rows as the contract's table, without a JVM."""
    schema = pa.schema([(column.name, ARROW[column.type]) for column in table(name).columns])
    partition_by = list(table(name).partition)
    deltalake.write_deltalake(lake.path_of(name), pa.Table.from_pylist(rows, schema=schema), partition_by=partition_by)


def write_nights() -> None:
    """Six users' slates, and empty tables beside them."""
    slot = {"dt": NIGHT, "score": 1.0, "propensity": 0.5, "source": "actor", "reason_code": "exploring"}
    slots = [(f"u{user}", rank) for user in range(6) for rank in (1, 2, 3)]
    write("scores.top3_recommendations", [slot | {"user_id": user, "rank": rank} for user, rank in slots])
    for name in ("gold.track_features", "reports.skip_rate", "ops.run_ledger", "silver.rejected_events"):
        write(name, [])


@pytest.fixture
def nights(lake_root: Path) -> None:
    write_nights()


def test_a_wrong_name_is_told_the_near_one_and_its_place(nights: None) -> None:
    assert refusal("SELECT * FROM latest_write") == [
        'Catalog Error: Table with name latest_write does not exist! Did you mean "latest_writes"?',
        "LINE 1: SELECT * FROM latest_write",
        "                      ^^^^^^^^^^^^",
    ]
    sentence, line, _ = refusal("SELECT *\nFROM scores.top3_recomendations")
    assert 'Did you mean "top3_recommendations"? The nearest names: scores.top3_recommendations,' in sentence
    assert line == "LINE 2: FROM scores.top3_recomendations"
    column, line, caret = refusal("SELECT usr_id FROM scores.top3_recommendations")
    assert 'Candidate bindings: "user_id"' in column
    assert line[caret.index("^") :].startswith("usr_id")


def test_near_names_are_few_and_of_the_stage_asked_for() -> None:
    assert near_names("gold.trak_featurs", queryable())[0] == "gold.track_features"
    assert near_names("skip_trend", queryable())[0] == "skip_rate_trend"
    assert near_names("scores.x", queryable()) == ["scores.top3_recommendations"]
    assert near_names("qqqq", queryable()) == []


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ('SELECT * FROM skip_rate_trend WHERE policy = "logged"', "A text stands in single quotes: 'logged'."),
        ("SELECT * FROM golden.things", '`musicbox sql "SHOW TABLES"` lists the tables.'),
        ("SELECT summ(1)", 'Did you mean "sum"?'),
        ("SELECT CASE WHEN range = 9 THEN 'x' ELSE '1' END::INT FROM range(10)", "Could not convert string 'x'"),
        ("PIVOT reports.skip_rate ON policy USING max(n)", "A PIVOT names its values"),
        ("SELECT s.user FROM scores.top3_recommendations s", "The nearest columns: user_id."),
        ("SELECT * FROM scores.top3_recommendations JOIN gold.track_features USING (trackid)", "columns: track_id,"),
        ('SELECT * FROM "gold.track_features"', "write gold.track_features without quotes, or each in its own."),
        ("SELECT * FROM evaluation_trends", "The nearest names: evaluation_trend,"),
    ],
)
def test_a_usual_mistake_gets_its_hint(nights: None, query: str, hint: str) -> None:
    assert hint in refusal(query)[0]


def test_user_for_user_id_is_told_though_it_is_no_error(nights: None) -> None:
    answer = ask("SELECT count(*) FROM scores.top3_recommendations WHERE user = 'u1'")
    assert list(answer.rows) == [(0,)]
    assert [note for note in answer.notes if "the column of listeners is user_id" in note] == list(answer.notes) != []
    for right in ("SELECT count(*) FROM scores.top3_recommendations WHERE user_id = 'u1'", "SELECT user"):
        assert ask(right).notes == ()


def test_a_table_that_is_not_written_says_what_writes_it(lake_root: Path) -> None:
    for name, target in (
        ("reports.skip_rate", "nightly"),
        ("models.registry", "train"),
        ("training.transitions", "train"),
    ):
        with pytest.raises(DataRefused, match=f"{name} has not been written yet.*make {target} RUN_DATE="):
            ask(f"SELECT * FROM {name}")


def test_show_tables_lists_every_name_and_whether_it_is_written(lake_root: Path) -> None:
    empty = ask("SHOW TABLES")
    assert empty.columns == ("name", "kind", "state")
    assert {state for _, _, state in empty.rows} == {"not written yet"}
    write_nights()
    rows = {name: (kind, state) for name, kind, state in ask("show tables;").rows}
    assert list(rows) == queryable()
    assert rows["gold.track_features"] == ("table", "written")
    assert rows["latest_recommendations"] == ("view", "written")
    assert rows["silver.known_tracks"] == ("table", "not written yet")
    described = [row[0] for row in ask("DESCRIBE skip_rate_trend").rows]
    assert described[:3] == ["dt", "policy", "n"] and tuple(described) == ask("SELECT * FROM skip_rate_trend").columns
    assert len(list(ask("SUMMARIZE latest_writes").rows)) == 7
    assert ("top3_recommendations",) in list(ask("SHOW TABLES FROM scores").rows)


@pytest.fixture
def own(nights: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Writes a view of one's own into the folder that MUSICBOX_SQL_VIEWS names."""
    folder = tmp_path / "views"
    folder.mkdir()
    monkeypatch.setenv("MUSICBOX_SQL_VIEWS", str(folder))
    settings_module.settings.cache_clear()

    def write(name: str, text: str) -> Path:
        path = folder / f"{name}.sql"
        path.write_text(text)
        return path

    return write


def test_a_view_of_ones_own_may_read_another(own: Callable[[str, str], Path]) -> None:
    own(
        "zz_first", "-- Tonight's first tracks.\nSELECT user_id, track_id FROM latest_recommendations WHERE rank = 1;\n"
    )
    own("aa_counted", "-- How many there are.\nSELECT count(*) AS n FROM zz_first\n-- the end\n")
    assert list(ask("SELECT n FROM aa_counted").rows) == [(6,)]
    rows = {name: (kind, state) for name, kind, state in ask("SHOW TABLES").rows}
    assert rows["aa_counted"] == ("view", "written")
    entries = {entry.noun: entry for entry in wanted_entries()}
    assert list(entries)[-2:] == ["zz_first", "aa_counted"]
    assert entries["aa_counted"].select == "SELECT count(*) AS n FROM zz_first"
    assert "COMMENT 'How many there are.'" in entries["aa_counted"].statement


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("latest_writes", "-- Mine.\nSELECT 1 AS n", "latest_writes is already a view of MusicBox; rename the file"),
        ("gold", "-- Mine.\nSELECT 1 AS n", "gold is already a stage of tables"),
        ("My view", "-- Mine.\nSELECT 1 AS n", "small letters, digits and _"),
        ("mine", "SELECT 1 AS n", "the first line is to say in a comment"),
        ("mine", "-- Mine.\nSELECT 1 AS n; SELECT 2 AS n", "a view is one SELECT"),
        ("mine", "-- Mine.\nDELETE FROM gold.track_features", "a view is one SELECT"),
        ("mine", "-- Mine.\nSELEKT 1", "syntax error"),
    ],
)
def test_a_file_that_is_no_view_is_refused_by_its_name(
    own: Callable[[str, str], Path], name: str, text: str, said: str
) -> None:
    path = own(name, text)
    with pytest.raises(UsageError, match=said) as refused:
        ask("SELECT 1")
    assert str(refused.value).startswith(str(path))


def test_views_that_do_not_fit_are_refused_where_they_are_asked_for_only(own: Callable[[str, str], Path]) -> None:
    path = own("mine", "-- Mine.\nSELECT plaqs FROM gold.track_features")
    own("one", "-- One.\nSELECT * FROM two")
    own("two", "-- Two.\nSELECT * FROM one")
    assert list(ask("SELECT 1").rows) == [(1,)]
    assert "mine" not in {row[2] for row in ask("SHOW ALL TABLES").rows}
    sentence, line, _ = refusal("SELECT * FROM mine")
    assert sentence.startswith(f'{path}: Binder Error: Referenced column "plaqs" not found')
    assert line == "LINE 1: CREATE VIEW mine AS SELECT plaqs FROM gold.track_features"
    assert refusal("SELECT * FROM one") == ["one reads two reads one: a view cannot read itself."]


def test_a_folder_of_views_that_is_not_there_is_refused(
    lake_root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MUSICBOX_SQL_VIEWS", str(tmp_path / "none"))
    settings_module.settings.cache_clear()
    assert "which is no folder: make it or unset the setting" in refusal("SELECT * FROM latest_writes")[0]
