"""The ways a command ends badly. Each carries one sentence: what, where, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MusicBoxError(Exception):
    """A refusal with an exit code; its text is shown to the user as it stands."""

    exit_code = 1

    def __str__(self) -> str:
        # What it names comes from outside: a newline would make two sentences, an escape paint the terminal.
        return "".join(one if one.isprintable() else repr(one)[1:-1] for one in super().__str__())


class UsageError(MusicBoxError):
    """The command's words are wrong: an impossible date, an unknown table."""

    exit_code = 2


class DataRefused(MusicBoxError):
    """The data is wrong or missing; nothing was published."""

    exit_code = 3


class Conflict(MusicBoxError):
    """Somebody else holds what this command wants to write."""

    exit_code = 4


class DiskFull(MusicBoxError):
    """A device has no space left. Exit code 1: the same command may succeed later, so a scheduler tries again."""


def unknown_words(words: Iterable[object], known: Iterable[str], prefix: str = "") -> str:
    """The words that are not known, each with its nearest known name: `'run_dat' (did you mean run_date?)`; empty where
    all are known. A prefix that all of them share is shown, and left out of what is near."""
    names = {name.removeprefix(prefix).lower(): name for name in known}
    odd = [word for word in words if word not in names.values()]
    return ", ".join(f"{word!r}{_nearest(str(word).removeprefix(prefix), names)}" for word in odd)


def _nearest(word: str, names: dict[str, str]) -> str:
    near = difflib.get_close_matches(word.lower(), names, n=1)
    return f" (did you mean {names[near[0]]}?)" if near else ""
