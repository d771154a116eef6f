"""Questions asked so often that they have a name: one `.sql` file each, in words that DuckDB and Spark both understand.

A file's first line is a comment of one sentence, what the view answers; the rest is the SELECT. A view may read
another. Analysts keep views of their own, as such files, in the folder that MUSICBOX_SQL_VIEWS names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from musicbox_lib.contract.tables import table, tables
from musicbox_lib.errors import UsageError
from musicbox_lib.settings import settings
from musicbox_lib.sql.questions import without_comments_below

OPTIONAL = frozenset({"silver.rejected_tracks"})
"""Tables that a lake may lack for good, as one to which nobody delivers track tables: views take them for empty."""


@dataclass(frozen=True)
class View:
    """A named view: what it answers in one sentence, and its SELECT. `file` is where an analyst's own one stands."""

    name: str
    about: str
    sql: str
    file: Path | None = None


@lru_cache
def views() -> dict[str, View]:
    """Every named view of the suite by its name."""
    named = {}
    for entry in sorted(files(__name__).iterdir(), key=lambda entry: entry.name):
        name, dot, kind = entry.name.partition(".")
        if (dot, kind) == (".", "sql"):
            about, _, query = entry.read_text().partition("\n")
            named[name] = View(name, about.removeprefix("--").strip(), query.strip())
    return named


def without(sql: str, missing: Iterable[str], type_of: Callable[[str], str] = str) -> str:
    """A view's SELECT with no rows in the place of those tables; `type_of` says Spark's types in the engine's words."""
    for name in missing:
        nothing = ", ".join(f"CAST(NULL AS {type_of(column.type)}) AS {column.name}" for column in table(name).columns)
        sql = sql.replace(name, f"(SELECT {nothing} WHERE false) AS nothing")
    return sql


def all_views() -> dict[str, View]:
    """The suite's views, then the analysts' own of MUSICBOX_SQL_VIEWS; raises as `own_views`."""
    folder = settings().sql_views
    return views() | (own_views(folder) if folder is not None else {})


def own_views(folder: Path) -> dict[str, View]:
    """An analyst's own views: `NAME.sql` each, first line a comment, then one SELECT.

    Raises UsageError for a folder that is not there, a name that is none or is taken, and a file without one SELECT."""
    if not folder.is_dir():
        raise UsageError(f"MUSICBOX_SQL_VIEWS is {folder}, which is no folder: make it or unset the setting.")
    named = {}
    for path in sorted(folder.glob("*.sql")):
        _refuse_name(path)
        named[path.stem] = _own_view(path)
    return named


def _refuse_name(path: Path) -> None:
    name = path.stem
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UsageError(f"{path}: a view's name has small letters, digits and _ only, and begins with a letter.")
    stages = {found.stage for found in tables().values()}
    if name in views() or name in stages:
        kind = "a view" if name in views() else "a stage of tables"
        raise UsageError(f"{path}: {name} is already {kind} of MusicBox; rename the file.")


def _own_view(path: Path) -> View:
    import duckdb

    try:
        text = path.read_text()
        statements = duckdb.extract_statements(text)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read ({error}).") from None
    except duckdb.Error as error:
        raise UsageError(f"{path}: {str(error).splitlines()[0]}: mend it or move it away.") from None
    first, _, below = text.partition("\n")
    if not first.startswith("--") or not first.removeprefix("--").strip():
        raise UsageError(f"{path}: the first line is to say in a comment (-- …) what the view answers.")
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise UsageError(f"{path}: a view is one SELECT, after a first line of comment.")
    return View(path.stem, first.removeprefix("--").strip(), without_comments_below(below)[0], path)
