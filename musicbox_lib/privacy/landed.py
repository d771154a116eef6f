"""A user's lines in landing: found, counted, made blank."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from musicbox_lib.contract.tables import Column, table
from musicbox_lib.landing import local_files, places, pseudonyms, records, spellings
from musicbox_lib.landing.header import read_header
from musicbox_lib.landing.local_files import LandedFile, text_of
from musicbox_lib.privacy.traces import Traces, values_of


@dataclass(frozen=True)
class Log:
    """A landed file and the columns of its header."""

    landed: LandedFile
    columns: tuple[str, ...]

    @property
    def is_of_users(self) -> bool:
        """Whether it is a session_users file, not a log."""
        return self.landed.path.startswith(f"{places.USERS}/")

    def user_and_session(self, values: list[str]) -> tuple[str, str]:
        """(session_id, user_id) of a line's values; an empty user where the file names none."""
        user = values[self.columns.index("user_id")] if "user_id" in self.columns else ""
        if spellings.is_nothing(user, _user_column()):
            user = ""
        return values[self.columns.index("session_id")], user

    def lines(self) -> Iterator[tuple[int, str]]:
        """The records after the header, each with the number of its first line."""
        for number, text, _ in records.records_of(local_files.lines_of(self.landed), len(self.columns)):
            if number > 1:
                yield number, text

    def values(self, line: str) -> list[str] | None:
        """A record's values; None where it cannot be read."""
        if self.is_of_users:
            values = records.values_of(text_of(line))
            return values if values is not None and len(values) == len(self.columns) else None
        return values_of(text_of(line), self.columns)


def _user_column() -> Column:
    return next(column for column in table("landing.session_users").columns if column.name == "user_id")


def logs() -> list[Log]:
    """Every landed file that names users or sessions: session_users first, for what they say of the logs' sessions.
    Raises DataRefused for a file without a header of the contract, or one that cannot be read."""
    found = []
    files = [*local_files.session_users(), *local_files.session_logs(), *local_files.replaced_files()]
    for landed in files:
        kind = landed.path.removeprefix(f"{places.REPLACED}/").partition("/")[0]
        first = local_files.first_line(landed)
        found.append(Log(landed, read_header(text_of(first), f"landing/{landed.path}", table(f"landing.{kind}"))))
    return found


def find_sessions(found: list[Log], traces: Traces) -> None:
    """Add the sessions that landing gives to the user and, asked by a pseudonym, the delivered id itself."""
    secret = pseudonyms.key() if traces.by_pseudonym else None
    names = _as_bytes_are_read(traces.names)
    others: set[str] = set()
    alone: set[str] = set()
    for log in found:
        for _, line in log.lines():
            if secret is None and not any(name in line for name in names):
                continue
            values = log.values(line)
            if values is None:
                continue
            session, user = log.user_and_session(values)
            if secret is not None and user and pseudonyms.pseudonym(user, secret) in traces.names:
                traces.names.add(user)
            if user in traces.names:
                traces.sessions |= {session} - {""}
            elif session in traces.names:
                (others if user else alone).add(session)
    traces.sessions |= alone - others


def _as_bytes_are_read(words: set[str]) -> set[str]:
    """Words as `local_files.lines_of` shows them."""
    doubled = {word.replace('"', '""') for word in words}
    return {word.encode().decode("latin-1") for word in words | doubled}


def theirs(log: Log, traces: Traces) -> Callable[[int, str], bool]:
    """Whether a line of the file is the user's, by its number and text. A line that cannot be read is theirs where it
    holds a name or a session, and is remembered: bronze may hold it masked."""
    commas = len(log.columns) - 1
    names, sessions = _as_bytes_are_read(traces.names), _as_bytes_are_read(traces.sessions)

    def is_theirs(number: int, line: str) -> bool:
        sound = line.count(",") == commas and '"' not in line
        if sound and line[: line.find(",")] not in sessions and not any(name in line for name in names):
            return False
        values = log.values(line)
        if values is not None:
            return traces.is_theirs(*log.user_and_session(values))
        if not traces.is_in_text(text_of(line)):
            return False
        traces.broken_lines.add((log.landed.day, log.landed.place.name, number))
        return True

    return is_theirs


def count(log: Log, traces: Traces) -> int:
    """How many lines of a file are the user's."""
    is_theirs = theirs(log, traces)
    return sum(is_theirs(number, line) for number, line in log.lines())


@dataclass
class Copies:
    """The files that hold lines of the user, each with its copy without them (None: nothing would stay)."""

    made: dict[LandedFile, Path | None] = field(default_factory=dict)

    def fingerprints(self) -> dict[str, tuple[str, str | None]]:
        """By path below landing: the fingerprint of the file and of its copy."""
        return {
            landed.path: (landed.fingerprint, None if copy is None else LandedFile(copy, "", landed.day).fingerprint)
            for landed, copy in self.made.items()
        }

    def publish(self) -> None:
        """Put every copy in its file's place."""
        for landed, copy in self.made.items():
            if copy is None:
                landed.place.unlink()
            else:
                copy.replace(landed.place)


def copies_without(found: list[Log], traces: Traces) -> Copies:
    """Copies of those files without the user's lines, beside them."""
    return Copies({log.landed: local_files.blanked(log.landed, len(log.columns), theirs(log, traces)) for log in found})
