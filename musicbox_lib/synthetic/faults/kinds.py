"""The kinds of fault: what each does to a session's delivered lines, and which rule should find it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from musicbox_lib.contract.tables import table

Values = list[bytes]
"""A delivered line by column."""


@dataclass(frozen=True)
class Changed:
    """A session's lines after the fault."""

    lines: list[Values]
    positions: tuple[int, ...]
    """Positions that the fault is about: the rows changed, added or taken away."""
    breaking: int
    """How many delivered rows should break the kind's rule."""
    again: list[Values] = field(default_factory=list)
    """Lines to deliver once more on the next day."""


@dataclass(frozen=True)
class Kind:
    """A kind of fault. `rule` names the rule of silver.listening_events that should find it; None where none does
    yet."""

    name: str
    unit: str
    """row or session"""
    about: str
    rule: str | None
    change: Callable[[list[Values], dt.date, np.random.Generator], Changed]
    """Of a session's lines and their day of delivery."""


_AT = {name: place for place, name in enumerate(table("landing.session_logs").column_names)}
_POSITION, _LENGTH, _DATE = (_AT[name] for name in ("session_position", "session_length", "date"))
# No rule that rejects looks at this column's value: so a fault there breaks the one rule that it is meant for.
_QUIET = "hist_user_behavior_reason_start"
# Beyond the dataset's 20 positions by one.
_TOO_MANY = 21
# Longer than the 4,096 characters of the rule line_length.
_OVER_LONG = 5_000
# Later than the 30 days of the rule date_not_late; further ahead than the one day of date_not_ahead.
_DAYS_LATE, _DAYS_AHEAD = 45, 3


def _with(line: Values, column: int, value: bytes) -> Values:
    return [*line[:column], value, *line[column + 1 :]]


def _row(
    column: str, change: Callable[[bytes], bytes]
) -> Callable[[list[Values], dt.date, np.random.Generator], Changed]:
    """A fault of one row: another value in one column."""

    def changed(lines: list[Values], _: dt.date, random: np.random.Generator) -> Changed:
        row, at = int(random.integers(len(lines))), _AT[column]
        line = _with(lines[row], at, change(lines[row][at]))
        return Changed([*lines[:row], line, *lines[row + 1 :]], (row + 1,), 1)

    return changed


def _contradict(lines: list[Values], _: dt.date, random: np.random.Generator) -> Changed:
    row = int(random.integers(len(lines)))
    line = _with(_with(lines[row], _AT["skip_1"], b"True"), _AT["skip_2"], b"False")
    return Changed([*lines[:row], line, *lines[row + 1 :]], (row + 1,), 1)


def _repeat(lines: list[Values], _: dt.date, random: np.random.Generator) -> Changed:
    row = int(random.integers(len(lines)))
    return Changed([*lines[: row + 1], lines[row], *lines[row + 1 :]], (row + 1,), 1)


def _conflict(lines: list[Values], _: dt.date, random: np.random.Generator) -> Changed:
    row, at = int(random.integers(len(lines))), _AT["hist_user_behavior_n_seekback"]
    other = _with(lines[row], at, str(int(lines[row][at]) + 1).encode())
    # Both stories are set aside: nobody knows which is true.
    return Changed([*lines[: row + 1], other, *lines[row + 1 :]], (row + 1,), 2)


def _gap(lines: list[Values], _: dt.date, random: np.random.Generator) -> Changed:
    row = int(random.integers(1, len(lines) - 1))
    return Changed([*lines[:row], *lines[row + 1 :]], (row + 1,), len(lines) - 1)


def _truncate(lines: list[Values], _: dt.date, random: np.random.Generator) -> Changed:
    kept = int(random.integers(1, len(lines)))
    return Changed(lines[:kept], tuple(range(kept + 1, len(lines) + 1)), kept)


def _two_lengths(lines: list[Values], _: dt.date, random: np.random.Generator) -> Changed:
    # One shorter, at a position before it: so no other rule is broken.
    row = int(random.integers(len(lines) - 1))
    line = _with(lines[row], _LENGTH, str(len(lines) - 1).encode())
    return Changed([*lines[:row], line, *lines[row + 1 :]], (row + 1,), len(lines))


def _twice(lines: list[Values], _: dt.date, __: np.random.Generator) -> Changed:
    return Changed(lines, tuple(range(1, len(lines) + 1)), len(lines), again=lines)


def _moved(lines: list[Values], days: int) -> Changed:
    moved = [
        _with(line, _DATE, str(dt.date.fromisoformat(line[_DATE].decode()) + dt.timedelta(days)).encode())
        for line in lines
    ]
    return Changed(moved, tuple(range(1, len(lines) + 1)), len(lines))


def _late(lines: list[Values], _: dt.date, __: np.random.Generator) -> Changed:
    return _moved(lines, -_DAYS_LATE)


def _future(lines: list[Values], day: dt.date, __: np.random.Generator) -> Changed:
    return _moved(lines, (day - dt.date.fromisoformat(lines[0][_DATE].decode())).days + _DAYS_AHEAD)


def _too_many(lines: list[Values], _: dt.date, __: np.random.Generator) -> Changed:
    more = [_with(lines[-1], _POSITION, str(at).encode()) for at in range(len(lines) + 1, _TOO_MANY + 1)]
    longer = [_with(line, _LENGTH, str(_TOO_MANY).encode()) for line in lines + more]
    return Changed(longer, tuple(range(1, _TOO_MANY + 1)), _TOO_MANY)


_ROW, _SESSION = "row", "session"
KINDS = {
    kind.name: kind
    for kind in (
        Kind("wrong_type", _ROW, "A word stands where a number belongs.", "parsed",
             _row("hour_of_day", lambda _: b"noon")),
        Kind("out_of_range", _ROW, "The hour is 31.", "hour_of_day_range", _row("hour_of_day", lambda _: b"31")),
        Kind("unknown_enum_value", _ROW, "The context is none of the six.", "context_type_known",
             _row("context_type", lambda _: b"jukebox")),
        Kind("malformed_id", _ROW, "The track's id holds a space and a question mark.", "track_id_pattern",
             _row("track_id_clean", lambda value: value[:8] + b" ?")),
        Kind("nul_byte", _ROW, "A value holds a NUL byte.", "no_nul",
             _row(_QUIET, lambda value: value + b"\x00")),
        Kind("replacement_character", _ROW, "A value holds U+FFFD: somebody lost a character before.", "utf_8",
             _row(_QUIET, lambda value: value + "\ufffd".encode())),
        Kind("latin_1_byte", _ROW, "A value holds a Latin-1 letter, which is not UTF-8.", "utf_8",
             _row(_QUIET, lambda value: value + b"\xf6")),
        Kind("over_long_field", _ROW, "A value has 5,000 characters.", "line_length",
             _row(_QUIET, lambda _: b"x" * _OVER_LONG)),
        Kind("unclosed_quote", _ROW, "A value opens a quote and never closes it.", "closed_quotes",
             _row("context_type", lambda value: b'"' + value)),
        Kind("exact_duplicate", _ROW, "The row stands twice.", "no_duplicate", _repeat),
        Kind("conflicting_duplicate", _ROW, "The row stands twice, with another count of seeks.", "no_conflict",
             _conflict),
        Kind("contradicting_labels", _ROW, "skip_1 is true and skip_2 is not.", "labels_agree", _contradict),
        Kind("gap_in_positions", _SESSION, "A row in the middle is missing.", "session_complete", _gap),
        Kind("two_lengths", _SESSION, "One row names another session_length.", "one_session_length", _two_lengths),
        Kind("truncated_session", _SESSION, "The rows break off before the session's length.", "session_complete",
             _truncate),
        Kind("delivered_twice", _SESSION, "The session comes again with the next day.", "first_delivery", _twice),
        Kind("late_date", _SESSION, "The plays are 45 days older.", "date_not_late", _late),
        Kind("future_date", _SESSION, "The plays are dated 3 days after their delivery.", "date_not_ahead", _future),
        Kind("more_than_20_rows", _SESSION, "The session has 21 rows and says so.", "session_length_range", _too_many),
    )
}  # fmt: skip
