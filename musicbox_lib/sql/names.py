"""Which tables and views a query names, by DuckDB's own parser: a name in a comment, a text or a WITH is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from musicbox_lib.contract.tables import tables

Path = tuple[str, ...]

# Where a name has no schema DuckDB looks into `main` of its database in memory, so a query may say so.
_PREFIXES = ("memory", "main")
# Table functions that read the catalogue, or a table whose name stands in a text.
_CATALOGUE_FUNCTIONS = ("duckdb_", "pragma_", "query")


@dataclass(frozen=True)
class Names:
    """What a query names, all in lower case."""

    relations: frozenset[str] = frozenset()
    """Tables and views: `gold.track_features`, `latest_writes`; a name of WITH is none."""
    columns: frozenset[str] = frozenset()
    """Columns named without a table and without quotes."""
    aliases: frozenset[str] = frozenset()
    """Names that the query itself gives."""
    lists_tables: bool = False
    """The query is SHOW TABLES."""
    asks_the_catalogue: bool = False
    """It asks what there is: SHOW ALL TABLES, information_schema, duckdb_columns(), query_table('…')."""


@dataclass
class _Seen:
    relations: set[str] = field(default_factory=set)
    columns: set[str] = field(default_factory=set)
    aliases: set[str] = field(default_factory=set)
    catalogue: bool = False


@lru_cache(maxsize=256)
def names_in(query: str) -> Names:
    """The names in one reading statement. Of a statement that DuckDB cannot write down as a tree (none that `ask`
    takes, but a very deep one) it says that everything may be needed."""
    import duckdb

    with duckdb.connect() as connection:
        written = connection.execute("SELECT json_serialize_sql($query::VARCHAR)", {"query": query}).fetchone()
    tree: dict[str, Any] = {"error": True}
    with suppress(RecursionError):
        tree = json.loads(written[0]) if written else tree
    if tree["error"] or len(tree["statements"]) != 1:
        return Names(asks_the_catalogue=True)
    node = tree["statements"][0]["node"]
    seen = _Seen()
    text = query.encode()
    for place, ctes in _nodes(node):
        _note(place, ctes, text, seen)
    source = node.get("from_table") or {}
    return Names(
        relations=frozenset(seen.relations),
        columns=frozenset(seen.columns),
        aliases=frozenset(seen.aliases),
        lists_tables=source.get("type") == "SHOW_REF" and source.get("table_name") == '"tables"',
        asks_the_catalogue=seen.catalogue,
    )


def tables_in(query: str) -> list[str]:
    """The contract's tables that a query names, in the contract's order."""
    return [name for name in tables() if name in names_in(query).relations]


def _nodes(root: dict[str, Any]) -> Iterator[tuple[dict[str, Any], frozenset[str]]]:
    """Every node of the tree with the names of WITH that it can see; a stack, since trees are deeper than Python's."""
    stack: list[tuple[Any, frozenset[str]]] = [(root, frozenset())]
    while stack:
        place, ctes = stack.pop()
        if isinstance(place, list):
            stack += [(child, ctes) for child in place]
        elif isinstance(place, dict):
            for entry in (place.get("cte_map") or {}).get("map", ()):
                name = entry["key"].lower()
                # Each sees those before it; a recursive one sees itself too.
                recursive = entry["value"].get("query_node", {}).get("type") == "RECURSIVE_CTE_NODE"
                inner = ctes | {name} if recursive else ctes
                stack.append((entry["value"], inner))
                ctes = ctes | {name}
            yield place, ctes
            stack += [(child, ctes) for key, child in place.items() if key != "cte_map"]


def _note(place: dict[str, Any], ctes: frozenset[str], text: bytes, seen: _Seen) -> None:
    kind = place.get("type")
    if isinstance(place.get("alias"), str) and place["alias"]:
        seen.aliases.add(place["alias"].lower())
    if kind == "BASE_TABLE":
        path = _plain_path(place)
        if len(path) > 1 or path[0] not in ctes:
            seen.relations.add(".".join(path))
            seen.catalogue |= path[0] in {"information_schema", "pg_catalog"}
    elif kind == "SHOW_REF":
        seen.catalogue |= place.get("query") is None
    elif kind == "TABLE_FUNCTION":
        name = str(place.get("function", {}).get("function_name", "")).lower()
        seen.catalogue |= name.startswith(_CATALOGUE_FUNCTIONS)
    elif kind == "COLUMN_REF" and len(place.get("column_names", ())) == 1:
        start = place.get("query_location", 0)
        # `user` in quotes is a column, without them it is SQL's own word.
        if text[start : start + 1] != b'"':
            seen.columns.add(place["column_names"][0].lower())


def _plain_path(place: dict[str, Any]) -> Path:
    parts = [place.get("catalog_name"), place.get("schema_name"), place.get("table_name")]
    path = tuple(part.lower() for part in parts if part)
    while len(path) > 1 and path[0] in _PREFIXES:
        path = path[1:]
    return path
