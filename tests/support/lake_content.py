"""What a lake holds, so that two lakes can be compared: every row of every table but the ledger, and the model folders.

Tables are read as analysts read them: delta-rs tells the files of the newest snapshot, DuckDB hashes the rows.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from musicbox_lib import lake
from musicbox_lib.contract.tables import tables
from musicbox_lib.settings import settings
from musicbox_lib.sql.ask import ask

NAMES = [name for name, found in tables().items() if found.format == "delta" and name != lake.LEDGER]
Content = dict[str, str]


def rows_hash(name: str) -> str:
    """Number of rows and the sum of their hashes: the same for the same rows in any order, however often each comes."""
    if lake.snapshot(name) is None:
        return "not written"
    [(rows, total)] = ask(f"SELECT count(*), sum(hash(held)::HUGEINT) FROM (SELECT * FROM {name}) AS held").rows
    return f"{rows} rows, {total}"


def table_content() -> Content:
    """Each table's rows; a table that cannot be read raises."""
    return {name: rows_hash(name) for name in NAMES}


def model_content() -> Content:
    """sha256 of every file of every published model folder. Folders with a dot in front are half made ones."""
    models = lake.local_path(lake.root()) / "models"
    beside = {found.noun for found in tables().values() if found.stage == "models"}
    folders = [path for path in models.glob("*") if not path.name.startswith(".") and path.name not in beside]
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(models)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def whole_content() -> Content:
    """Tables and models."""
    return table_content() | model_content()


def copied(base: Path, place: Path) -> Path:
    """A copy of a lake at a path of its own: Spark remembers the tables of a path."""
    shutil.copytree(base, place)
    return place


@contextmanager
def the_lake(root: Path) -> Iterator[Path]:
    """MUSICBOX_LAKE points there for a while."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUSICBOX_LAKE", str(root))
        settings.cache_clear()
        yield root
    settings.cache_clear()
