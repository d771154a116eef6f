"""What the night would make of a delivered file, said by `musicbox land` while it reads it: values that cannot be read,
and values that break a rule by themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from musicbox_lib.contract.tables import Table, table
from musicbox_lib.landing import records
from musicbox_lib.landing.local_files import text_of
from musicbox_lib.landing.misfits import LINE, Misfit, misfits
from musicbox_lib.landing.value_rules import JUDGED_BY, faults

CHECKED = 200_000
"""The first records are all read value by value, of the later ones every SPACING-th: a warning, no verdict."""
SPACING = 100
EXAMPLES = 3
LONGEST = 60
"""Characters of a value that an example shows."""


@dataclass
class _Kind:
    """Records with one kind of fault: how many, the columns at fault, and examples."""

    records: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, number: int, found: list[Misfit]) -> None:
        self.records += bool(found)
        told = [_fault(misfit) for misfit in found]
        self.reasons.update(reason for reason, _ in told)
        for reason, example in told:
            # One example of each reason first: three of the same teach nothing.
            if len(self.examples) < EXAMPLES and self.reasons[reason] == 1:
                self.examples.append(f"line {number}, {example}")

    def sentence(self, rows: str, what: str) -> str:
        """Empty where no record has the fault."""
        counts = ", ".join(f"{reason} {count:,}" for reason, count in self.reasons.most_common(6))
        return f"{self.records:,} of {rows} {what} ({counts}): {'; '.join(self.examples)}." if self.records else ""


@dataclass
class Preview:
    """What was seen of a file: records read value by value, those that cannot be read, and those that can and break a
    rule by a value of theirs."""

    checked: int = 0
    unread: _Kind = field(default_factory=_Kind)
    breaking: _Kind = field(default_factory=_Kind)

    @property
    def is_hopeless(self) -> bool:
        """Whether no record at all can be read."""
        return self.checked > 0 and self.unread.records == self.checked

    def add(self, number: int, text: str, header: tuple[str, ...], landed: Table) -> None:
        """Look at one record."""
        self.checked += 1
        found = misfits(text, header, landed)
        self.unread.add(number, found)
        if not found:
            self.breaking.add(number, faults(header, records.values_of(text) or (), landed))

    def sentence(self, file: str, landed: Table) -> str | None:
        """The warning, None where everything fits."""
        set_aside = self.unread.records + self.breaking.records
        if not set_aside:
            return None
        rows = f"{self.checked:,} rows" + (" looked at" if self.checked >= CHECKED else "") + f" of {file}"
        parts = [
            self.unread.sentence(rows, "cannot be read and would be set aside"),
            self.breaking.sentence(rows, "break a rule and would be set aside"),
        ]
        bound = tolerated(landed)
        stops = bound is not None and set_aside > bound * self.checked
        then = f"That is more than the {bound:.0%} that a night tolerates: the night will stop." if stops else ""
        return " ".join(part for part in ("warning:", *parts, then) if part)


def tolerated(landed: Table) -> float | None:
    """The share of rejected rows above which a night stops, as the contract says; None where no rule does."""
    rules = table(JUDGED_BY[landed.name][1]).expectations if landed.name in JUDGED_BY else ()
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
        seen.add(number, text, header, landed)
    return seen


def _fault(misfit: Misfit) -> tuple[str, str]:
    if misfit.column == LINE:
        return "the line", f"which {misfit.why}: {_short(misfit.value)}"
    return misfit.column, f"{misfit.column} {_short(misfit.value)} {misfit.why}"


def _short(value: str) -> str:
    return repr(value if len(value) <= LONGEST else f"{value[:LONGEST]}…")
