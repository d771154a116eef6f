"""A value of an answer as text: whole, in the shortest words that give the same value back.

A number of 32 bits is written as such (0.1, which Python holds as 0.10000000149011612). What has parts (lists, maps,
structs) is JSON also in a table and in CSV. JSON has no word for a number that is none: it is "NaN", "Infinity" or
"-Infinity", a text, as in Protocol Buffers' JSON; null would say that the table holds nothing there.

A writer is made once for a column, by its DuckDB type (None where it has none), and called for each of its values."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from json.encoder import encode_basestring as quoted
from typing import Any

Writer = Callable[[Any], str]

_OTHER_WORDS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_NESTED = frozenset({"list", "array", "struct", "map"})
_UNKNOWN_PARTS = frozenset({"union", "variant"})


def text_writer(kind: Any = None) -> Writer:
    """Writes a value, never None, in a table or in CSV."""
    if _id(kind) in _NESTED | _UNKNOWN_PARTS:
        return json_writer(kind) if _id(kind) in _NESTED else _text
    if _id(kind) == "float":
        return _float32
    return _text


def json_writer(kind: Any = None) -> Writer:
    """Writes a value, also None, as JSON that every parser takes: whole numbers and decimals with all their digits, a
    column of type JSON as what it says, everything else that JSON has no word for as text."""
    of = _id(kind)
    if of in {"list", "array"}:
        return _list_writer(json_writer(_child(kind, "child")))
    if of == "struct":
        parts = {name: json_writer(child) for name, child in kind.children}
        return _dict_writer(quoted, parts)
    if of == "map":
        return _map_writer(_child(kind, "key"), json_writer(_child(kind, "value")))
    if of == "float":
        return _json_float32
    return _embedded if str(kind) == "JSON" else _json


def _text(value: Any) -> str:
    writer = _TEXT_BY_TYPE.get(type(value))
    return writer(value) if writer else str(value)


def _json(value: Any) -> str:
    writer = _JSON_BY_TYPE.get(type(value))
    return writer(value) if writer else quoted(_text(value))


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _decimal(value: Decimal) -> str:
    return f"{value:f}"


def _bytes(value: bytes) -> str:
    r"""As DuckDB writes a BLOB: letters as they are, other bytes as \xAA."""
    return "".join(chr(byte) if 32 <= byte < 127 and byte != 0x5C else f"\\x{byte:02X}" for byte in value)


def _float32(value: float) -> str:
    import numpy as np

    return str(np.float32(value))


def _number(writer: Writer) -> Writer:
    def write(value: Any) -> str:
        words = writer(value)
        return words if math.isfinite(value) else quoted(_OTHER_WORDS[words.lower()])

    return write


def _json_float32(value: float | None) -> str:
    return "null" if value is None else _number(_float32)(value)


def _embedded(value: str | None) -> str:
    """A value of type JSON as it stands; DuckDB lets NaN stand in it, such a one is a text."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    if value is None:
        return "null"
    try:
        json.loads(value, parse_constant=refuse)
    except (ValueError, RecursionError):
        return quoted(value)
    # A line of the answer is a row: in JSON a line break between two values says nothing.
    return value.replace("\n", " ").replace("\r", " ")


def _list_writer(inner: Writer) -> Writer:
    def write(value: Any) -> str:
        return "null" if value is None else "[" + ", ".join(map(inner, value)) + "]"

    return write


def _dict_writer(key_writer: Writer, parts: dict[str, Writer], usual: Writer = _json) -> Writer:
    def write(value: dict[Any, Any] | None) -> str:
        if value is None:
            return "null"
        pairs = (f"{key_writer(key)}: {parts.get(key, usual)(part)}" for key, part in value.items())
        return "{" + ", ".join(pairs) + "}"

    return write


def _map_writer(key_kind: Any, part_writer: Writer) -> Writer:
    """JSON's keys are texts. A map whose keys Python cannot hash comes as two lists, `key` and `value`."""
    key_text = text_writer(key_kind)

    def key_writer(key: Any) -> str:
        return quoted(key_text(key))

    if _id(key_kind) not in _NESTED:
        return _dict_writer(key_writer, {}, part_writer)

    def write(value: Any) -> str:
        if value is None:
            return "null"
        pairs = zip(value["key"], value["value"], strict=True)
        return "{" + ", ".join(f"{key_writer(key)}: {part_writer(part)}" for key, part in pairs) + "}"

    return write


def _id(kind: Any) -> str:
    return "" if kind is None else str(kind.id)


def _child(kind: Any, name: str) -> Any:
    return dict(kind.children)[name]


_TEXT_BY_TYPE: dict[type, Writer] = {
    str: str,
    int: str,
    bool: _bool,
    float: repr,
    Decimal: _decimal,
    bytes: _bytes,
    date: str,
    list: _list_writer(_json),
    tuple: _list_writer(_json),
    dict: _dict_writer(quoted, {}),
}
_JSON_BY_TYPE: dict[type, Writer] = {
    type(None): lambda _: "null",
    str: quoted,
    int: str,
    bool: _bool,
    float: _number(repr),
    Decimal: _number(_decimal),
    list: _list_writer(_json),
    tuple: _list_writer(_json),
    dict: _dict_writer(quoted, {}),
}
