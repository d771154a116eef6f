"""Taking a table back: what changes, what is refused, and what the next night makes of it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import deltalake
import pytest
from deliveries import rows_of
from typer.testing import CliRunner

from musicbox_lib import lake
from musicbox_lib.cli import app
from musicbox_lib.contract.tables import table
from musicbox_lib.errors import Conflict, DataRefused, MusicBoxError, UsageError
from musicbox_lib.lake import ReadPartition, WritePartition, ledger
from musicbox_lib.lake.layout import create
from musicbox_lib.lake.ledger import enter
from musicbox_lib.lake.restore import plan, restore, versions
from musicbox_lib.landing.ingest import unknown_to_ledger
from musicbox_lib.landing.places import Delivery
from musicbox_lib.sql.ask import ask
from musicbox_lib.validation.days import days_to_judge

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NAME = "reports.diversity"
DAY = dt.date(2026, 11, 5)
BEFORE = DAY - dt.timedelta(days=1)
BRONZE, SILVER = "bronze.session_events", "silver.listening_events"


@pytest.fixture
def nights(spark: SparkSession, lake_root: Path) -> Path:
    """Version 2 has one night, 3 the next, 4 the next again with other numbers."""
    for day, gini in ((BEFORE, 0.1), (DAY, 0.2), (DAY, 0.9)):
        write(day, gini)
    return lake_root


def write(day: dt.date, gini: float) -> None:
    row = {"dt": day, "policy": "logged", "segment": "all", "n_slates": 3, "gini": gini}
    lake.overwrite_rows("diversity", [row], WritePartition.parse(f"{NAME}/dt={day}"), {"made": f"{gini}"})


def ginis() -> dict[dt.date, float]:
    return {row["dt"]: row["gini"] for row in rows_of(NAME)}


def run(*words: str) -> tuple[int, str]:
    """Exit code and output of `musicbox restore`."""
    asked = CliRunner().invoke(app.app, ["restore", *words])
    if isinstance(asked.exception, MusicBoxError):
        return asked.exception.exit_code, str(asked.exception)
    return asked.exit_code, asked.output


def test_the_version_before_is_put_back_in_a_new_one(nights: Path, spark: SparkSession) -> None:
    code, said = run(NAME, "--dry-run")
    assert (code, said.splitlines()[0]) == (
        0,
        f"{NAME}: version 3 in the place of 4. Days that change: {DAY}, with 1 rows then.",
    )
    assert lake.version_of(NAME) == 4
    code, said = run(NAME)
    assert (code, said.splitlines()[-1]) == (0, "Done, as version 5.")
    assert ginis() == {BEFORE: 0.1, DAY: 0.2}
    assert lake.read(spark, ReadPartition.parse(f"{NAME}/dt={DAY}")).first()["gini"] == 0.2  # type: ignore[index]
    assert list(ask(f"SELECT gini FROM {NAME} WHERE dt = '{DAY}'").rows) == [(0.2,)]
    line = max(ledger.lines(NAME), key=lambda one: one["version"])
    assert (line["job"], line["version"], line["days"], line["rows"]) == ("restore", 5, [DAY], 1)
    assert line["inputs"] == {"restored_version": "3"}
    # It is undone by the same command, and the next night writes as ever.
    assert run(NAME)[0] == 0
    assert ginis() == {BEFORE: 0.1, DAY: 0.9}
    write(DAY, 0.3)
    assert ginis() == {BEFORE: 0.1, DAY: 0.3}


def test_a_version_by_number_and_the_list(nights: Path) -> None:
    assert run(NAME, "--version", "2")[0] == 0
    assert ginis() == {BEFORE: 0.1}
    found = versions(NAME)
    assert [(one.version, one.job, one.days, one.rows) for one in found] == [
        (5, "restore", [DAY], 0),
        (4, "diversity", [DAY], 1),
        (3, "diversity", [DAY], 1),
        (2, "diversity", [BEFORE], 1),
        (1, "add constraint", [], None),
        (0, "create table", [], None),
    ]
    code, said = run(NAME, "--list")
    assert code == 0
    for one in found:
        assert one.run_id in said
    code, said = run(NAME, "--version", "5")
    assert (code, said.splitlines()[0]) == (0, f"{NAME} stands as version 5 had it: there is nothing to restore.")
    assert "add constraint" in said
    assert lake.version_of(NAME) == 5


def test_a_table_without_partitions(spark: SparkSession, lake_root: Path) -> None:
    partition = WritePartition.parse("models.registry")
    row = {"model_id": "a", "dt": DAY, "status": "champion", "promoted": True}
    lake.overwrite_rows("registry", [row], partition)
    lake.overwrite_rows("registry", [row | {"status": "retired"}, row | {"model_id": "b"}], partition)
    assert str(plan("models.registry", None)).endswith(
        "version 2 in the place of 3. Days that change: all, with 1 rows then."
    )
    assert run("models.registry")[0] == 0
    assert [(row["model_id"], row["status"]) for row in rows_of("models.registry")] == [("a", "champion")]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["gold.nothing"], 2, "there is no table 'gold.nothing'"),
        (["landing.tracks"], 2, "landing.tracks is a folder of delivered files"),
        (["ops.run_ledger"], 2, "ops.run_ledger is append only"),
        (["gold.track_features"], 3, "gold.track_features has not been written yet"),
        ([NAME, "--version", "9"], 3, f"{NAME} has no version 9, the newest is 4; nothing was changed."),
        ([NAME, "--version", "-1"], 3, f"{NAME} has no version -1"),
    ],
)
def test_what_is_not_there_is_refused(nights: Path, words: list[str], code: int, sentence: str) -> None:
    found = run(*words)
    assert found[0] == code
    assert found[1].startswith(sentence)
    assert lake.version_of(NAME) == 4


def test_vacuumed_files_and_a_shortened_log_are_refused(nights: Path) -> None:
    removed = set(deltalake.DeltaTable(lake.path_of(NAME), version=3).file_uris()) - set(
        deltalake.DeltaTable(lake.path_of(NAME)).file_uris()
    )
    for path in removed:
        Path(path.removeprefix("file://")).unlink()
    with pytest.raises(DataRefused, match="1 of the 2 files of version 3 were vacuumed; nothing was changed"):
        plan(NAME, 3)
    deltalake.DeltaTable(lake.path_of(NAME)).create_checkpoint()
    for version in range(4):
        (Path(lake.path_of(NAME)) / "_delta_log" / f"{version:020}.json").unlink()
    with pytest.raises(DataRefused, match="version 2 stands in its log no more; nothing was changed"):
        plan(NAME, 2)
    assert ginis() == {BEFORE: 0.1, DAY: 0.9}


def test_a_write_in_between_is_a_conflict(nights: Path) -> None:
    planned = plan(NAME, 3)
    write(DAY, 0.5)
    with pytest.raises(Conflict, match="was written meanwhile"):
        restore(planned)
    assert ginis()[DAY] == 0.5


def test_who_was_forgotten_does_not_come_back(nights: Path) -> None:
    enter("forget_user", WritePartition.parse(f"{NAME}/dt={DAY}"), 4, 1, [DAY], {})
    with pytest.raises(DataRefused, match="version 3 is older than 4, which a user was deleted in"):
        plan(NAME, 3)
    assert not plan(NAME, 4).changes


def test_a_restored_table_is_held_to_its_checks_again(nights: Path) -> None:
    assert run(NAME, "--version", "0")[0] == 0
    assert ginis() == {}
    with pytest.raises(DataRefused, match="break the check shares_range"):
        write(DAY, 7.0)
    write(DAY, 0.4)
    assert ginis() == {DAY: 0.4}


def test_without_an_earlier_version_there_is_nothing_to_undo(spark: SparkSession, lake_root: Path) -> None:
    create(table(NAME))
    with pytest.raises(DataRefused, match="has no earlier version that differs from the present 1"):
        plan(NAME, None)
    with pytest.raises(UsageError):
        plan("no table", None)


def bronze(day: dt.date, mark: str) -> None:
    row = {"dt": day, "file": "log.csv", "line": 2, "raw_line": mark, "is_parsed": True}
    word = WritePartition.parse(f"{BRONZE}/dt={day}")
    lake.overwrite_rows("session_events", [row], word, {f"session_logs/dt={day}/log.csv": mark})


def silver(day: dt.date, session: str) -> None:
    row: dict[str, Any] = {"dt": day, "session_id": session, "session_position": 1, "track_id": "t", "user_id": "u"}
    row |= {"session_date": day, "session_hour": 9}
    lake.overwrite_rows("listening_events", [row], WritePartition.parse(f"{SILVER}/dt={day}"), {BRONZE: "1"})


def landed(day: dt.date, mark: str) -> Delivery:
    path = f"session_logs/dt={day}/log.csv"
    return Delivery(day, "log.csv", path, path, path, mark)


def to_judge(day: dt.date) -> list[dt.date]:
    return days_to_judge(ReadPartition.parse(f"{BRONZE}/dt=..{day}"), WritePartition.parse(f"{SILVER}/dt=..{day}"))


@pytest.fixture
def ingested(spark: SparkSession, lake_root: Path) -> Path:
    """Two days ingested and judged."""
    for day in (BEFORE, DAY):
        bronze(day, f"first {day}")
        silver(day, f"s{day}")
    return lake_root


def test_a_day_that_bronze_lost_is_ingested_and_judged_anew(ingested: Path) -> None:
    tomorrow = DAY + dt.timedelta(days=1)
    files = [landed(day, f"first {day}") for day in (BEFORE, DAY)]
    assert (unknown_to_ledger(files, BRONZE), to_judge(tomorrow)) == ([], [])
    assert run(BRONZE)[0] == 0
    assert lake.days_of(BRONZE) == [BEFORE]
    assert unknown_to_ledger(files, BRONZE) == files[1:]
    bronze(DAY, f"first {DAY}")
    assert unknown_to_ledger(files, BRONZE) == []
    assert to_judge(tomorrow) == [DAY]


def test_a_day_that_silver_lost_is_judged_anew(ingested: Path) -> None:
    tomorrow = DAY + dt.timedelta(days=1)
    assert run(SILVER)[0] == 0
    assert lake.days_of(SILVER) == [BEFORE]
    assert to_judge(tomorrow) == [DAY]


def test_an_older_state_of_a_bronze_day_is_known_by_its_own_files_and_judged_anew(ingested: Path) -> None:
    tomorrow = DAY + dt.timedelta(days=1)
    bronze(DAY, "spoilt")
    silver(DAY, "spoilt")
    assert run(BRONZE)[0] == 0
    assert [row["raw_line"] for row in rows_of(BRONZE) if row["dt"] == DAY] == [f"first {DAY}"]
    # The spoilt file still lies in landing: it is ingested again. Withdrawn, the restored day is the known one.
    assert unknown_to_ledger([landed(DAY, "spoilt")], BRONZE) == [landed(DAY, "spoilt")]
    assert unknown_to_ledger([landed(DAY, f"first {DAY}")], BRONZE) == []
    assert to_judge(tomorrow) == [DAY]


def test_an_older_state_of_a_silver_day_stands(ingested: Path) -> None:
    tomorrow = DAY + dt.timedelta(days=1)
    silver(DAY, "spoilt")
    assert run(SILVER)[0] == 0
    assert sorted(row["session_id"] for row in rows_of(SILVER)) == [f"s{BEFORE}", f"s{DAY}"]
    assert to_judge(tomorrow) == []
    bronze(DAY, "again")
    assert to_judge(tomorrow) == [DAY]


def test_a_restore_of_a_restore_is_read_from_the_ledger(ingested: Path) -> None:
    files = [landed(DAY, f"first {DAY}")]
    assert run(BRONZE)[0] == 0
    assert unknown_to_ledger(files, BRONZE) == files
    assert run(BRONZE)[0] == 0
    assert lake.days_of(BRONZE) == [BEFORE, DAY]
    assert unknown_to_ledger(files, BRONZE) == []
