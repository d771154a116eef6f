"""What the SQL server's catalogue shows: a database per stage with a view over each written table, and the named views.

A view over a table's folder, not the table itself: a query reads its newest version, and INSERT, UPDATE, DELETE, DROP
TABLE and ALTER TABLE on the name are refused before they reach the lake.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from musicbox_lib import lake
from musicbox_lib.contract.tables import Table, tables
from musicbox_lib.errors import MusicBoxError
from musicbox_lib.sql.ask import absent_columns, in_reading_order
from musicbox_lib.sql.views import OPTIONAL, all_views, without

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DATABASE_OF_THE_VIEWS = "default"


@dataclass(frozen=True)
class Entry:
    """One name of the catalogue: its SELECT, and the statement that makes it."""

    database: str
    noun: str
    select: str
    statement: str


def wanted_entries() -> list[Entry]:
    """A view for each table that has been written in the lake, then the named views whose tables all are."""
    entries = []
    written = set()
    for name, found in tables().items():
        snapshot = lake.snapshot(name) if found.format == "delta" else None
        if snapshot is not None:
            written.add(name)
            entries.append(_table_entry(found, absent_columns(found, snapshot)))
    known = all_views()
    shown: dict[str, None] = {}
    for name in known:
        try:
            read = in_reading_order([name], known)
        except MusicBoxError:
            # Views of analysts that read each other: `musicbox sql` says so to who asks for one.
            continue
        if set(read) - set(known) <= written | OPTIONAL:
            shown |= dict.fromkeys(other for other in read if other in known)
    for view in (known[name] for name in shown):
        select = without(view.sql, OPTIONAL - written)
        statement = f"CREATE OR REPLACE VIEW {DATABASE_OF_THE_VIEWS}.{view.name} COMMENT {_text(view.about)} AS "
        entries.append(Entry(DATABASE_OF_THE_VIEWS, view.name, select, statement + select))
    return entries


def _table_entry(found: Table, absent: set[str]) -> Entry:
    """DDL takes no parameters, so names, sentences and the path stand in its text: they come from the contract and
    MUSICBOX_LAKE, never from a query."""
    listed = ", ".join(f"{_name(column.name)} COMMENT {_text(column.about)}" for column in found.columns)
    selected = ", ".join(
        f"CAST(NULL AS {column.type}) AS {_name(column.name)}" if column.name in absent else _name(column.name)
        for column in found.columns
    )
    select = f"SELECT {selected} FROM delta.{_name(lake.path_of(found.name))}"
    statement = f"CREATE OR REPLACE VIEW {found.name} ({listed}) COMMENT {_text(found.about)} AS {select}"
    return Entry(found.stage, found.noun, select, statement)


def _name(word: str) -> str:
    return "`" + word.replace("`", "``") + "`"


def _text(words: str) -> str:
    return "'" + words.replace("\\", "\\\\").replace("'", "\\'") + "'"


@dataclass
class Catalogue:
    """The catalogue of one server's session, brought up to date by `refresh`."""

    spark: SparkSession
    refused: dict[str, str] = field(default_factory=dict)
    """The names that could not be shown, and why."""

    def refresh(self) -> int:
        """Make every wanted view that is missing or says something else, for instance because an analyst dropped it;
        returns how many stand. A name that is refused stays in `refused` and stops none of the others."""
        from pyspark.errors import PySparkException

        entries = wanted_entries()
        self.refused.clear()
        for entry in entries:
            if self._shown(entry) != entry.select:
                try:
                    self.spark.sql(f"CREATE DATABASE IF NOT EXISTS {entry.database}")
                    self.spark.sql(entry.statement)
                except PySparkException as error:
                    self.refused[f"{entry.database}.{entry.noun}"] = str(error).splitlines()[0]
        return len(entries) - len(self.refused)

    def _shown(self, entry: Entry) -> str | None:
        """The SELECT that stands in the catalogue under that name, asked of Spark's own catalogue: no query, 1 ms."""
        jvm = self.spark._jvm
        catalogue = self.spark._jsparkSession.sessionState().catalog()
        assert jvm is not None
        identifier = jvm.org.apache.spark.sql.catalyst.TableIdentifier(
            entry.noun, jvm.scala.Option.apply(entry.database)
        )
        if not catalogue.databaseExists(entry.database) or not catalogue.tableExists(identifier):
            return None
        text = catalogue.getTableMetadata(identifier).viewText()
        return str(text.get()) if text.isDefined() else None
