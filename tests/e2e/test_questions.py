"""One dialect: the named views and the twenty questions of docs/questions.sql give the same rows in `musicbox sql`
(DuckDB) and in the Spark Thrift Server, which shows the lake and lets nobody change it.

The server is the real program in a process of its own, asked by beeline. Before two answers are compared, every value
is written out: null as NULL, booleans as true and false, dates in ISO form, a float to nine significant digits (the
engines add up in different orders).
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from analysts_lake import NIGHT, write_two_nights
from lake_content import the_lake
from small_night import write

from musicbox_lib import lake
from musicbox_lib.contract.tables import tables
from musicbox_lib.settings import PROJECT
from musicbox_lib.sql.ask import ask
from musicbox_lib.sql.questions import read_questions
from musicbox_lib.sql.views import views

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

QUESTIONS = read_questions(PROJECT / "docs" / "questions.sql")
ASKED = {question.words: question.sql for question in QUESTIONS}
ASKED |= {name: f"SELECT * FROM {name}" for name in views()}

Rows = list[list[str]]


@dataclass(frozen=True)
class Server:
    """A running `make sql-server`."""

    process: subprocess.Popen[str]
    folder: Path
    port: int
    terminal: Path

    @property
    def said(self) -> str:
        """What it has said so far."""
        return self.terminal.read_text()

    def beeline(self, statements: list[str]) -> list[Rows]:
        """The rows of each statement, header first, all by one beeline; a statement that is refused gives none."""
        words = ["beeline", "-u", f"jdbc:hive2://127.0.0.1:{self.port}/", "--silent=true", "--force=true"]
        words += ["--outputformat=csv2"]
        for number, statement in enumerate(statements):
            # A refused statement ends its own -e only. On one line: at a new line beeline prints its prompt.
            words += ["-e", f"SELECT 'answer {number}' AS mark; {' '.join(statement.split())};"]
        asked = subprocess.run(
            words,
            env=os.environ | {"SPARK_BEELINE_OPTS": "-Ddisable.quoting.for.sv=false"},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert "answer 0" in asked.stdout, asked.stderr[-2000:]
        parts = re.split(r"^mark\nanswer \d+\n", asked.stdout, flags=re.MULTILINE)[1:]
        return [list(csv.reader(io.StringIO(part))) for part in parts]


def start(folder: Path, terminal: Path, **environment: str) -> subprocess.Popen[str]:
    with terminal.open("w") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "musicbox_lib.sql.server"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(PROJECT)} | environment,
            stdout=said,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture(scope="module")
def night_lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("questions") / "lake"
    with the_lake(root):
        write_two_nights()
        yield root


@pytest.fixture(scope="module")
def server(night_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, terminal = tmp_path_factory.mktemp("server"), tmp_path_factory.mktemp("terminal") / "said"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = start(
        folder,
        terminal,
        MUSICBOX_SQL_PORT=str(port),
        MUSICBOX_SQL_REFRESH_SECONDS="2",
        MUSICBOX_DRIVER_MEMORY="1g",
        MUSICBOX_LOCAL_SHUFFLE_PARTITIONS="1",
        TMPDIR=str(folder),
    )
    started = Server(process, folder, port, terminal)
    try:
        eventually(lambda: "docs/questions.sql" in started.said or process.poll() is not None)
        assert process.poll() is None, started.said
        yield started
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


def eventually(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < end, "still not so after 120 s"
        time.sleep(0.2)


def plain(value: object) -> str:
    """A value of DuckDB's answer as text."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None).isoformat(" ")
    return str(value)


def plain_as(text: str, like: object) -> str:
    """A value of beeline's answer as text: a number where DuckDB has a float."""
    return f"{float(text):.9g}" if isinstance(like, float) and text != "NULL" else text


@pytest.fixture(scope="module")
def answers_of_the_server(server: Server) -> dict[str, Rows]:
    return dict(zip(ASKED, server.beeline(list(ASKED.values())), strict=True))


@pytest.mark.parametrize("words", ASKED)
def test_both_engines_give_the_same_answer(words: str, answers_of_the_server: dict[str, Rows]) -> None:
    here = ask(ASKED[words])
    rows = list(here.rows)
    assert rows, "a question without an answer shows nothing"
    header, *there = answers_of_the_server[words]
    assert header == list(here.columns)
    told = [list(map(plain_as, found, row)) for found, row in zip(there, rows, strict=True)]
    expected = [[plain(value) for value in row] for row in rows]
    if words in views():
        # A view promises its rows, a question their order too.
        told, expected = sorted(told), sorted(expected)
    assert told == expected


def test_the_greeting_names_the_address_and_only_this_machine_is_served(server: Server) -> None:
    assert f"jdbc:hive2://127.0.0.1:{server.port}/" in server.said
    assert f"{len(written()) + len(views())} tables and views" in server.said
    listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    addresses = re.findall(rf"([0-9A-F]+):{server.port:04X} [0-9A-F]+:0000 0A", listening)
    # 127.0.0.1, as such or mapped into IPv6, in the kernel's byte order.
    assert addresses in (["0100007F"], ["0000000000000000FFFF00000100007F"])


def written() -> list[str]:
    return [name for name, found in tables().items() if found.format == "delta" and lake.snapshot(name) is not None]


def every_file(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


WRITES = [
    "INSERT INTO scores.top3_recommendations SELECT * FROM scores.top3_recommendations",
    "INSERT OVERWRITE scores.top3_recommendations SELECT * FROM scores.top3_recommendations WHERE false",
    "UPDATE scores.top3_recommendations SET score = 0",
    "DELETE FROM scores.top3_recommendations",
    "MERGE INTO models.registry AS a USING models.registry AS b ON a.model_id = b.model_id WHEN MATCHED THEN DELETE",
    "TRUNCATE TABLE scores.top3_recommendations",
    "ALTER TABLE scores.top3_recommendations ADD COLUMNS (mine INT)",
    "ALTER TABLE scores.top3_recommendations SET TBLPROPERTIES ('delta.appendOnly' = 'true')",
    "RESTORE TABLE scores.top3_recommendations TO VERSION AS OF 0",
    "OPTIMIZE scores.top3_recommendations",
    "VACUUM scores.top3_recommendations",
    "CREATE OR REPLACE TABLE scores.top3_recommendations (mine INT) USING delta",
    "CREATE TABLE scores.top3_recommendations (mine INT)",
    "DROP TABLE scores.top3_recommendations",
    "DROP VIEW gold.track_features",
    "DROP DATABASE reports CASCADE",
    "CREATE OR REPLACE VIEW latest_recommendations AS SELECT 1 AS mine",
]


def test_nothing_that_is_said_to_the_server_changes_the_lake(server: Server, night_lake: Path) -> None:
    before = every_file(night_lake)
    *_, mine = server.beeline([*WRITES, "CREATE TABLE mine AS SELECT 1 AS a", "SELECT * FROM mine"])
    assert mine == [["a"], ["1"]], "a table of one's own is allowed, outside of the lake"
    assert every_file(night_lake) == before
    # What was dropped or replaced in the catalogue stands there again.
    tampered = ("scores.top3_recommendations", "gold.track_features", "reports.skip_rate", "latest_recommendations")
    counted = {name: len(list(ask(f"SELECT dt FROM {name}").rows)) for name in tampered}
    told = [[["n"], [str(rows)]] for rows in counted.values()]
    eventually(lambda: server.beeline([f"SELECT count(dt) AS n FROM {name}" for name in tampered]) == told)


def test_a_new_version_is_seen_at_once_and_a_new_table_soon(server: Server) -> None:
    count = "SELECT count(*) AS n FROM scores.top3_recommendations"
    [[_, [before]]] = server.beeline([count])
    more = {"dt": NIGHT, "user_id": "late", "rank": 1, "track_id": "t00", "score": 0.1, "propensity": 0.1}
    write("scores.top3_recommendations", [more | {"source": "actor", "reason_code": "exploring", "model_id": "x"}])
    assert server.beeline([count]) == [[["n"], [str(int(before) + 1)]]]
    assert "reports.skip_prediction" not in written()
    judged = {"dt": NIGHT, "task": "next_play", "model": "boosting", "measure": "auc", "value": 0.7, "lo": 0.6}
    write("reports.skip_prediction", [judged | {"hi": 0.8, "n_plays": 1, "n_sessions": 1, "n_users": 1}])
    eventually(lambda: server.beeline(["SELECT task FROM reports.skip_prediction"]) == [[["task"], ["next_play"]]])


def test_a_name_that_an_analyst_took_first_is_told_and_stops_nothing_else(server: Server) -> None:
    server.beeline(["CREATE TABLE models.baselines AS SELECT 1 AS mine"])
    fitted = {"dt": NIGHT, "policy": "als", "folder": "baselines-x"}
    write("models.baselines", [fitted])
    eventually(lambda: "models.baselines cannot be shown: " in server.said)
    assert server.process.poll() is None
    server.beeline(["DROP TABLE models.baselines"])
    eventually(lambda: server.beeline(["SELECT policy FROM models.baselines"]) == [[["policy"], ["als"]]])
    assert server.said.count("models.baselines cannot be shown: ") == 1


def test_an_interrupt_ends_the_server_without_a_trace_or_a_left_over(server: Server) -> None:
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(timeout=20) == 130
    assert server.said.splitlines()[-1].startswith("musicbox: stopped by SIGINT during the SQL server's work: ")
    assert "Traceback" not in server.said
    # Java's own libraries unpack themselves there and stay.
    left = [path.name for path in server.folder.rglob("*") if path.suffix not in {".so", ".lck"}]
    assert [name for name in left if not name.startswith("hsperf")] == []


def refusal_of(folder: Path, **environment: str) -> tuple[int, str]:
    process = start(folder, folder / "said", **environment)
    return process.wait(timeout=60), (folder / "said").read_text()


def test_a_taken_port_and_an_empty_lake_are_refused_in_one_sentence(night_lake: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, said = refusal_of(tmp_path, MUSICBOX_SQL_PORT=port)
    assert (code, said.count("\n")) == (4, 1)
    assert f"port {port} on 127.0.0.1 cannot be had" in said and "MUSICBOX_SQL_PORT" in said
    code, said = refusal_of(tmp_path, MUSICBOX_LAKE=str(tmp_path / "nothing"))
    assert (code, said.count("\n")) == (3, 1)
    assert "no table has been written yet" in said
