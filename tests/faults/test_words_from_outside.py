"""Whatever comes from outside: days, ids, names, paths, SQL. Refused with one sentence, or taken for what it is."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deliveries import DAY, LOG, as_csv, deliver, plays, rows_of, run, the_job
from lake_content import the_lake
from last_day import words_of
from small_night import context_rows, write, write_tracks

from musicbox_lib import lake
from musicbox_lib.cli import app
from musicbox_lib.contract import days
from musicbox_lib.errors import DataRefused, MusicBoxError, UsageError
from musicbox_lib.lake import ReadPartition, WritePartition
from musicbox_lib.landing import deliveries, places
from musicbox_lib.landing.land import land
from musicbox_lib.orchestration import job, run_dag
from musicbox_lib.sql.ask import ask

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NO_DAYS = (
    "",
    " ",
    "..",
    "../2026-11-05",
    "2026-11-05/..",
    "2026-11-05/../../../etc",
    "2026-11-05' OR '1'='1",
    "2026-11-05'; DROP TABLE silver.listening_events; --",
    "2026-11-05\n",
    "2026-11-05 ",
    "2026-11-05\x00",
    "２０２６-11-05",
    "20261105",
    "2026-W45-4",
    "2026-11-31",
    "2026-11-05T00:00:00",
    "{{ run_date }}",
    "$(reboot)",
    "*",
    "%",
)
"""Words for a day that are none."""
IDS = (
    "..",
    "../../etc/passwd",
    "' OR 1=1 --",
    "'; DROP TABLE silver.listening_events; --",
    'a"b',
    "a\nb",
    "a\tb",
    "a\x00b",
    "%s",
    "{x}",
    "<script>alert(1)</script>",
    "x" * 10_000,
    "ü\u2028日本",
    "",
)
"""Words for an id."""
ONE = argparse.Namespace(run_date=None, from_date=None, to_date=None, dag="musicbox_nightly", dry_run=True)


def command(*words: str) -> Callable[[str], object]:
    """`musicbox` with the word at its end."""

    def called(word: str) -> object:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["musicbox", *words, word])
            app.main()
        raise AssertionError("it came back")

    return called


def run_dag_with(name: str) -> Callable[[str], object]:
    def called(word: str) -> object:
        given = {**vars(ONE), "from_date": "2026-11-01", "to_date": "2026-11-02", name: word}
        if name != "run_date":
            given["run_date"] = None
        return run_dag.days_of(argparse.Namespace(**given))

    return called


NOW = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
DAY_ENTRANCES: dict[str, Callable[[str], object]] = {
    "musicbox report --dt": command("report", "--dt"),
    "musicbox evaluate --dt": command("evaluate", "--dt"),
    "musicbox recommend --dt": command("recommend", "--dt"),
    "musicbox land --dt": command("land", "--log", __file__, "--dt"),
    "musicbox generate --from-date": command("generate", "--from-date"),
    "a partition to read": lambda word: ReadPartition.parse(f"gold.track_features/dt={word}"),
    "a range to read": lambda word: ReadPartition.parse(f"gold.track_features/dt=2026-11-01..{word}"),
    "the newest to read": lambda word: ReadPartition.parse(f"gold.track_features/dt=latest..{word}"),
    "a partition to write": lambda word: WritePartition.parse(f"gold.track_features/dt={word}"),
    "a range to write": lambda word: WritePartition.parse(f"gold.track_features/dt=2026-11-01..{word}"),
    "a landing folder": lambda word: places.day_of_folder(f"dt={word}"),
    "a track table's name": lambda word: places.day_of_tracks(f"tracks.dt={word}.csv"),
    "the DAG's run_date": lambda word: days.resolve(word, None, NOW, NOW),
    "the backfill's from_date": lambda word: deliveries.plan(word, "2026-11-05"),
    "the backfill's to_date": lambda word: deliveries.plan("2026-11-05", word),
    "make nightly RUN_DATE=": run_dag_with("run_date"),
    "make backfill FROM=": run_dag_with("from_date"),
    "make backfill TO=": run_dag_with("to_date"),
}
# Without a day these take the one of the schedule.
LEFT_OUT = {"the DAG's run_date"}
# Its name ends before a dot, so that a day with dots in it is no day in a name at all: such a table was always known.
HAS_NO_DOTS = {"a track table's name"}


def refusal_of(called: Callable[[str], object], word: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What is said; the test fails where nothing is refused, or with more than a sentence."""
    try:
        called(word)
    except (UsageError, DataRefused) as refusal:
        said = str(refusal)
    except SystemExit as end:
        assert end.code in (2, 3), word
        said = capsys.readouterr().err
        assert said.startswith("musicbox: ")
        said = said.rstrip("\n")
    else:
        pytest.fail(f"{word!r} was taken")
    assert "\n" not in said
    assert "Traceback" not in said
    return said


@pytest.mark.fault("words from outside", "days: SQL, traversal, newlines, NUL, other digits, through each entrance")
@pytest.mark.parametrize("entrance", DAY_ENTRANCES)
def test_what_is_no_day_is_refused(
    entrance: str, lake_root: Path, capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]
) -> None:
    tried = [word for word in NO_DAYS if not (entrance in LEFT_OUT and not word)]
    tried = [word for word in tried if not (entrance in HAS_NO_DOTS and ("." in word or not word))]
    for word in tried:
        assert refusal_of(DAY_ENTRANCES[entrance], word, capsys)
    assert not lake_root.exists()


PARTITIONS = (
    "gold.track_features",
    "gold.track_features/",
    "gold.track_features/dt=",
    "gold.track_features/../../etc",
    "../gold.track_features/dt=2026-11-05",
    "gold/track_features/dt=2026-11-05",
    "gold.track_features/dt=2026-11-05/../dt=2026-11-04",
    "gold.track_features; DROP TABLE x/dt=2026-11-05",
    "gold.Track_Features/dt=2026-11-05",
    "gold.track_features\n/dt=2026-11-05",
    "gold.track_features/dt='2026-11-05'",
    "models.registry/dt=2026-11-05",
    "/etc/passwd",
    "file:///etc/passwd",
    "",
)


@pytest.mark.fault("words from outside", "partitions: each argument of each job, exit code 2 and a sentence")
@pytest.mark.parametrize("name", [name for name in words_of(DAY) if name != "trainer"])
def test_what_is_no_partition_is_refused(
    name: str, lake_root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    module, words = the_job(name), list(words_of(DAY)[name])
    places_of_partitions = [at for at, word in enumerate(words) if "." in word and not word.startswith(("-", "/"))]
    assert places_of_partitions
    for at in places_of_partitions:
        for word in PARTITIONS:
            if word == words[at] or (word == "gold.track_features/dt=" and not word):
                continue
            monkeypatch.setattr(sys, "argv", [name, *words[:at], word, *words[at + 1 :]])
            with pytest.raises(SystemExit) as end:
                job.run(name, module.main)
            assert end.value.code == 2, (words[at], word)
            assert "\n" not in caplog.records[-1].getMessage().removesuffix("\n")
    assert not lake_root.exists()


@pytest.mark.fault("words from outside", "musicbox restore: names of tables that are none")
@pytest.mark.parametrize("word", PARTITIONS)
def test_what_is_no_table_is_not_restored(word: str, lake_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal_of(command("restore"), word, capsys)
    assert not lake_root.exists()


@pytest.mark.fault("words from outside", "ids: musicbox recommend --user, registry --model")
@pytest.mark.parametrize("word", IDS)
def test_an_id_is_looked_up_and_nothing_else(
    word: str, spark: SparkSession, lake_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tracks(8, neighbours=True)
    write("gold.last_sessions", context_rows({"a": [(0, 0)]}, in_session=1))
    slate = {"dt": DAY, "user_id": "a", "rank": 1, "track_id": "t001", "score": 1.0, "propensity": 0.5}
    slate |= {"source": "item_knn", "reason_code": "exploring", "model_id": "item_knn"}
    write("scores.top3_recommendations", [slate])
    said = refusal_of(command("recommend", "--user"), word, capsys)
    assert "was not active" in said
    with pytest.raises(MusicBoxError) as refusal:
        the_job("registry").main(
            run_date=DAY,
            listening_events=ReadPartition.parse(f"silver.listening_events/dt=..{DAY}"),
            registry=WritePartition.parse("models.registry"),
            model=word,
        )
    assert "is not the name of a model" in str(refusal.value)
    assert "\n" not in str(refusal.value)


QUERIES = (
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM glob('/etc/*')",
    "COPY (SELECT 1) TO '/tmp/x.csv'",
    "ATTACH '/tmp/x.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "PRAGMA database_list; SELECT 1",
    "DROP TABLE gold.last_sessions",
    "DELETE FROM gold.last_sessions",
    "UPDATE gold.last_sessions SET user_id = 'x'",
    "INSERT INTO gold.last_sessions SELECT * FROM gold.last_sessions",
    "CREATE TABLE x AS SELECT 1",
    "SELECT 1; DROP TABLE gold.last_sessions",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/x.csv'",
    "CALL pragma_version()",
    "",
    ";",
    "SELECT * FROM gold.last_sessions WHERE user_id = ''' OR 1",
    'SELECT * FROM "../../etc/passwd"',
    "\x00",
)


@pytest.mark.fault("words from outside", "musicbox sql: files, writes, settings, two statements")
@pytest.mark.parametrize("query", QUERIES)
def test_a_query_reads_the_tables_and_nothing_else(query: str, spark: SparkSession, lake_root: Path) -> None:
    write("gold.last_sessions", context_rows({"a": [(0, 0)]}, in_session=1))
    before = {path: path.read_bytes() for path in lake_root.rglob("*") if path.is_file()}
    with pytest.raises((UsageError, DataRefused)) as refusal:
        list(ask(query).rows)
    # One sentence; the lines below it show the place in the query.
    assert "\n" not in str(refusal.value.args[0])
    assert [line for line in str(refusal.value).splitlines() if not line.isprintable()] == []
    assert {path: path.read_bytes() for path in lake_root.rglob("*") if path.is_file()} == before
    assert not Path("/tmp/x.csv").exists() and not Path("/tmp/x.db").exists()


FILE_NAMES = (
    "..csv",
    "...",
    "-rf.csv",
    ".hidden.csv",
    "_SUCCESS",
    "a b'c\".csv",
    "a\nb.csv",
    "[1].csv",
    "{a,b}.csv",
    "*.csv",
    "a\\b.csv",
    "..%2f..%2fetc.csv",
    "dt=2020-01-01.csv",
    "log.dt=..csv",
    "ü日本.csv.gz.csv",
    "$(touch x).csv",
    "x" * 200 + ".csv",
)


@pytest.mark.fault("words from outside", "names of landed files: they stand in their folder and the night reads them")
def test_a_file_lands_in_its_folder_whatever_its_name(
    spark: SparkSession, lake_root: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    folder = lake_root / "landing" / "session_logs" / f"dt={DAY}"
    for at, name in enumerate(FILE_NAMES):
        file = tmp_path / "delivered" / str(at) / name
        file.parent.mkdir(parents=True)
        file.write_bytes(as_csv(plays(f"s{at}")))
        [place] = land(DAY, file, None)
        assert place.parent == folder
        assert places.DATA_FILE.fullmatch(place.name)
        place.rename(place.with_name(f"{at}-{place.name}"))
    assert {path.parent for path in lake_root.rglob("*") if path.is_file()} == {folder}
    run("session_events")
    read = {row["session_id"] for row in rows_of("bronze.session_events")}
    record_property("figure", f"{len(read)}/{len(FILE_NAMES)}")
    assert read == {f"s{at}" for at in range(len(FILE_NAMES))}


HEADERS = (
    "session_id\x00",
    "' OR 1=1 --",
    "../../etc/passwd",
    "session_id\u2028",
    "<script>",
    "session_id ",
    "SESSION_ID",
    '"session_id',
    "ses\\sion_id",
    "",
)


@pytest.mark.fault("words from outside", "names in a header: refused with column and place")
@pytest.mark.parametrize("name", HEADERS)
def test_a_header_with_another_name_is_refused(name: str, lake_root: Path, tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_bytes(as_csv(plays("s")).replace(b"session_id", name.encode(), 1))
    with pytest.raises(DataRefused, match="column 1 should be session_id|the header cannot be read") as refusal:
        land(DAY, file, None)
    assert "\n" not in str(refusal.value)
    assert not lake_root.exists()


# An id as it stands in the file, quoted where it must be, and whether its row may stay.
IDS_IN_ROWS: dict[str, tuple[bool, bool, bool]] = {
    "..": (True, True, True),
    "../../etc/passwd": (False, False, True),
    "'OR(1=1)--": (False, False, True),
    "';DROP": (False, False, True),
    "' OR 1=1 --": (False, False, False),
    '"a""b"': (False, False, True),
    '"a,b"': (False, False, True),
    "a\x00b": (False, False, False),
    "a\x1bb": (False, False, False),
    "<script>alert(1)</script>": (False, False, True),
    "{{x}}": (False, False, True),
    "$(reboot)": (False, False, True),
    "x" * 129: (False, False, False),
    "ü日本": (False, False, True),
    "a\u00e9b": (False, False, True),
}


@pytest.mark.fault("words from outside", "ids in rows: set aside, or stored as they are")
def test_ids_in_rows_are_set_aside_or_harmless(
    spark: SparkSession, lake_root: Path, record_property: Callable[[str, object], None]
) -> None:
    columns = ("session_id", "track_id_clean", "user_id")
    lines, may_stay = [], {}
    good = [row for at in range(400) for row in plays(f"good-{at}", 2)]
    for at, (word, stays) in enumerate(IDS_IN_ROWS.items()):
        for column, stay in zip(columns, stays, strict=True):
            row = plays(f"s{at}-{column}", 1)[0] | {column: word}
            lines.append(",".join(row[name] for name in LOG))
            may_stay[lines[-1]] = stay
    deliver(lake_root, as_csv([*good, *lines]))
    run("session_events")
    run("listening_events")
    aside = [row["raw_line"] for row in rows_of("silver.rejected_events")]
    stored = rows_of("silver.listening_events")
    right = [line for line, stay in may_stay.items() if (line not in aside) == stay]
    record_property("figure", f"{len(right)}/{len(may_stay)}")
    wrong = {line: ("should stay" if may_stay[line] else "should not") for line in may_stay if line not in right}
    assert wrong == {}
    assert len(stored) + len(aside) == len(good) + len(lines)
    held = {row[name] for row in stored for name in ("session_id", "track_id", "user_id")}
    assert {word for word, stays in IDS_IN_ROWS.items() if any(stays) and not word.startswith('"')} <= held


LAKES = (
    "a lake: o'brien",
    "[1]",
)
SLOW_LAKES = (
    "a lake",
    "o'brien",
    'say "hi"',
    "ü 日本",
    "a%20b",
    "a#b",
    "a+b=c&d",
    "a,b;c",
    "~lake",
    "$HOME",
    "a:b",
    "a/../b",
    "new\nline",
    "{a,b}",
    "a*b",
    "a?b",
    "a\\b",
)


def use(root: Path) -> tuple[int, int, int]:
    """Rows that Spark, delta-rs and DuckDB find in a lake after one ingest."""
    from musicbox_lib.machine.spark import session

    deliver(Path(lake.root()), as_csv(plays("s")))
    run("session_events")
    partition = ReadPartition.parse(f"bronze.session_events/dt={DAY}")
    row = {"dt": DAY, "input": "tracks", "rule": "r", "severity": "warn", "about": "a", "evaluated": 1, "unexpected": 0}
    row |= {"unexpected_share": 0.0, "success": True, "decision": "go_on"}
    target = WritePartition.parse(f"silver.validation_results/dt={DAY}")
    for _ in range(2):
        lake.overwrite_rows("tests", [row], target)
    [(asked,)] = ask("SELECT count(*) FROM bronze.session_events JOIN silver.validation_results USING (dt)").rows
    return lake.read(session("tests"), partition).count(), len(rows_of("bronze.session_events")), asked


@pytest.mark.fault("words from outside", "MUSICBOX_LAKE with spaces, quotes, %, #, :, .., brackets, newlines")
@pytest.mark.parametrize("name", [*LAKES, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW_LAKES)])
def test_a_lake_with_an_odd_name_works_or_is_refused(name: str, spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with the_lake(tmp_path / name if ".." not in name else Path(f"{tmp_path}/{name}")):
        try:
            found = use(tmp_path)
        except UsageError as refusal:
            assert "MUSICBOX_LAKE" in str(refusal)
            assert "\n" not in str(refusal)
            assert any(mark in name for mark in "[]{}*?#%\\\n")
            assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
        else:
            assert found == (10, 10, 10)
            assert not any(mark in name for mark in "[]{}*?#%\\\n")


@pytest.mark.fault("words from outside", "ids that end with, or hold, a Unicode line separator")
def test_a_line_separator_is_no_part_of_an_id(spark: SparkSession) -> None:
    from pyspark.sql import functions as F

    from musicbox_lib.contract.tables import table
    from musicbox_lib.validation.rules import broken_by

    rules = {rule.rule: rule for rule in table("silver.listening_events").expectations}
    patterns = {"session_id_pattern": "s1\u2028", "track_id_pattern": "t1\u0085", "user_id_pattern": "u\u20281"}
    passed = []
    for name, word in patterns.items():
        frame = spark.range(1).withColumn(rules[name].kwargs["column"], F.lit(word))
        passed += [name for row in frame.select(broken_by(rules[name]).alias("broken")).collect() if not row["broken"]]
    assert passed == []
