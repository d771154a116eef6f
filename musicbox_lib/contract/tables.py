"""The contract, loaded from `schemas/`: one YAML per table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from musicbox_lib.errors import UsageError, unknown_words
from musicbox_lib.settings import settings


@dataclass(frozen=True)
class Column:
    """A column: Spark DDL type, whether it may be null, one sentence.

    Of a landed column also how its sources write it: `may_be_missing` where the words of `landing/spellings.py` stand
    for nothing, and `words`, its own spellings with the number that each means (in small letters)."""

    name: str
    type: str
    about: str
    nullable: bool = True
    may_be_missing: bool = False
    words: dict[str, int] = field(default_factory=dict, hash=False)

    @property
    def ddl(self) -> str:
        """The column as it stands in CREATE TABLE."""
        return f"{self.name} {self.type}" + ("" if self.nullable else " NOT NULL")


@dataclass(frozen=True)
class Usual:
    """How far a day's measure may lie from what is usual: from the median of the last 28 nights by five times their
    spread, and at least by `floor` (in the measure's unit) or `share` of the median."""

    floor: float = 0.0
    share: float = 0.0


@dataclass(frozen=True)
class Expectation:
    """A rule in Great Expectations' own words: `type` and `kwargs`, with what breaking it means.

    `scope` is row, or day for a rule that looks at a day's measures. One with `usual` gets its bounds from the nights
    before. `columns` are the table's columns that a row rule is about where its own is a fact of the row; `broken` says
    what is wrong with a value of theirs, read on from the value, with facts of the row in braces."""

    rule: str
    severity: str
    about: str
    type: str
    kwargs: dict[str, Any]
    scope: str = "row"
    usual: Usual | None = None
    columns: tuple[str, ...] = ()
    broken: str = ""

    @property
    def concerned(self) -> tuple[str, ...]:
        """The columns that the rule is about."""
        return self.columns or (str(self.kwargs["column"]),)

    @property
    def fault(self) -> str:
        """What is wrong with a value that breaks the rule, read on from the value: as declared in `broken`, with its
        braces, else from the bounds."""
        low, high = self.kwargs.get("min_value"), self.kwargs.get("max_value")
        if self.broken:
            return self.broken
        if "value_set" in self.kwargs:
            return f"is none of {', '.join(map(str, self.kwargs['value_set']))}"
        if low is not None and high is not None:
            is_strict = self.kwargs.get("strict_min")
            return f"is not above {low} and at most {high}" if is_strict else f"is not from {low} to {high}"
        return f"breaks the rule: {self.about.rstrip('.')}"


@dataclass(frozen=True)
class Check:
    """What must hold of every row before anybody sees it: a condition that Spark SQL, DataFusion and DuckDB
    understand alike, and its sentence. A condition that comes out null does not hold."""

    name: str
    sql: str
    about: str


@dataclass(frozen=True)
class Table:
    """A table of the lake: grain, columns, partition, checks, expectations."""

    name: str
    about: str
    grain: tuple[str, ...]
    columns: tuple[Column, ...]
    partition: tuple[str, ...]
    expectations: tuple[Expectation, ...]
    checks: tuple[Check, ...] = ()
    format: str = "delta"

    @property
    def stage(self) -> str:
        """`gold` of `gold.track_features`."""
        return self.name.split(".")[0]

    @property
    def noun(self) -> str:
        """`track_features` of `gold.track_features`: also its job's, transform's and task's name."""
        return self.name.split(".")[1]

    @property
    def is_about_users(self) -> bool:
        """Whether rows name a listener or one of their sessions."""
        return not {"user_id", "session_id"}.isdisjoint(self.column_names)

    @property
    def ddl(self) -> str:
        """All columns as Spark DDL."""
        return ", ".join(column.ddl for column in self.columns)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Column names in declared order."""
        return tuple(column.name for column in self.columns)


def _refuse_unknown_keys(raw: dict[str, Any], path: Path) -> None:
    """Raise UsageError for a key that no part of the contract has: a mistyped `nullable` would leave its default."""

    def look(where: str, keys: Iterable[str], kind: type) -> None:
        known = ["table" if kind is Table and part.name == "name" else part.name for part in fields(kind)]
        if odd := unknown_words(keys, known):
            raise UsageError(f"{path}: {where} has {odd}, which no contract has: correct the key or remove it.")

    look("the table", raw, Table)
    for column in raw["columns"]:
        look(f"column {column.get('name')}", column, Column)
    for expectation in raw.get("expectations", ()):
        look(f"expectation {expectation.get('rule')}", expectation, Expectation)
        look(f"`usual` of {expectation.get('rule')}", expectation.get("usual", {}), Usual)
    for check in raw.get("checks", ()):
        look(f"check {check.get('name')}", check, Check)


def _load(path: Path) -> Table:
    raw = yaml.safe_load(path.read_text())
    _refuse_unknown_keys(raw, path)
    return Table(
        name=raw["table"],
        about=raw["about"].strip(),
        grain=tuple(raw["grain"]),
        columns=tuple(Column(**column) for column in raw["columns"]),
        partition=tuple(raw.get("partition", ())),
        expectations=tuple(map(_expectation, raw.get("expectations", ()))),
        checks=tuple(Check(**check) for check in raw.get("checks", ())),
        format=raw.get("format", "delta"),
    )


def _expectation(raw: dict[str, Any]) -> Expectation:
    usual = Usual(**raw["usual"]) if "usual" in raw else None
    return Expectation(**{**raw, "usual": usual, "columns": tuple(raw.get("columns", ()))})


@lru_cache
def tables() -> dict[str, Table]:
    """Every table by its full name, in the order of the stages."""
    loaded = [_load(path) for path in sorted(settings().schemas.glob("*/*.yaml"))]
    return {table.name: table for table in loaded}


def table(name: str) -> Table:
    """The table of that full name; raises UsageError for a name the contract does not have."""
    if not re.fullmatch(r"[a-z]+\.[a-z0-9_]+", name) or name not in tables():
        odd = unknown_words([name], tables())
        near = "" if "did you mean" in odd else f": the tables are {', '.join(tables())}"
        raise UsageError(f"there is no table {odd}{near}.")
    return tables()[name]
