"""A job is declared once: its program, its tasks and every sentence that names it agree with the declaration."""

from __future__ import annotations

import datetime as dt
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from musicbox_lib import lake
from musicbox_lib.contract.jobs import JOBS, Job, Read, Value, Write, job, option, writer_of
from musicbox_lib.contract.tables import tables
from musicbox_lib.errors import DataRefused, UsageError
from musicbox_lib.lake import ReadPartition, WritePartition
from musicbox_lib.orchestration import job as programs
from musicbox_lib.settings import PROJECT

DELTA = sorted(name for name, table in tables().items() if table.format == "delta")
KINDS = {"date": dt.date, "int": int, "path": Path, "text": str | None}
RUN = {"day": "2026-11-05", "day_before": "2026-11-04", "training_from": "2026-10-07", "seed": "1", "models": "models"}


def test_every_program_is_declared_and_every_declaration_has_its_program() -> None:
    assert sorted(declared.name for declared in JOBS) == sorted(
        path.stem for path in (PROJECT / "jobs").glob("*.py") if path.stem != "__init__"
    )


@pytest.mark.parametrize("declared", JOBS, ids=lambda declared: declared.name)
def test_main_takes_exactly_the_declared_arguments(declared: Job) -> None:
    main = programs.program(programs.path_of(declared.name)).main
    expected = {
        given.name: KINDS[given.kind]
        if isinstance(given, Value)
        else WritePartition
        if isinstance(given, Write)
        else ReadPartition
        for given in declared.arguments
    }
    taken = inspect.signature(main, eval_str=True).parameters
    assert {name: parameter.annotation for name, parameter in taken.items()} == expected
    assert list(taken) == list(expected)


@pytest.mark.parametrize("declared", JOBS, ids=lambda declared: declared.name)
def test_the_parser_reads_the_words_of_a_run(declared: Job) -> None:
    given = vars(programs.parser(declared.name).parse_args(declared.words(**RUN)))
    assert list(given) == [argument.name for argument in declared.arguments]
    assert {str(part.table.name) for part in given.values() if isinstance(part, ReadPartition)} == set(declared.reads)
    assert {str(part.table.name) for part in given.values() if isinstance(part, WritePartition)} == set(declared.writes)


def test_an_optional_value_is_left_out_of_the_words() -> None:
    assert option("model") not in job("registry").words(**RUN)


def test_a_day_that_a_run_does_not_give_is_an_error() -> None:
    with pytest.raises(KeyError, match="training_from"):
        job("transitions").words(day="2026-11-05")


def test_every_table_is_written_by_exactly_one_job() -> None:
    written = [name for declared in JOBS for name in declared.writes]
    assert sorted([*written, "ops.run_ledger"]) == DELTA


def test_jobs_stand_in_an_order_in_which_they_can_run() -> None:
    written = {"models.registry", "models.baselines"}
    for declared in JOBS:
        assert set(declared.reads) - written - set(declared.writes) == set(), declared.name
        written |= set(declared.writes)


@pytest.mark.parametrize("name", DELTA)
def test_the_refusal_of_a_missing_table_names_the_job_that_writes_it(name: str, lake_root: Path) -> None:
    word = f"{name}/dt=2026-11-05" if tables()[name].partition else name
    with pytest.raises(DataRefused, match=r"run the job (\w+)") as refusal:
        lake.read(_no_session(), ReadPartition.parse(word))
    named = str(refusal.value).partition("run the job ")[2].split()[0]
    assert named == writer_of(name)
    assert named in {declared.name for declared in JOBS}
    assert name in job(named).writes or name == "ops.run_ledger"


@pytest.mark.parametrize("declared", JOBS, ids=lambda declared: declared.name)
def test_an_argument_takes_its_own_table_alone(declared: Job) -> None:
    """Also a table that no job writes: a refusal could name none."""
    words = declared.words(**RUN)
    for given in declared.arguments:
        if isinstance(given, Value):
            continue
        at = words.index(option(given.name)) + 1
        for other in ("landing.tracks", "landing.session_logs/dt=2026-11-05", "ops.run_ledger"):
            with pytest.raises(UsageError, match=rf"^{option(given.name)} takes a partition of {given.table}, not"):
                programs.parser(declared.name).parse_args([*words[:at], other, *words[at + 1 :]])


def test_every_sentence_that_says_run_the_job_names_a_job() -> None:
    names = {declared.name for declared in JOBS}
    sentences = 0
    for path in (*(PROJECT / "musicbox_lib").rglob("*.py"), *(PROJECT / "jobs").glob("*.py")):
        if path.name == "jobs.py":
            continue
        for named in re.findall(r"\b(?:run|mend) the job (\{[^}]*\}|\w+)", path.read_text()):
            assert named in names or named == "{writer}" or named.startswith("{writer_of("), (path.name, named)
            sentences += 1
    assert sentences >= 10


def test_a_table_that_no_job_writes_has_no_writer() -> None:
    with pytest.raises(KeyError):
        writer_of("landing.tracks")


def _no_session() -> Any:
    """A missing table is refused before Spark is asked for anything."""
    return None


def test_a_read_and_a_write_of_one_table_differ() -> None:
    days = "dt={day}"
    assert Read("gold.track_features", days) != Write("gold.track_features", days)
