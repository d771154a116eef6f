"""A file of questions: each a comment that asks it in words, then the SELECT that answers it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from musicbox_lib.errors import UsageError
from musicbox_lib.sql.refusals import QueryRefused


@dataclass(frozen=True)
class Question:
    """A question in words (empty where the file has none) and its SELECT."""

    words: str
    sql: str


def read_questions(path: Path) -> list[Question]:
    """The file's questions in order; the words are the comment lines right above each SELECT.

    Raises UsageError for a file that cannot be read or whose SQL cannot be parsed.
    """
    import duckdb

    try:
        text = path.read_text()
        statements = [statement.query for statement in duckdb.extract_statements(text)]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read ({error}).") from None
    except duckdb.Error as error:
        head, marker, place = str(error).partition("\n\nLINE ")
        raise QueryRefused(f"{path}: {head}", f"LINE {place}".splitlines() if marker else ()) from None
    questions = []
    above = text[: text.index(statements[0])] if statements else ""
    for statement in statements:
        # DuckDB counts what stands between two statements to the first.
        sql, below = without_comments_below(statement)
        questions.append(Question(_words(above), sql))
        above = below
    return questions


def without_comments_below(statement: str) -> tuple[str, str]:
    """A statement without its semicolon, and the comment lines below it."""
    lines = statement.splitlines()
    end = len(lines)
    while end and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("--")):
        end -= 1
    return "\n".join(lines[:end]).strip().removesuffix(";"), "\n".join(lines[end:])


def _words(comments: str) -> str:
    """The last paragraph of comment lines, as one sentence."""
    lines = comments.rstrip().split("\n\n")[-1].splitlines()
    return " ".join(line.strip().removeprefix("--").strip() for line in lines).strip()
