"""Plain SQL over the lake: DuckDB reads the files of each Delta table's latest snapshot, without a JVM.

DuckDB's own `delta` extension is a download, so the snapshot's file list comes from deltalake: a query is answered
from one version of each table, in about a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from musicbox_lib import lake
from musicbox_lib.errors import DataRefused, UsageError
from musicbox_lib.tables import Table, table, tables
from musicbox_lib.validation.night import stopped_days
from musicbox_lib.views import OPTIONAL, views, without

if TYPE_CHECKING:
    import deltalake
    import duckdb

VIEWS: dict[str, str] = {name: view.sql for name, view in views().items()}
"""The SELECT of each named view, as it stands in `musicbox_lib/views`."""

# Spark has no unnest and DuckDB no explode: with this one text serves both.
EXPLODE = "CREATE MACRO explode(elements) AS unnest(elements)"


@dataclass(frozen=True)
class Answer:
    """A query's result: column names, and rows as tuples of plain Python values, read as they are asked for."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]


def queryable() -> list[str]:
    """Every name that a query may use: the contract's Delta tables, then the views."""
    return [found.name for found in tables().values() if found.format == "delta"] + list(VIEWS)


def ask(query: str) -> Answer:
    """The answer to one SELECT (also DESCRIBE, SUMMARIZE, SHOW), on the latest version of each table.

    Raises UsageError for anything but one reading statement, a syntax error, or a name that is not there, and
    DataRefused for a table that nobody has written yet.
    """
    import duckdb

    connection = duckdb.connect()
    try:
        statements = connection.extract_statements(query)
        # EXPLAIN is left out on purpose: EXPLAIN ANALYZE runs what it explains, be it a COPY into the lake.
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise UsageError("musicbox sql reads only: write one SELECT (or DESCRIBE, SUMMARIZE, SHOW) statement.")
        register(connection, _named_in(query))
        connection.execute(statements[0])
    except duckdb.Error as error:
        _refuse_removed(error)
        said = str(error).splitlines()[0].rstrip(".!")
        raise UsageError(f"{said}. The tables are {', '.join(queryable())}.") from None
    columns = tuple(column[0] for column in connection.description or ())
    return Answer(columns, _rows(connection))


def _rows(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    import duckdb

    try:
        while block := connection.fetchmany(2000):
            yield from block
    except duckdb.Error as error:
        _refuse_removed(error)
        raise


def _refuse_removed(error: Exception) -> None:
    """Raise DataRefused where DuckDB failed at a file of the lake that is not there any more."""
    named = re.findall(r'"(?:file://)?([^"]+)"', str(error))
    if any(path.startswith(lake.root()) and not lake.local_path(path).exists() for path in named):
        raise DataRefused(
            f"{named[0]} was removed while it was read: a VACUUM ran meanwhile; ask again, on the newest version."
        ) from None


def register(connection: duckdb.DuckDBPyConnection, names: list[str]) -> None:
    """Show the named tables and views to the connection, then close its door: it can read these files only.

    Tables named by a view are shown too. Raises DataRefused for a table that has not been written.
    """
    connection.execute(EXPLODE)
    # A time without a zone of its own is told in UTC, as everywhere in the suite, not in this machine's zone.
    connection.execute("SET TimeZone = 'UTC'")
    missing = {name for name in OPTIONAL if lake.snapshot(name) is None}
    wanted = [name for name in tables() if any(name in [asked, *tables_in(VIEWS.get(asked, ""))] for asked in names)]
    wanted = [name for name in wanted if name in names or name not in missing]
    files: list[str] = []
    for name in wanted:
        files += _show_table(connection, table(name))
    for name in names:
        if name in VIEWS:
            connection.execute(f"CREATE VIEW {name} AS {without(VIEWS[name], missing, _duckdb_type)}")
    connection.execute(f"SET allowed_paths = {_literal(files)}")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _show_table(connection: duckdb.DuckDBPyConnection, found: Table) -> list[str]:
    """One view over the snapshot's files; returns the files.

    DDL takes no parameters, so names and paths stand in its text: they come from the contract and the Delta log,
    never from the question asked.
    """
    snapshot = lake.snapshot(found.name)
    if snapshot is None:
        raise DataRefused(f"{found.name} has not been written yet in {lake.root()}: {_why_not()}")
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {found.stage}")
    types = {column.name: _duckdb_type(column.type) for column in found.columns}
    absent = absent_columns(found, snapshot)
    files = lake.files_of(snapshot)
    selected = ", ".join(f'NULL::{types[name]} AS "{name}"' if name in absent else f'"{name}"' for name in types)
    if files:
        # The partition column stands in the folder's name, not in the file.
        hive = ", hive_partitioning = true, hive_types = {'dt': DATE}" if found.partition else ""
        source = f"SELECT {selected} FROM read_parquet({_literal(files)}, union_by_name = true{hive})"
    else:
        empty = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in types.items())
        source = f"SELECT {empty} WHERE false"
    connection.execute(f"CREATE VIEW {found.stage}.{found.noun} AS {source}")
    return files


def _why_not() -> str:
    """What to do about a table that is not there."""
    if lake.snapshot("silver.listening_events") is None and (days := stopped_days()):
        return (
            f"the night stopped on the delivery of {days[-1]} and published nothing: silver.validation_examples has "
            f"the reasons, and so has the page of `musicbox report --dt {days[-1]}`; mend the file, then run it again."
        )
    return "run the nightly DAG first."


def absent_columns(found: Table, snapshot: deltalake.DeltaTable) -> set[str]:
    """The columns that were declared after the table's last write: shown as null, so that views stand meanwhile."""
    return set(found.column_names) - {field.name for field in snapshot.schema().fields}


def tables_in(text: str) -> list[str]:
    """The contract's tables that a query's text names."""
    return [name for name in tables() if re.search(rf"\b{re.escape(name)}\b", text)]


def _literal(words: list[str]) -> str:
    return "[" + ", ".join("'" + word.replace("'", "''") + "'" for word in words) + "]"


def _duckdb_type(spark_type: str) -> str:
    """Spark's DDL type in DuckDB's words; the contract uses scalars, arrays of scalars and maps of scalars."""
    inner = re.fullmatch(r"array<(\w+)>", spark_type)
    if inner:
        return f"{_duckdb_type(inner[1])}[]"
    pair = re.fullmatch(r"map<(\w+),(\w+)>", spark_type)
    if pair:
        return f"MAP({_duckdb_type(pair[1])}, {_duckdb_type(pair[2])})"
    return {"string": "VARCHAR"}.get(spark_type, spark_type.upper())


def _named_in(query: str) -> list[str]:
    """The tables and views that the query's text names; every written one where it names none (SHOW ALL TABLES)."""
    text = query.replace('"', "").lower()
    named = [name for name in queryable() if re.search(rf"\b{re.escape(name)}\b", text)]
    if named:
        return named
    written = [name for name in queryable() if name not in VIEWS and lake.snapshot(name) is not None]
    return written + [view for view, source in VIEWS.items() if set(tables_in(source)) <= {*written, *OPTIONAL}]
