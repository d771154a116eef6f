"""Rows that show why a rule did not hold: of each rule and day the first three lines by file and line, with the columns
at fault, their values and what is wrong with them (silver.validation_examples)."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from musicbox_lib.contract.tables import Expectation, Table, table
from musicbox_lib.errors import MusicBoxError
from musicbox_lib.landing import listing, places, pseudonyms
from musicbox_lib.landing.header import OPTIONAL, read_header, required_columns
from musicbox_lib.landing.lines import delivered_columns
from musicbox_lib.landing.misfits import LINE, WHY, Misfit, misfits
from musicbox_lib.landing.places import Delivery
from musicbox_lib.landing.records import values_of
from musicbox_lib.validation.decision import Result, input_of
from musicbox_lib.validation.rules import CHARACTERS, breaks_rule, broken_by, row_rules

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

Example = dict[str, Any]
"""A row of silver.validation_examples."""
EXAMPLES = 3
"""Lines shown of a rule and day."""
LONGEST_VALUE = 60
LONGEST_LINE = 10_000
"""Characters of a line that come to this process: a good one has 250, the rule line_length allows 4,096."""
DELIVERED = {
    "silver.listening_events": ("bronze.session_events", "landing.session_logs"),
    "silver.known_tracks": ("bronze.tracks", "landing.tracks"),
    "landing.session_users": ("landing.session_users", "landing.session_users"),
}
"""Rules -> the table of the rows that they judge, and of the files that these came from."""
_AT_FAULT: dict[str, Callable[[Any], bool]] = {
    "missing_values": lambda value: value is None,
    "labels_given": lambda value: value is None,
    "odd_flags": lambda value: value not in {None, 0, 1},
    "odd_shares": lambda value: value is not None and not 0 <= value <= 1,
    "infinite_values": lambda value: value is not None and not abs(value) < 1e30,
}
"""Facts that count values: which of the rule's columns they count. Of any other fact all its columns are told."""


def of_rules(flagged: DataFrame, all_rows: DataFrame | None, results: Sequence[Result], rules: Table) -> list[Example]:
    """The examples of every row rule that did not hold. `flagged` are the rows of `rules.with_broken_rules`; rules that
    only warn are looked for in `all_rows` (the same facts) where they are given, else among the flagged as well.

    Two queries over the flagged rows, two over all rows where a warning did not hold, none where all rules held.
    """
    known = {rule.rule: rule for rule in row_rules(rules)}
    failed = [(result.dt, known[result.rule]) for result in results if result.rule in known and not result.success]
    lines = []
    for rows, warned in ((flagged, False), (all_rows, True)):
        if rows is not None:
            apart = all_rows is not None
            asked = [(day, rule) for day, rule in failed if warned == (apart and rule.severity == "warn")]
            lines += first_lines(rows, {(day, rule.rule): _shows(rule, rules, warned) for day, rule in asked})
    files = Files(flagged.sparkSession, rules)
    return [example for rule, row in lines for example in examples_of(known[rule], row, files)]


def _shows(rule: Expectation, rules: Table, is_alone: bool) -> Column:
    """Whether a row is an example of the rule. A line that could not be read has no value in some type and none is
    missing from it: the rule `parsed` shows it."""
    from pyspark.sql import functions as F

    broken = broken_by(rule) if is_alone else breaks_rule(rule, rules)
    return broken & F.col("is_parsed") if rule.kwargs["column"] == "missing_values" else broken


def first_lines(rows: DataFrame, broken: Mapping[tuple[dt.date, str], Column]) -> list[tuple[str, dict[str, Any]]]:
    """(rule, row) of the first `EXAMPLES` rows, by file and line, of each day and rule for which the condition holds.

    At most that many of each come to this process. Without a grouping key no row is sorted: by day, Spark would sort
    all of them, for the aggregate keeps more than numbers. First the places alone: with whole rows it took three times
    as long (34 s against 11 for 10 rules over 2,000,000 rows, one run each).
    """
    from pyspark.sql import functions as F

    if not broken:
        return []
    place, asked = F.struct("file", "line"), list(broken)
    conditions = [F.when((F.col("dt") == F.lit(day)) & broken[day, rule], place) for day, rule in asked]
    [firsts] = rows.agg(
        *[F.min_by(place, holds, EXAMPLES).alias(f"k{at}") for at, holds in enumerate(conditions)]
    ).collect()
    spots = {(day, rule): sorted(map(tuple, firsts[at] or ())) for at, (day, rule) in enumerate(asked)}
    wanted = sorted({(day, *spot) for (day, _), some in spots.items() for spot in some})
    literals = [F.struct(F.lit(day), F.lit(file), F.lit(line).cast("bigint")) for day, file, line in wanted]
    is_wanted = F.col("line").isin([line for *_, line in wanted]) & F.struct("dt", "file", "line").isin(literals)
    cut = {"raw_line": F.left("raw_line", F.lit(LONGEST_LINE)), "line_length": F.length("raw_line")}
    shown = {(row.dt, row.file, row.line): row.asDict() for row in rows.where(is_wanted).withColumns(cut).collect()}
    return [(rule, shown[day, *spot]) for (day, rule), some in spots.items() for spot in some]


class Files:
    """The delivered files that examples come from: their headers and names of columns."""

    def __init__(self, spark: SparkSession, rules: Table) -> None:
        bronze, landed = (table(name) for name in DELIVERED[rules.name])
        self.input, self.landed, self._spark = input_of(rules), landed, spark
        names = landed.column_names if bronze == landed else delivered_columns(bronze)
        self.delivered = dict(zip(names, landed.column_names, strict=True))
        """A column's name in bronze -> in the file."""
        self._headers: dict[tuple[dt.date, str], tuple[str, ...] | None] = {}

    def header(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        """The columns of the row's file. Of one that is no longer in landing, those that as many values may be."""
        key = row["dt"], row["file"]
        if key not in self._headers:
            self._headers[key] = self._read(*key)
        return self._headers[key] or self._supposed(row["raw_line"] or "")

    def _read(self, day: dt.date, file: str) -> tuple[str, ...] | None:
        from py4j.protocol import Py4JError  # type: ignore[import-untyped]

        folder = places.landing(self.input) + (f"/dt={day}" if self.input == places.LOGS else "")
        place = Delivery(day, file, "", f"{folder}/{file}", "", "")
        try:
            return read_header(listing.first_line(self._spark, place), file, self.landed)
        except (Py4JError, MusicBoxError):
            return None

    def _supposed(self, raw_line: str) -> tuple[str, ...]:
        required, values = required_columns(self.landed), values_of(raw_line) or []
        return (*required, *OPTIONAL.get(self.landed.name, ())[: max(0, len(values) - len(required))])


def examples_of(rule: Expectation, row: Mapping[str, Any], files: Files) -> Iterator[Example]:
    """The rows of silver.validation_examples for one line that breaks the rule, one for each column at fault."""
    user = row["user_id"] if row.get("is_parsed") and "user_id" in row else None
    for column, value, why in _misfits(rule, row, files):
        yield {
            "dt": row["dt"],
            "input": files.input,
            "rule": rule.rule,
            "file": row["file"],
            "line": row["line"],
            "column": column,
            "value": None if value is None else shortened(value),
            "why": why,
            "session_id": row.get("session_id"),
            "user_id": user,
        }


def shortened(text: str, longest: int = LONGEST_VALUE) -> str:
    """The text, cut to that many characters with the last an ellipsis where it has more."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


Fault = tuple[str, str | None, str]
"""Column, value, what is wrong with it."""


def _misfits(rule: Expectation, row: Mapping[str, Any], files: Files) -> list[Fault]:
    column = str(rule.kwargs["column"])
    if column == "is_parsed":
        return _unread(row, files)
    why = _why(rule, row)
    if rule.concerned == (LINE,):
        return [_of_line(rule, row, files, why)]
    is_at_fault = _AT_FAULT.get(column, lambda _: True)
    header, values = files.header(row), values_of(row["raw_line"] or "") or []
    as_delivered = dict(zip(header, values, strict=True)) if len(header) == len(values) else {}
    faults: list[Fault] = []
    for name in rule.concerned:
        if is_at_fault(row[name]):
            delivered = files.delivered[name]
            value = as_delivered.get(delivered) or _text(row[name])
            faults.append((delivered, value, why))
    return faults


def _unread(row: Mapping[str, Any], files: Files) -> list[Fault]:
    """What of a line that could not be read does not fit. Where a key makes users pseudonyms, letters and digits of the
    line are masked: there a column is at fault that has a value in the line and none in its type."""
    raw_line, header = row["raw_line"] or "", files.header(row)
    if row["line_length"] > len(raw_line):
        return [(LINE, raw_line, f"has {row['line_length']} characters")]
    found: list[Misfit] = misfits(raw_line, header, files.landed)
    whole_line = any(fault.column == LINE for fault in found)
    if found and (whole_line or pseudonyms.key() is None):
        return [(fault.column, fault.value, fault.why) for fault in found]
    types = {column.name: column.type for column in files.landed.columns}
    in_bronze = {delivered: name for name, delivered in files.delivered.items()}
    faults: list[Fault] = [
        (name, value, WHY[types[name]])
        for name, value in zip(header, values_of(raw_line) or (), strict=True)
        if value and row[in_bronze[name]] is None and types[name] in WHY
    ]
    return faults or [(LINE, raw_line, "cannot be read by the types of its columns")]


def _of_line(rule: Expectation, row: Mapping[str, Any], files: Files, why: str) -> Fault:
    """The line, or the column in which the character stands that the rule forbids."""
    raw_line = str(row["raw_line"] or "")
    sign = CHARACTERS.get(rule.kwargs.get("regex", ""))
    header, values = files.header(row), values_of(raw_line) or []
    if sign is not None and len(values) == len(header):
        for name, value in zip(header, values, strict=True):
            if sign in value:
                return name, _around(value, value.index(sign)), why
    return LINE, _around(raw_line, raw_line.find(sign)) if sign is not None else raw_line, why


def _around(text: str, at: int) -> str:
    """The text from where the character at that place is within what is shown of it."""
    return text if at < LONGEST_VALUE // 2 else "…" + text[at - LONGEST_VALUE // 2 :]


def _why(rule: Expectation, row: Mapping[str, Any]) -> str:
    # Only what is declared has facts of the row in braces.
    return rule.fault.format_map({**row, "days_late": -(row.get("days_ahead") or 0)}) if rule.broken else rule.fault


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:g}"
    return None if value is None else str(value)
