"""Names that nobody knows, and the known one that each was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def unknown(words: Iterable[object], known: Iterable[str]) -> str:
    """The words that are not known, each with its nearest known name: `'run_dat' (did you mean run_date?)`; empty where
    all are known."""
    names = list(known)
    return ", ".join(f"{word!r}{_nearest(str(word), names)}" for word in words if word not in names)


def _nearest(word: str, names: list[str]) -> str:
    lowered = {name.lower(): name for name in names}
    near = difflib.get_close_matches(word.lower(), lowered, n=1)
    return f" (did you mean {lowered[near[0]]}?)" if near else ""
