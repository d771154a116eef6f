"""Questions asked so often that they have a name: one `.sql` file each, in words that DuckDB and Spark both understand.

A file's first line is a comment of one sentence, what the view answers; the rest is the SELECT.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from musicbox_lib.tables import table

OPTIONAL = frozenset({"silver.rejected_tracks"})
"""Tables that a lake may lack for good, as one to which nobody delivers track tables: views take them for empty."""


@dataclass(frozen=True)
class View:
    """A named view: what it answers in one sentence, and its SELECT."""

    name: str
    about: str
    sql: str


@lru_cache
def views() -> dict[str, View]:
    """Every named view by its name."""
    found = {}
    for entry in sorted(files(__name__).iterdir(), key=lambda entry: entry.name):
        name, dot, kind = entry.name.partition(".")
        if (dot, kind) == (".", "sql"):
            about, _, query = entry.read_text().partition("\n")
            found[name] = View(name, about.removeprefix("--").strip(), query.strip())
    return found


def without(sql: str, missing: Iterable[str], type_of: Callable[[str], str] = str) -> str:
    """A view's SELECT with no rows in the place of those tables; `type_of` gives Spark's types in the engine's."""
    for name in missing:
        nothing = ", ".join(f"CAST(NULL AS {type_of(column.type)}) AS {column.name}" for column in table(name).columns)
        sql = sql.replace(name, f"(SELECT {nothing} WHERE false) AS nothing")
    return sql
