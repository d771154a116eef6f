"""What DuckDB says of a wrong question, in one sentence with a hint, and the place in the query under it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from musicbox_lib.contract.tables import tables
from musicbox_lib.errors import MusicBoxError, UsageError
from musicbox_lib.sql.names import Names

USER_HINT = "`user` is SQL's word for the database's own user, 'duckdb' here: the column of listeners is user_id."
SHOW_HINT = '`musicbox sql "SHOW TABLES"` lists the tables.'
NEAR = 0.6
"""difflib's own cutoff: `skip_trend` still finds `skip_rate_trend`."""


class QueryRefused(UsageError):
    """A question that DuckDB refuses: a sentence, then the lines that show the place in the query, caret and all."""

    def __init__(self, sentence: str, place: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.place = place

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *(str(MusicBoxError(line)) for line in self.place)])


def refused(error: Exception, query: str, names: Names, known: Iterable[str]) -> QueryRefused:
    """DuckDB's error with its "Did you mean", what it leaves unsaid, and its lines with the caret.

    `known` are the names of all tables and views, also of those that are not written yet."""
    head, marker, place = str(error).partition("\n\nLINE ")
    known = list(known)
    heads = [line.strip() for line in head.splitlines() if line.strip() and not _misleads(head, line, known)]
    sentence = " ".join(heads)
    sentence = sentence if sentence.endswith((".", "?", "!")) else f"{sentence}."
    sentence = " ".join([sentence, *_hints(sentence, query, names, known)])
    # A tab has the width of one character in DuckDB's count, but not on a terminal.
    lines = f"LINE {place}".replace("\t", " ").rstrip().splitlines() if marker else []
    return QueryRefused(sentence, lines)


def _misleads(head: str, line: str, known: Sequence[str]) -> bool:
    """Whether the line proposes a table of DuckDB's own catalogue to who looks for one of the lake."""
    proposed = re.match(r'Did you mean "([^"]+)"', line)
    if proposed is None or not head.startswith("Catalog Error: Table with name"):
        return False
    return proposed[1].split(".")[-1] not in {name.split(".")[-1] for name in known}


def user_hint(names: Names) -> str | None:
    """The hint for a query that says `user` and means `user_id`; DuckDB answers it without a word, with no rows."""
    return USER_HINT if "user" in names.columns and "user" not in names.aliases and names.relations else None


def _hints(sentence: str, query: str, names: Names, known: list[str]) -> list[str]:
    hints = []
    if missing := re.search(r'Table with name "?([\w.]+)"? does not exist', sentence):
        hints.append(_near(missing[1], names, known, sentence))
    column = re.search(r'Referenced (?:column|table) "([^"]+)" not found', sentence)
    if column and re.search(rf"[=<>(,]\s*\"{re.escape(column[1])}\"", query):
        hints.append(f"A text stands in single quotes: '{column[1]}'.")
    # Of a column behind a table's name, or of USING, DuckDB proposes none.
    if unproposed := re.search(r'(?:have a column named|Binder Error: Column) "([^"]+)"(?!.* Candidate)', sentence):
        hints.append(_near_columns(unproposed[1], names))
    if hint := user_hint(names):
        hints.append(hint)
    return [hint for hint in hints if hint]


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """The known names nearest to one, best first, at most three: by what stands behind the stage, since two names of
    one stage are always a little alike. Of a stage that has no near name all of its tables."""
    whole = list(known)
    nouns = {entry.split(".")[-1]: entry for entry in whole}
    stage, _, noun = name.lower().rpartition(".")
    near = [nouns[word] for word in get_close_matches(noun, list(nouns), n=3, cutoff=NEAR)]
    return near or [entry for entry in whole if stage and entry.startswith(f"{stage}.")]


def _near_columns(missing: str, names: Names) -> str:
    """The columns nearest to one, of all tables that the query names."""
    of_tables = [name for entry in names.relations & set(tables()) for name in tables()[entry].column_names]
    near = get_close_matches(missing.lower(), sorted(set(of_tables)), n=3, cutoff=NEAR)
    return f"The nearest columns: {', '.join(near)}." if near else ""


def _near(missing: str, names: Names, known: list[str], sentence: str) -> str:
    """The error names a table without its schema: the query has the rest."""
    if "." in missing and missing.lower() in known:
        return f"Stage and table are two names: write {missing.lower()} without quotes, or each in its own."
    asked = next((name for name in names.relations if name.split(".")[-1] == missing.lower()), missing)
    near = near_names(asked, known)
    # DuckDB knows what is shown to it: of a table or view that is not written yet it proposes another.
    if near and f'"{near[0]}"' not in sentence:
        return f"The nearest names: {', '.join(near)}."
    return "" if near or "Did you mean" in sentence else SHOW_HINT
