"""Questions asked so often that they have a name: one `.sql` file each, in words that DuckDB and Spark both understand.

A file's first line is a comment of one sentence, what the view answers; the rest is the SELECT.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files


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
