"""Compare two versions of the suite: the same rows in every table, the same bytes in every model.

`.venv/bin/python tests/e2e/two_versions.py --before REV [--after REV] [--changed NAME ...]` checks out both
commits beside each other with this checkout's environments, runs `make demo` in each (one generated world, a training,
two nights; about seven minutes each on two cores) and compares every row of every Delta table and every file of every
model folder. A deliberate change is named with `--changed`: `TABLE.COLUMN` or a model file, `*` for any part. Ends with
0 where nothing else differs.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tempfile
from fnmatch import fnmatch
from pathlib import Path

import duckdb
from deltalake import DeltaTable

PROJECT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = (".venv", ".venv-airflow", ".venv-train")
# Each run has its own ids and times, and each version its own name.
OF_THE_RUN = {"ops.run_ledger"}
OF_THE_VERSION = {"code_version"}
SHIM = """#!{python}
import importlib, sys, tomllib
from pathlib import Path
with Path({pyproject!r}).open("rb") as file:
    module, function = tomllib.load(file)["project"]["scripts"]["musicbox"].split(":")
sys.exit(getattr(importlib.import_module(module), function)())
"""


def checked_out(revision: str, place: Path) -> Path:
    """A work tree of that commit with this checkout's environments, of which `musicbox` runs the tree's own code."""
    subprocess.run(["git", "worktree", "add", "--quiet", "--detach", place, revision], cwd=PROJECT, check=True)
    for name in ENVIRONMENTS:
        real, ours = (PROJECT / name).resolve(), place / name
        (ours / "bin").mkdir(parents=True)
        (ours / "lib").symlink_to(real / "lib")
        (ours / "pyvenv.cfg").write_text((real / "pyvenv.cfg").read_text())
        for program in (real / "bin").iterdir():
            if program.name != "musicbox":
                (ours / "bin" / program.name).symlink_to(program)
    shim = place / ENVIRONMENTS[0] / "bin" / "musicbox"
    shim.write_text(SHIM.format(python=shim.with_name("python"), pyproject=str(place / "pyproject.toml")))
    shim.chmod(0o755)
    (place / ".jars").symlink_to((PROJECT / ".jars").resolve())
    (place / ".setup").mkdir()
    script = (PROJECT / ".setup" / "environment.sh").read_text()
    script = re.sub(rf"{re.escape(str(PROJECT))}(?=[/:\s\"'}}]|$)", str(place), script, flags=re.MULTILINE)
    (place / ".setup" / "environment.sh").write_text(f"export PYTHONPATH='{place}'\n{script}")
    return place


def run_in(place: Path, words: str) -> None:
    """Run that line in the tree's own environment; its output goes to `place`.log."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MUSICBOX_", "PYTHONPATH"))}
    with place.with_suffix(".log").open("a") as log:
        ended = subprocess.run(
            ["bash", "-c", f". .setup/environment.sh && {words}"],
            cwd=place, env=kept, stdout=log, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    if ended.returncode:
        sys.exit(f"two_versions: `{words}` ended with {ended.returncode} in {place}: read {place.with_suffix('.log')}.")


def filled(place: Path) -> Path:
    """The lake that the tree's demo fills."""
    run_in(place, "airflow db migrate && airflow pools set spark 1 'a JVM at a time'")
    run_in(place, "make -o .setup/ready demo")
    return place / "lake"


def table_columns(lake: Path) -> dict[str, dict[str, str]]:
    """Of each table: `rows` with a hash of all rows in any order, and the same of each column."""
    content = {}
    for log in sorted(lake.glob("*/*/_delta_log")):
        name = ".".join(log.parent.relative_to(lake).parts)
        if name in OF_THE_RUN:
            continue
        rows = DeltaTable(log.parent).to_pyarrow_table()
        rows = rows.drop_columns([column for column in rows.column_names if column in OF_THE_VERSION])
        sums = ", ".join(f'sum(hash("{column}")::HUGEINT)' for column in rows.column_names)
        with duckdb.connect() as connection:
            connection.register("rows_of_the_table", rows)
            [every] = connection.execute(
                f"SELECT count(*), sum(hash(whole)::HUGEINT), {sums} FROM (SELECT * FROM rows_of_the_table) AS whole"
            ).fetchall()
        content[name] = {"rows": f"{every[0]}, {every[1]}"} | dict(
            zip(rows.column_names, map(str, every[2:]), strict=True)
        )
    return content


def model_files(lake: Path) -> dict[str, str]:
    """sha256 of each file of each model folder."""
    folders = [
        path for path in lake.glob("models/*") if not path.name.startswith(".") and not (path / "_delta_log").exists()
    ]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    # A model's id ends with a hash of its code and data.
    names = {path: re.sub(r"-[0-9a-f]{8,}(?=/)", "-ID", str(path.relative_to(lake / "models"))) for path in files}
    return {names[path]: sha256(path) for path in sorted(files)}


def sha256(path: Path) -> str:
    """The digest of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def is_named(what: str, changed: list[str]) -> bool:
    """Whether a column or a model file is among the deliberate changes."""
    return any(fnmatch(what, pattern) for pattern in changed)


def differences(before: Path, after: Path, changed: list[str]) -> list[str]:
    """A sentence for each table and model file that differs, the deliberate changes left out."""
    ours, theirs = table_columns(after), table_columns(before)
    lines = []
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in ours or name not in theirs:
            lines.append(f"{name} exists only {'before' if name in theirs else 'after'}.")
            continue
        if ours[name] == theirs[name]:
            continue
        columns = {
            column
            for column in ours[name].keys() | theirs[name].keys()
            if ours[name].get(column) != theirs[name].get(column)
        } - {"rows"}
        if unnamed := [column for column in sorted(columns) if not is_named(f"{name}.{column}", changed)]:
            lines.append(f"{name} differs in {', '.join(unnamed)}.")
        elif not columns:
            lines.append(f"{name} has the same values in other rows.")
    files = model_files(before), model_files(after)
    lines += [
        f"the model file {file} differs."
        for file in sorted(files[0].keys() | files[1].keys())
        if files[0].get(file) != files[1].get(file) and not is_named(file, changed)
    ]
    for name, columns_of in theirs.items():
        sys.stdout.write(f"{name}: {columns_of['rows'].partition(',')[0]} rows before\n")
    sys.stdout.write(f"{len(theirs)} tables and {len(files[0])} model files compared\n")
    return lines


def main() -> int:
    """Run both, compare, say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", required=True, help="the commit to compare with")
    parser.add_argument("--after", default="HEAD", help="the commit to judge")
    parser.add_argument("--changed", nargs="*", default=[], help="deliberate changes: TABLE.COLUMN, or a model file")
    parser.add_argument(
        "--folder", type=Path, help="where both trees stay with their lakes; without it they are removed"
    )
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="two-versions-") as scratch:
        places = [(words.folder or Path(scratch)) / side for side in ("before", "after")]
        try:
            lakes = [
                filled(checked_out(revision, place))
                for revision, place in zip((words.before, words.after), places, strict=True)
            ]
            lines = differences(lakes[0], lakes[1], words.changed)
        finally:
            for place in places if words.folder is None else ():
                subprocess.run(["git", "worktree", "remove", "--force", place], cwd=PROJECT, check=False)
    sys.stdout.write("".join(f"{line}\n" for line in lines) or "every row and every file is the same\n")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
