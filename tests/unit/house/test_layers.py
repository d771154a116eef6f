"""The layout of musicbox_lib: what its packages import of each other, and how large a file may become.

import-linter checks the layers and who may import which outside library (`make lint`); this counts cycles and sizes.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from musicbox_lib.contract.tables import tables
from musicbox_lib.settings import PROJECT, settings

PACKAGE = PROJECT / "musicbox_lib"
PACKAGES = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
ARE_TESTS = {"testing"}
"""Packages that are tests themselves, which those of other packages run."""
ENTRIES, FILE_LINES, FUNCTION_LINES, JOB_LINES = 26, 400, 70, 65
LONGER_FILES = {"tests/faults/test_words_from_outside.py"}
"""Files that are still longer: to be split."""
LONGER_FUNCTIONS = {
    "bench/ingest_duckdb.py: ingest",
    "musicbox_lib/machine/stopping.py: stoppable",
    "tests/support/tiny_lake.py: write_lake",
}
"""Functions that are still longer: to be shortened. The bench's is one SQL statement after another."""


def package_of(module: str) -> str:
    """`lake` for `musicbox_lib.lake.files`, `settings` for the module at the root, '' for the package itself."""
    return module.split(".")[1] if "." in module else ""


def imported(path: Path) -> set[str]:
    """The packages that a file imports, anywhere in it: at its top, in a function, for types only."""
    packages = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "musicbox_lib":
            packages |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("musicbox_lib."):
            packages.add(package_of(node.module or ""))
        elif isinstance(node, ast.Import):
            packages |= {package_of(alias.name) for alias in node.names if alias.name.startswith("musicbox_lib.")}
    return packages


def imports() -> dict[str, set[str]]:
    """Each package, or module at the root, with the others that it imports."""
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        package = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        found.setdefault(package, set()).update(imported(path) - {package})
    return found


def reached(package: str, of: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    ahead = set(of[package])
    while ahead:
        seen |= ahead
        ahead = {after for name in ahead for after in of.get(name, ())} - seen
    return seen


def test_no_package_reaches_itself_through_the_packages_that_it_imports() -> None:
    of = imports()
    assert {"lake", "policies", "cli"} <= set(of)
    assert [package for package in of if package in reached(package, of)] == []


def test_the_root_of_the_package_can_be_taken_in_at_a_glance() -> None:
    entries = {path.name for path in PACKAGE.iterdir()} - {"__pycache__"}
    assert len(entries) <= ENTRIES, sorted(entries)


def python_files() -> list[Path]:
    command = ["git", "ls-files", "-co", "--exclude-standard", "*.py"]
    listed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [PROJECT / name for name in listed if (PROJECT / name).is_file()]


def test_no_file_is_longer_than_a_reader_keeps_in_mind() -> None:
    lengths = {str(path.relative_to(PROJECT)): len(path.read_text().splitlines()) for path in python_files()}
    assert len(lengths) > 100
    assert {name for name, length in lengths.items() if length > FILE_LINES} == LONGER_FILES


def test_no_function_is_longer_than_a_screen_and_a_half() -> None:
    long = set()
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > FUNCTION_LINES:
                    long.add(f"{path.relative_to(PROJECT)}: {node.name}")
    assert long == LONGER_FUNCTIONS


def test_no_job_is_longer_than_a_screen() -> None:
    lengths = {path.stem: len(path.read_text().splitlines()) for path in (PROJECT / "jobs").glob("*.py")}
    assert {name: length for name, length in lengths.items() if length > JOB_LINES} == {}


@pytest.mark.parametrize("package", sorted({*PACKAGES} - ARE_TESTS))
def test_every_package_has_a_folder_of_tests(package: str) -> None:
    folders = [PROJECT / "tests" / environment / package for environment in ("unit", "train", "dags")]
    assert any(list(folder.glob("test_*.py")) for folder in folders)


def test_a_table_is_declared_in_the_folder_of_its_stage() -> None:
    files = sorted(settings().schemas.glob("*/*.yaml"))
    assert len(files) == len(tables())
    assert [f"{path.parent.name[2:]}.{path.stem}" for path in files] == [
        yaml.safe_load(path.read_text())["table"] for path in files
    ]


@pytest.mark.parametrize(
    "module", ["lake", "contract.tables", "contract.jobs", "blocks.contexts", "landing.deliveries", "orchestration.job"]
)
def test_a_module_that_works_without_a_cluster_imports_no_spark(module: str) -> None:
    words = f"import sys, musicbox_lib.{module}; sys.exit('pyspark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words], cwd=PROJECT, check=False).returncode == 0


def test_what_runs_before_the_environments_are_made_needs_python_alone() -> None:
    words = "import musicbox_lib.machine.java"
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-c", words], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
