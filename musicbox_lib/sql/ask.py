"""Plain SQL over the lake: DuckDB reads the files of each Delta table's latest snapshot, without a JVM.

DuckDB's own `delta` extension is a download, so the snapshot's file list comes from deltalake: a query is answered
from one version of each table, in about a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from musicbox_lib import lake
from musicbox_lib.contract.tables import Table, table, tables
from musicbox_lib.errors import DataRefused, MusicBoxError, UsageError
from musicbox_lib.sql.names import Names, names_in
from musicbox_lib.sql.refusals import QueryRefused, refused, user_hint
from musicbox_lib.sql.views import OPTIONAL, View, all_views, without
from musicbox_lib.validation.history import stopped_days

if TYPE_CHECKING:
    import deltalake
    import duckdb

# Spark has no unnest and DuckDB no explode: with this one text serves both.
EXPLODE = "CREATE MACRO explode(elements) AS unnest(elements)"
# Python has no months and no nanoseconds: such values are written out by DuckDB.
_NOT_IN_PYTHON = re.compile(r"INTERVAL|TIMESTAMP_NS")

_PIVOT = " A PIVOT names its values: PIVOT … ON policy IN ('logged', 'popularity')."


@dataclass(frozen=True)
class Answer:
    """A query's result: column names, and rows as tuples of plain Python values, read as they are asked for.

    `types` are DuckDB's types of the columns (empty where the rows are not DuckDB's), `notes` what the asker should
    know besides."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]
    types: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()


def queryable() -> list[str]:
    """Every name that a query may use: the contract's Delta tables, then the views."""
    return [entry.name for entry in tables().values() if entry.format == "delta"] + list(all_views())


def ask(query: str) -> Answer:
    """The answer to one SELECT (also DESCRIBE, SUMMARIZE, SHOW), on the latest version of each table.

    Raises UsageError for anything but one reading statement, a syntax error, or a name that is not there, and
    DataRefused for a table that nobody has written yet.
    """
    import duckdb

    connection = duckdb.connect()
    names = Names()
    try:
        statements = connection.extract_statements(query)
        # EXPLAIN is left out on purpose: EXPLAIN ANALYZE runs what it explains, be it a COPY into the lake.
        pivot = _PIVOT if any(entry.type == duckdb.StatementType.MULTI for entry in statements) else ""
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise UsageError(
                f"musicbox sql reads only: write one SELECT (or DESCRIBE, SUMMARIZE, SHOW) statement.{pivot}"
            )
        names = names_in(query)
        if names.lists_tables:
            return _every_name()
        known = [name for name in queryable() if name in names.relations]
        # A name that is not ours: with everything shown DuckDB can say which it is near to, and what there is.
        everything = names.asks_the_catalogue or not names.relations <= set(known)
        register(connection, known, _written() if everything else ())
        connection.execute(statements[0])
        types = tuple(column[1] for column in connection.description or ())
        columns = tuple(column[0] for column in connection.description or ())
        if any(_NOT_IN_PYTHON.search(str(kind)) for kind in types):
            connection.execute(_written_out(connection, query, types))
            types = tuple(column[1] for column in connection.description or ())
    except duckdb.Error as error:
        _refuse_removed(error)
        raise refused(error, query, names, queryable()) from None
    hint = user_hint(names)
    return Answer(columns, _rows(connection, query, names), types, (hint,) if hint else ())


def _rows(connection: duckdb.DuckDBPyConnection, query: str, names: Names) -> Iterator[tuple[Any, ...]]:
    import duckdb

    try:
        while block := connection.fetchmany(2000):
            yield from block
    except duckdb.Error as error:
        _refuse_removed(error)
        raise refused(error, query, names, queryable()) from None


def _refuse_removed(error: Exception) -> None:
    """Raise DataRefused where DuckDB failed at a file of the lake that is not there any more."""
    named = re.findall(r'"(?:file://)?([^"]+)"', str(error))
    if any(path.startswith(lake.root()) and not lake.local_path(path).exists() for path in named):
        raise DataRefused(
            f"{named[0]} was removed while it was read: a VACUUM ran meanwhile; ask again, on the newest version."
        ) from None


def _every_name() -> Answer:
    """SHOW TABLES: DuckDB's own would list one schema of a database in memory."""
    written = set(_written())
    state = {True: "written", False: "not written yet"}
    known = all_views()
    kinds = {name: "view" if name in known else "table" for name in queryable()}
    rows = iter([(name, kind, state[name in written]) for name, kind in kinds.items()])
    return Answer(("name", "kind", "state"), rows)


def _written_out(connection: duckdb.DuckDBPyConnection, query: str, types: Sequence[Any]) -> str:
    """The query with the columns that Python cannot hold as text: of one value as such, of several in JSON."""
    plain = "SELECT json_deserialize_sql(json_serialize_sql($query::VARCHAR))"
    row = connection.execute(plain, {"query": query}).fetchone()
    assert row is not None
    columns = []
    for place, kind in enumerate(map(str, types), start=1):
        nested = kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION"))
        cast = f"to_json(#{place})" if nested else f"#{place}::VARCHAR"
        columns.append(cast if _NOT_IN_PYTHON.search(kind) else f"#{place}")
    return f"SELECT {', '.join(columns)} FROM ({row[0]})"


def register(connection: duckdb.DuckDBPyConnection, names: Sequence[str], besides: Sequence[str] = ()) -> None:
    """Show the named tables and views to the connection, then close its door: it can read these files only.

    What a view reads, be it a table or a view, is shown too. Raises DataRefused for a table that has not been written,
    UsageError for an analyst's own view that does not fit the tables; one of `besides` is left out then.
    """
    connection.execute(EXPLODE)
    # A time without a zone of its own is told in UTC, as everywhere in the suite, not in this machine's zone.
    connection.execute("SET TimeZone = 'UTC'")
    known = all_views()
    needed = in_reading_order(names, known)
    files: list[str] = []
    wanted = dict.fromkeys([*needed, *in_reading_order(besides, known)])
    absent = {name for name in OPTIONAL - set(names) if lake.snapshot(name) is None}
    for name in wanted:
        if name not in known and name not in absent:
            files += _show_table(connection, table(name))
    connection.execute(f"SET allowed_paths = {_literal(files)}")
    connection.execute("SET enable_external_access = false")
    for view in (known[name] for name in wanted if name in known):
        try:
            _show_view(connection, view, absent)
        except QueryRefused:
            if view.name in needed:
                raise
    connection.execute("SET lock_configuration = true")


def in_reading_order(names: Sequence[str], known: Mapping[str, View]) -> list[str]:
    """The names and all that they read, each after what it reads; `known` are the views by name.

    Raises UsageError for views that read each other."""
    queried = {entry.name for entry in tables().values() if entry.format == "delta"} | set(known)
    ordered: dict[str, None] = {}

    def add(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise UsageError(f"{' reads '.join([*above[above.index(name) :], name])}: a view cannot read itself.")
        if name in known:
            for read in sorted(names_in(known[name].sql).relations & queried):
                add(read, (*above, name))
        ordered[name] = None

    for name in names:
        add(name, ())
    return list(ordered)


def _show_view(connection: duckdb.DuckDBPyConnection, view: View, absent: set[str]) -> None:
    import duckdb

    try:
        connection.execute(f"CREATE VIEW {view.name} AS {without(view.sql, absent, _duckdb_type)}")
    except duckdb.Error as error:
        if view.file is None:
            raise
        refusal = refused(error, view.sql, names_in(view.sql), queryable())
        raise QueryRefused(f"{view.file}: {refusal.args[0]}", refusal.place) from None


def _show_table(connection: duckdb.DuckDBPyConnection, shown: Table) -> list[str]:
    """One view over the snapshot's files; returns the files.

    DDL takes no parameters, so names and paths stand in its text: they come from the contract and the Delta log,
    never from the question asked.
    """
    snapshot = lake.snapshot(shown.name)
    if snapshot is None:
        raise not_written(shown)
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {shown.stage}")
    types = {column.name: _duckdb_type(column.type) for column in shown.columns}
    absent = absent_columns(shown, snapshot)
    files = lake.files_of(snapshot)
    selected = ", ".join(f'NULL::{types[name]} AS "{name}"' if name in absent else f'"{name}"' for name in types)
    if files:
        # The partition column stands in the folder's name, not in the file.
        hive = ", hive_partitioning = true, hive_types = {'dt': DATE}" if shown.partition else ""
        source = f"SELECT {selected} FROM read_parquet({_literal(files)}, union_by_name = true{hive})"
    else:
        empty = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in types.items())
        source = f"SELECT {empty} WHERE false"
    connection.execute(f"CREATE VIEW {shown.stage}.{shown.noun} AS {source}")
    return files


def not_written(shown: Table) -> DataRefused:
    """The refusal of a table that nobody has written yet, with what writes it, or with the night that stopped."""
    if lake.snapshot("silver.listening_events") is None and (days := stopped_days()):
        return DataRefused(
            f"{shown.name} has not been written yet in {lake.root()}: the night stopped on the delivery of {days[-1]} "
            "and published nothing. silver.validation_examples has the reasons, and so has the page of "
            f"`musicbox report --dt {days[-1]}`: mend the file, then run it again."
        )
    of_the_training = shown.stage in {"training", "models"} or shown.name == "reports.skip_prediction"
    target = "train" if of_the_training else "nightly"
    return DataRefused(
        f"{shown.name} has not been written yet in {lake.root()}: run `make {target} RUN_DATE=YYYY-MM-DD` for a day "
        "that was delivered."
    )


def absent_columns(shown: Table, snapshot: deltalake.DeltaTable) -> set[str]:
    """The columns that were declared after the table's last write: shown as null, so that views stand meanwhile."""
    return set(shown.column_names) - {field.name for field in snapshot.schema().fields}


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


def _written() -> list[str]:
    """The tables that are written and the views that can be read: all that they read is written."""
    known = all_views()
    names = [entry.name for entry in tables().values() if entry.format == "delta"]
    written = [name for name in names if lake.snapshot(name) is not None]
    for view in known:
        try:
            read = in_reading_order([view], known)
        except MusicBoxError:
            continue
        if set(read) - set(known) <= {*written, *OPTIONAL}:
            written.append(view)
    return written
