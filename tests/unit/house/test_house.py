"""One noun, five places: schema, transform, job, task and table name each other."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from musicbox_lib.contract.jobs import job
from musicbox_lib.settings import PROJECT

JOBS = sorted(path.stem for path in (PROJECT / "jobs").glob("*.py") if path.stem != "__init__")
WRITES = {"write_deltalake", "saveAsTable", "add_constraint", "drop_constraint", "create_checkpoint"}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_is_named_after_what_it_writes_and_fits_one_screen(name: str) -> None:
    assert name in {written.partition(".")[2] for written in job(name).writes} or name == "trainer"
    assert len((PROJECT / "jobs" / f"{name}.py").read_text().splitlines()) <= 65


def test_every_job_is_a_task_of_a_dag() -> None:
    bodies = "".join(path.read_text() for path in (PROJECT / "dags").glob("*.py"))
    assert [name for name in JOBS if f"job.{name}(" not in bodies] == []


def modules() -> list[Path]:
    return sorted((PROJECT / "musicbox_lib").rglob("*.py"))


def test_no_module_has_a_name_that_says_nothing() -> None:
    empty = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
    assert [path for path in modules() if path.stem in empty] == []


def test_no_two_test_files_share_a_name() -> None:
    """Pytest imports them by their bare names: of two alike the second cannot be collected beside the first."""
    names = Counter(path.name for path in (PROJECT / "tests").rglob("*.py") if path.name != "conftest.py")
    assert [name for name, files in names.items() if files > 1] == []


def test_only_the_reader_imports_petastorm_and_only_the_lake_writes() -> None:
    importers, writers = [], []
    for path in modules():
        tree = ast.parse(path.read_text())
        names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        if any(name.split(".")[0] == "petastorm" for name in names):
            importers.append(path.name)
        attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        if "replaceWhere" in path.read_text() or attributes & WRITES:
            writers.append(path.name)
    assert importers == ["reader.py"]
    # lake/files.py changes a table's files and none of its rows: OPTIMIZE, VACUUM, a log cut short.
    writers = sorted(name for name in writers if name != "class_archive.py")
    assert writers == ["files.py", "layout.py", "ledger.py", "write.py"]


def test_only_the_evaluation_and_the_generator_open_the_truth() -> None:
    openers = {
        path.relative_to(PROJECT / "musicbox_lib").parts[0]
        for path in modules()
        if "Truth.open" in path.read_text() or "import Truth" in path.read_text()
    }
    assert openers <= {"evaluation", "synthetic", "cli"}
