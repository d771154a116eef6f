"""What the night would make of a delivered file, said by `musicbox land` while it reads it: values that do not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from musicbox_lib.contract.tables import Table, table
from musicbox_lib.landing import records
from musicbox_lib.landing.local_files import text_of
from musicbox_lib.landing.misfits import LINE, Misfit, misfits

CHECKED = 200_000
"""The first records are all read value by value, of the later ones every SPACING-th: a warning, no verdict."""
SPACING = 100
EXAMPLES = 3
LONGEST = 60
"""Characters of a value that an example shows."""
JUDGED_BY = {"landing.session_logs": "silver.listening_events", "landing.tracks": "silver.known_tracks"}


@dataclass
class Preview:
    """What was seen of a file: records read value by value, those that do not fit, why, and examples."""

    checked: int = 0
    unread: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    @property
    def is_hopeless(self) -> bool:
        """Whether no record at all can be read."""
        return self.checked > 0 and self.unread == self.checked

    def add(self, number: int, faults: list[tuple[str, str]]) -> None:
        """Count one record with its faults: (column or the line, the sentence of an example)."""
        self.checked += 1
        self.unread += bool(faults)
        self.reasons.update(reason for reason, _ in faults)
        for reason, example in faults:
            # One example of each reason first: three of the same teach nothing.
            if len(self.examples) < EXAMPLES and self.reasons[reason] == 1:
                self.examples.append(f"line {number}, {example}")

    def sentence(self, file: str, landed: Table) -> str | None:
        """The warning, None where everything fits."""
        if not self.unread:
            return None
        rows = f"{self.unread:,} of {self.checked:,} rows" + (" looked at" if self.checked >= CHECKED else "")
        counts = ", ".join(f"{reason} {count:,}" for reason, count in self.reasons.most_common(6))
        bound = tolerated(landed)
        stops = bound is not None and self.unread > bound * self.checked
        then = f" That is more than the {bound:.0%} that a night tolerates: the night will stop." if stops else ""
        return (
            f"warning: {rows} of {file} cannot be read and would be set aside ({counts}): "
            f"{'; '.join(self.examples)}.{then}"
        )


def tolerated(landed: Table) -> float | None:
    """The share of rejected rows above which a night stops, as the contract says; None where no rule does."""
    judged = JUDGED_BY.get(landed.name)
    rules = table(judged).expectations if judged else ()
    return next((rule.kwargs["max_value"] for rule in rules if rule.rule == "rejected_share"), None)


def preview(lines: Iterable[str], header: tuple[str, ...], landed: Table) -> Preview:
    """Read a file's lines (a character per byte, with their endings; the header first), in memory that stays flat."""
    seen, at = Preview(), 0
    for number, bytes_of, _ in records.records_of(lines, len(header)):
        if number == 1 or not bytes_of.strip():
            continue
        at += 1
        if at > CHECKED and at % SPACING:
            continue
        text = text_of(bytes_of)
        seen.add(number, [_fault(misfit) for misfit in misfits(text, header, landed)])
    return seen


def _fault(misfit: Misfit) -> tuple[str, str]:
    if misfit.column == LINE:
        return "the line", f"which {misfit.why}: {_short(misfit.value)}"
    return misfit.column, f"{misfit.column} {_short(misfit.value)} {misfit.why}"


def _short(value: str) -> str:
    return repr(value if len(value) <= LONGEST else f"{value[:LONGEST]}…")
