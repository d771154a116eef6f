"""Names that nobody knows, and the known one that each was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def unknown(words: Iterable[object], known: Iterable[str], prefix: str = "") -> str:
    """The words that are not known, each with its nearest known name: `'run_dat' (did you mean run_date?)`; empty where
    all are known. A prefix that all of them share is shown, and left out of what is near."""
    names = {name.removeprefix(prefix).lower(): name for name in known}
    odd = [word for word in words if word not in names.values()]
    return ", ".join(f"{word!r}{_nearest(str(word).removeprefix(prefix), names)}" for word in odd)


def _nearest(word: str, names: dict[str, str]) -> str:
    near = difflib.get_close_matches(word.lower(), names, n=1)
    return f" (did you mean {names[near[0]]}?)" if near else ""
