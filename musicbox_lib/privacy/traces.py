"""What a user is known by, and which rows and lines are theirs: by id, by session, broken lines that hold either."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from musicbox_lib import lake
from musicbox_lib.contract.tables import Table, table, tables
from musicbox_lib.landing import pseudonyms, records, spellings
from musicbox_lib.landing.places import ALWAYS

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import dataset

BRONZE, REJECTED, EXAMPLES = "bronze.session_events", "silver.rejected_events", "silver.validation_examples"
BETWEEN = re.compile(r"[\s,;\"'\x00\ufffd]+")
"""What stands between two words of a line that cannot be read."""
USUAL = re.compile(r"|true|false|\d{1,4}|[01]?\.\d*|\d{4}-\d\d-\d\d", re.IGNORECASE)
"""Flags, counts, hours, chances and dates, which stand in every line."""
STAGES = ("bronze", "silver", "gold", "training", "models", "scores", "reports", "ops")
LOOKED_AT = ("dt", "user_id", "session_id", "raw_line", "is_parsed", "rules", "value", "file", "line")


@dataclass
class Traces:
    """What a user is known by; grows while landing and the tables are looked through."""

    names: set[str]
    """The id, and its pseudonym where a key is set."""
    sessions: set[str] = field(default_factory=set)
    broken_lines: set[tuple[dt.date, str, int]] = field(default_factory=set)
    """(dt, file, line) of landed lines that cannot be read and hold a name or a session."""

    @property
    def by_pseudonym(self) -> bool:
        """Whether the delivered id is still to be found: somebody asked by a pseudonym."""
        return pseudonyms.key() is not None and all(map(pseudonyms.is_pseudonym, self.names))

    def is_theirs(self, session_id: str, user_id: str) -> bool:
        """Whether a line with these values is the user's."""
        return user_id in self.names or session_id in self.sessions

    def is_in_text(self, text: str) -> bool:
        """Whether a line that cannot be read holds a name or a session as a whole word."""
        known = self.names | self.sessions
        words = set(BETWEEN.split(text)) & known
        return any(map(_tells, words)) or any(_stands_in(text, word) for word in known if _is_telling(word))


def _is_telling(word: str) -> bool:
    """Whether a word that holds quotes, commas or blanks has enough besides to say whose a line is."""
    return BETWEEN.search(word) is not None and len(re.findall(r"\w", word)) >= 3 and _tells(word)


def _stands_in(text: str, word: str) -> bool:
    """Whether a word that itself holds quotes or commas stands in a line, in any of the ways to write a quote."""
    spelled = {word.replace('"', quote) for quote in ('"', '""', '\\"')}
    return any(re.search(rf"(?<!\w){re.escape(one)}(?!\w)", text) for one in spelled)


def _tells(word: str) -> bool:
    """Whether a word somewhere in a line says whose it is: not one that every line has."""
    usual = {known for name in pseudonyms.WORDS for known in pseudonyms.known_words(name)}
    return word not in usual and USUAL.fullmatch(word) is None


def about_users() -> list[Table]:
    """The tables whose rows name a user or a session, by stage: the later ones are made from the earlier."""
    found = [one for one in tables().values() if one.format == "delta" and one.is_about_users]
    return sorted(found, key=lambda one: STAGES.index(one.stage))


def values_of(text: str, columns: Sequence[str]) -> list[str] | None:
    """The values of a session log's line; None where their number or one of their types is not the header's."""
    values = records.values_of(text)
    if values is None or len(values) != len(columns):
        return None
    known = {column.name: column for column in table("landing.session_logs").columns}
    if not all(spellings.fits(value, known[name]) for name, value in zip(columns, values, strict=True)):
        return None
    return values


def is_theirs(batch: pa.RecordBatch, traces: Traces) -> pa.BooleanArray:
    """True for the rows of a table that are the user's. A null names nobody."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = set(batch.schema.names)
    mask = pa.array([False] * batch.num_rows, pa.bool_())
    for name, words in (("user_id", traces.names), ("session_id", traces.sessions)):
        if name in columns:
            mask = pc.or_(mask, pc.is_in(batch.column(name), value_set=pa.array(sorted(words), pa.string())))
    text = next((name for name in ("raw_line", "value") if name in columns), None)
    if text is None:
        return mask
    broken = _broken(batch)
    lines = pa.array(sorted({line for _, _, line in traces.broken_lines}), pa.int64())
    perhaps = pc.or_(broken, pc.is_in(batch.column("line"), value_set=lines))
    theirs = mask.to_pylist()
    # Few rows are left to be looked at one by one.
    for row in pc.indices_nonzero(pc.and_(perhaps, pc.invert(mask))).to_pylist():
        place = tuple(batch.column(name)[row].as_py() for name in ("dt", "file", "line"))
        is_broken = broken[row].as_py() and traces.is_in_text(batch.column(text)[row].as_py() or "")
        if is_broken and text == "raw_line":
            # An example of the line may show another part of it.
            traces.broken_lines.add(place)
        theirs[row] = is_broken or place in traces.broken_lines or (ALWAYS, *place[1:]) in traces.broken_lines
    return pa.array(theirs, pa.bool_())


def _broken(batch: pa.RecordBatch) -> pa.BooleanArray:
    """Which rows' lines were not parsed: bronze says so, in quarantine it is a broken rule, an example may be one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if "is_parsed" in batch.schema.names:
        return pc.invert(batch.column("is_parsed"))
    if "rules" not in batch.schema.names:
        return pa.array([True] * batch.num_rows, pa.bool_())
    return pa.array(["parsed" in (rules or ()) for rules in batch.column("rules").to_pylist()], pa.bool_())


def rows_by_day(found: Table, traces: Traces) -> dict[dt.date, int]:
    """How many rows of a table's days are the user's; days with none are left out."""
    import pyarrow.compute as pc

    held = lake.snapshot(found.name)
    if held is None:
        return {}
    days: dict[dt.date, int] = {}
    data = held.to_pyarrow_dataset()
    columns = [name for name in LOOKED_AT if name in data.schema.names]
    for batch in data.to_batches(columns=columns, filter=_perhaps_theirs(found, traces)):
        theirs = batch.filter(is_theirs(batch, traces))
        for pair in pc.value_counts(theirs.column("dt")).to_pylist():
            days[pair["values"]] = days.get(pair["values"], 0) + pair["counts"]
    return dict(sorted(days.items()))


def _perhaps_theirs(found: Table, traces: Traces) -> dataset.Expression | None:
    """What a scan need look at; None for all rows."""
    import pyarrow as pa
    from pyarrow import dataset

    if found.name in {REJECTED, EXAMPLES}:
        return None
    wanted = dataset.scalar(False)
    for name, words in (("user_id", traces.names), ("session_id", traces.sessions)):
        if name in found.column_names:
            wanted = wanted | _among(name, words)
    if found.name == BRONZE:
        lines = pa.array(sorted({line for _, _, line in traces.broken_lines}), pa.int64())
        wanted = wanted | ~dataset.field("is_parsed") | dataset.field("line").isin(lines)
    return wanted


def _among(name: str, words: set[str]) -> dataset.Expression:
    import pyarrow as pa
    from pyarrow import dataset

    # With its type: an empty list of Python's would be one of nulls.
    return dataset.field(name).isin(pa.array(sorted(words), pa.string()))


def find_sessions(traces: Traces) -> None:
    """Add the sessions that any table gives to the user. Where nobody delivered a user, a session is its own."""
    from pyarrow import dataset

    for found in about_users():
        held = lake.snapshot(found.name) if {"user_id", "session_id"} <= set(found.column_names) else None
        if held is None:
            continue
        is_named = _among("user_id", traces.names)
        if found.name == BRONZE:
            # In a broken line an id may stand in a neighbour's column: no evidence against a session.
            is_named = is_named & dataset.field("is_parsed")
        for batch in held.to_pyarrow_dataset().to_batches(columns=["session_id"], filter=is_named):
            traces.sessions |= {word for word in batch.column("session_id").to_pylist() if word}
