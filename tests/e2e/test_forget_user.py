"""A user forgotten: in no byte of the lake, nobody else changed, the next night finds nothing new."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deliveries import DAY, OFFICIAL, as_csv, deliver, plays, rows_of, run, versions
from lake_content import the_lake
from small_night import write
from typer.testing import CliRunner

from musicbox_lib import lake
from musicbox_lib import settings as settings_module
from musicbox_lib.cli.app import app
from musicbox_lib.errors import DataRefused, UsageError
from musicbox_lib.lake import files as lake_files
from musicbox_lib.landing import ingest, pseudonyms
from musicbox_lib.privacy import receipts
from musicbox_lib.privacy.forget import forget, look
from musicbox_lib.privacy.landed import Copies
from musicbox_lib.privacy.traces import Traces
from musicbox_lib.settings import PROJECT

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Two nights, and several more of the tests' own.
pytestmark = pytest.mark.slow

BEFORE = DAY - dt.timedelta(days=1)
GONE, SESSIONS = "gone-user-7001", ("first-of-gone", "second-of-gone", "third-of-gone", "mapped-of-gone")
NEAR = GONE[:-1]
"""Somebody else, whose id is the beginning of theirs."""
TABLES = (
    *("bronze.session_events", "silver.listening_events", "silver.rejected_events"),
    *("gold.last_sessions", "training.transitions", "scores.top3_recommendations"),
    "silver.validation_examples",
)


def of(user: str, *sessions: str, day: dt.date = DAY) -> list[dict[str, str]]:
    return [row | {"user_id": user} for session in sessions for row in plays(session, 10, day)]


def deliver_everything(root: Path) -> None:
    """Two days with good rows, a session in quarantine, broken lines, a session that only session_users knows."""
    others = [row for number in range(6) for row in of(f"other-{number}", f"o-{number}", day=BEFORE)]
    # One row of the second session says whose it is, the others say nothing; the last does not fit its columns.
    second = [row | {"user_id": GONE if at == 3 else ""} for at, row in enumerate(of("", SESSIONS[1], day=BEFORE))]
    second[9] |= {"hour_of_day": "late"}
    deliver(root, as_csv([*others, *of(GONE, SESSIONS[0], day=BEFORE), *second]), "early.csv.gz", BEFORE)
    incomplete = of(GONE, SESSIONS[2])[:4]
    broken = [f"torn,{GONE},0.5", f'x,"{SESSIONS[2]} {GONE}', f"{NEAR},1"]
    deliver(root, as_csv([*(row for n in range(9) for row in of(f"other-{n}", f"p-{n}")), *incomplete, *broken]))
    nameless = [row for name in (SESSIONS[3], "mapped-of-other") for row in plays(name)]
    deliver(root, as_csv(nameless, OFFICIAL), "nameless.csv")
    users = root / "landing" / "session_users" / "users.csv"
    users.parent.mkdir(parents=True)
    users.write_text(f"session_id,user_id\n{SESSIONS[3]},{GONE}\nmapped-of-other,other-1\n")


def night() -> None:
    """The first two jobs of two nights, and what the later jobs would have written of two users."""
    for day in (BEFORE, DAY):
        run("session_events", day)
        run("listening_events", day)
    for user, session in ((GONE, SESSIONS[0]), ("other-1", "o-1")):
        context = {"dt": DAY, "fold": 1, "track_ids": ["t"], "skip_grades": [0], "n_in_session": 1, "user_plays": 1}
        context |= {"user_skips": 0, "session_dt": BEFORE, "hour_of_day": 1, "is_shuffle": False, "premium": True}
        write("gold.last_sessions", [context | {"user_id": user, "session_id": session, "context_type": "catalog"}])
        step = {"dt": DAY, "fold": 1, "session_position": 1, "track_id": "t", "o_tm1": [0.5], "a_tm1": [0.5, 0.1]}
        step |= {"r_t": 1.0, "d_t": 0.0, "o_t": [0.0]}
        write("training.transitions", [step | {"user_id": user, "session_id": session}])
        slate = {"dt": DAY, "rank": 1, "track_id": "t", "score": 1.0, "propensity": 0.5, "source": "actor"}
        write("scores.top3_recommendations", [slate | {"user_id": user, "reason_code": "exploring", "model_id": "m"}])


def everything_in(root: Path) -> Iterator[tuple[str, bytes]]:
    """Every file's bytes; of gzip files also what is packed, of Parquet files every value of every column."""
    for path in sorted(root.rglob("*")):
        if not path.is_file():
            continue
        name, content = str(path.relative_to(root)), path.read_bytes()
        yield name, name.encode() + content
        if path.name.endswith(".gz"):
            yield name, gzip.decompress(content)
        if path.name.endswith(".parquet"):
            yield name, json.dumps(pq.ParquetFile(path).read().to_pylist(), default=str).encode()


def holders(root: Path, *words: str) -> list[str]:
    """The files with any of the words."""
    ids = [word.encode() for word in words]
    return [name for name, content in everything_in(root) if any(one in content for one in ids)]


def in_a_process_of_its_own(*words: str) -> str:
    """What the command line says, without a JVM: here Spark's session would be at hand."""
    program = "from musicbox_lib.cli.app import main; main()"
    given = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False, env=given
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows_but(name: str) -> list[str]:
    """A table's rows without the user's, in one order."""
    words = (GONE, *SESSIONS)
    rows = [str(sorted(row.items())) for row in rows_of(name)]
    return sorted(row for row in rows if not any(word in row for word in words))


@pytest.fixture(scope="module")
def made(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("made") / "lake"
    with the_lake(root):
        deliver_everything(root)
        night()
    yield root


@pytest.fixture
def full(made: Path, lake_root: Path) -> Path:
    """A copy with the files' own times: by them the ledger knows the deliveries."""
    shutil.copytree(made, lake_root)
    return lake_root


def test_no_byte_of_the_lake_holds_a_forgotten_user(full: Path) -> None:
    held = holders(full, GONE, *SESSIONS)
    assert {name.split("/part-")[0].split("/dt=")[0] for name in held} == {
        *(name.replace(".", "/") for name in TABLES),
        "landing/session_logs",
        "landing/session_users/users.csv",
    }, "no log names a user, and every table and delivery does"
    others, events = {name: rows_but(name) for name in TABLES}, len(rows_of("silver.listening_events"))
    before = versions()

    dry = CliRunner().invoke(app, ["forget-user", GONE, "--dry-run"])
    assert (dry.exit_code, versions()) == (0, before), dry.output
    assert "A dry run" in dry.output
    assert GONE not in dry.output

    receipt, found = forget(GONE, vacuum_days=0)
    assert holders(full, GONE, *SESSIONS) == []
    assert {name: rows_but(name) for name in TABLES} == others
    assert {name: len(rows_of(name)) for name in TABLES} == {name: len(rows) for name, rows in others.items()}
    assert len(rows_of("silver.listening_events")) == events - 29, (
        "the first session, the mapped one, the second but a row"
    )
    # Two whole sessions; the mapped one, four rows in quarantine and two torn lines.
    assert found.tables["bronze.session_events"] == {BEFORE: 20, DAY: 16}
    assert sum(found.logs.values()) == 20 + 16 + 1
    assert (receipt.completed is not None, receipt.pending_until) == (True, None)
    assert receipt.tables["bronze.session_events"]["rows"] == 36
    one_commit = {"silver.rejected_events", "bronze.session_events", "silver.listening_events"}
    after = versions()
    assert {name for name in one_commit if after[name] - before[name] - 2 != 1} == set(), (
        "one commit and one VACUUM each"
    )
    # Who asks hears it, and nothing else happens.
    assert CliRunner().invoke(app, ["forget-user", GONE]).output.startswith(f"Forgotten: receipt {receipt.number}.")
    assert versions() == after


def test_the_next_night_finds_nothing_new_and_a_fresh_one_the_same(full: Path) -> None:
    forget(GONE, vacuum_days=0)
    rows = {name: rows_but(name) for name in TABLES[:3]}
    ledger = len(rows_of("ops.run_ledger"))
    run("session_events")
    run("listening_events")
    assert {name: rows_but(name) for name in TABLES[:3]} == rows
    lines = sorted(rows_of("ops.run_ledger"), key=lambda row: row["written_at"])[ledger:]
    assert {tuple(row["days"]) for row in lines} == {(DAY,)}, "the day before is known as it is now"
    for name in TABLES[:3]:
        lake_files.vacuum(name, 0)
    # From the beginning, on what landing holds now.
    for name in (*TABLES[:3], "ops.run_ledger", "silver.validation_results"):
        shutil.rmtree(lake.path_of(name))
    run("session_events", BEFORE)
    run("listening_events", BEFORE)
    run("session_events")
    run("listening_events")
    assert {name: rows_but(name) for name in TABLES[:3]} == rows
    assert holders(full / "bronze", GONE, *SESSIONS) == []


@pytest.mark.parametrize("at", range(8))
def test_a_killed_run_is_completed_by_the_next(full: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Killed before each commit, before landing is put in place, and before its end."""
    steps = iter(range(100))

    def dies(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*given: Any, **named: Any) -> Any:
            if next(steps) == at:
                raise KeyboardInterrupt
            return real(*given, **named)

        return step

    with monkeypatch.context() as killed:
        killed.setattr(lake, "rewrite", dies(lake.rewrite))
        killed.setattr(Copies, "publish", dies(Copies.publish))
        killed.setattr(lake_files, "vacuum", dies(lake_files.vacuum))
        with pytest.raises(KeyboardInterrupt):
            forget(GONE, vacuum_days=0)
    others = {name: rows_but(name) for name in TABLES}
    receipt, _ = forget(GONE, vacuum_days=0)
    assert (receipt.number, receipt.completed is not None) == ("000001", True)
    assert holders(full, GONE, *SESSIONS) == []
    assert {name: rows_but(name) for name in TABLES} == others


def test_replaced_files_wait_for_vacuum_and_then_complete_the_receipt(full: Path) -> None:
    said = [in_a_process_of_its_own(*words) for words in (("forget-user", GONE), ("maintain", "vacuum"))]
    assert "Forgotten: receipt 000001. No table shows" in said[0]
    [receipt] = receipts.all_receipts()
    assert receipt.completed is None
    assert receipt.pending_until is not None
    removed = dt.datetime.fromisoformat(receipt.removed or "")
    assert dt.datetime.fromisoformat(receipt.pending_until) - removed > dt.timedelta(days=6, hours=23)
    assert holders(full, GONE) != []
    assert not any(GONE in str(row) for name in TABLES for row in rows_of(name))
    again, found = forget(GONE, vacuum_days=0)
    assert (again.number, bool(found), again.completed is not None) == (receipt.number, False, True)
    assert holders(full, GONE, *SESSIONS) == []


def test_an_unknown_user_is_refused_and_nothing_changes(full: Path) -> None:
    before, files = versions(), sorted(full.rglob("*"))
    for word in ("nobody-7001", "gone", "catalog", "'; --"):
        with pytest.raises(DataRefused, match="nothing was changed"):
            forget(word, vacuum_days=0)
    with pytest.raises(UsageError, match="empty"):
        look(" ")
    assert versions() == before
    assert [path for path in sorted(full.rglob("*")) if path not in files and ".locks" not in str(path)] == []


def test_a_session_of_nobody_is_its_own_user(spark: SparkSession, lake_root: Path) -> None:
    deliver(lake_root, as_csv([row for name in ("lonely", "other") for row in plays(name)], OFFICIAL))
    run("session_events")
    run("listening_events")
    _, found = forget("lonely", vacuum_days=0)
    assert found.tables["bronze.session_events"] == {DAY: 10}
    assert holders(lake_root, "lonely") == []
    assert {row["user_id"] for row in rows_of("silver.listening_events")} == {"other"}


def test_a_delivery_of_one_user_alone_goes_as_a_whole(spark: SparkSession, lake_root: Path) -> None:
    """A header without rows is a delivery that the next night would refuse."""
    deliver(lake_root, as_csv(of("other", "o", "p")))
    alone = deliver(lake_root, as_csv(of(GONE, SESSIONS[0])), "alone.csv")
    run("session_events")
    run("listening_events")
    forget(GONE, vacuum_days=0)
    assert not alone.exists()
    run("session_events")
    assert len(rows_of("bronze.session_events")) == 20


@pytest.mark.parametrize("by_pseudonym", [False, True])
def test_under_a_key_no_delivered_id_is_outside_landing(
    spark: SparkSession, lake_root: Path, monkeypatch: pytest.MonkeyPatch, by_pseudonym: bool
) -> None:
    monkeypatch.setenv("MUSICBOX_USER_KEY", "a key of the tests, 7001")
    settings_module.settings.cache_clear()
    deliver_everything(lake_root)
    for day in (BEFORE, DAY):
        run("session_events", day)
        run("listening_events", day)
    users = [GONE, *(f"other-{number}" for number in range(9))]
    assert {name for name in holders(lake_root, *users) if not name.startswith("landing/")} == set()
    name = pseudonyms.pseudonym(GONE, b"a key of the tests, 7001")
    assert name in {row["user_id"] for row in rows_of("silver.listening_events")}
    others = sorted(row["session_id"] for row in rows_of("silver.listening_events") if row["user_id"] != name)
    receipt, found = forget(name if by_pseudonym else GONE, vacuum_days=0)
    assert found.tables["bronze.session_events"] == {BEFORE: 20, DAY: 16}, "masked lines go by file and line"
    assert holders(lake_root, GONE, name, *SESSIONS) == []
    assert sorted(row["session_id"] for row in rows_of("silver.listening_events")) == others
    assert receipt.scheme == "hmac-sha256"
    for asked in (GONE, name):
        found_again = receipts.receipt_of(asked)
        assert found_again is not None
        assert found_again.number == receipt.number
    # Another key is another pseudonym: every delivery that landing still holds is ingested anew.
    monkeypatch.setenv("MUSICBOX_USER_KEY", "another key of the tests")
    settings_module.settings.cache_clear()
    assert receipts.receipt_of(GONE) is None
    known = {
        mark.rpartition(":")[2] for row in rows_of("ops.run_ledger") for path, mark in row["inputs"] if "/" in path
    }
    assert pseudonyms.key_mark() not in known
    run("session_events")
    assert {row["user_id"] for row in rows_of("bronze.session_events")}.isdisjoint(
        pseudonyms.pseudonym(user, b"a key of the tests, 7001") for user in users
    )
    assert ingest.delivered_on(DAY, {"receipt": "000001"}) == {}


def test_a_broken_line_is_theirs_by_whole_words() -> None:
    traces = Traces({"u-1"}, {"s,1", "s.1"})
    assert [traces.is_in_text(line) for line in ('a,"u-1', "u-1\x00,b", "x u-1", "s.1,9")] == [True] * 4
    usual = Traces({"catalog", "true", "17", "2026-11-05", "0.25"})
    assert not usual.is_in_text("x,catalog,True,17,2026-11-05,0.25")
    assert [traces.is_in_text(line) for line in ("u-11,b", "au-1", "u-1.5", "", "s.11,s.")] == [False] * 5


def test_both_writers_withhold_statistics_and_count_rows(full: Path) -> None:
    """Spark's writes and delta-rs's, also on a table made before."""
    name = "bronze.session_events"
    files = pa.table(deltalake.DeltaTable(lake.path_of(name)).get_add_actions(flatten=True))
    assert not [column for column in files.column_names if column.startswith(("min.", "max."))]
    assert sum(files.column("num_records").to_pylist()) == len(rows_of(name))
    deltalake.DeltaTable(lake.path_of(name)).alter.set_table_properties({"delta.dataSkippingNumIndexedCols": "32"})
    run("session_events")
    held = deltalake.DeltaTable(lake.path_of(name))
    assert held.metadata().configuration["delta.dataSkippingNumIndexedCols"] == "0"
    files = pa.table(held.get_add_actions(flatten=True))
    assert not [column for column in files.column_names if column.startswith(("min.", "max."))]
