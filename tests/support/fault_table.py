"""The fault table: what each test of this folder did to the suite, and what came of it, as a figure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

COLUMNS = ("fault", "what was done", "figure", "result")


@dataclass
class Tried:
    """One row while the tests run: outcomes of all tests that carry its mark, and the figures that they gave."""

    outcomes: Counter[str] = field(default_factory=Counter)
    figures: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    @property
    def result(self) -> str:
        """Failed if any test failed, else passed if any passed, else why none did."""
        for outcome in ("failed", "passed", "expected to fail", "skipped"):
            if self.outcomes[outcome]:
                return outcome
        return "not run"

    @property
    def figure(self) -> str:
        """What the tests measured; where they measured nothing, how many of them passed."""
        passed = f"{self.outcomes['passed']}/{self.outcomes.total()}"
        if self.result == "failed":
            return "; ".join(dict.fromkeys([*self.figures, f"{passed} tests passed"]))
        return "; ".join(dict.fromkeys(self.figures or ([passed] if self.outcomes["passed"] else self.reasons)))


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    fault: str
    done: str
    figure: str
    result: str


class FaultTable:
    """Collects what the tests of a run report."""

    def __init__(self) -> None:
        self.tried: dict[tuple[str, str], Tried] = {}

    def enter(self, fault: str, done: str, outcome: str, figures: Sequence[str], reason: str) -> None:
        """One test's outcome: passed, failed, skipped or expected to fail."""
        tried = self.tried.setdefault((fault, done), Tried())
        tried.outcomes[outcome] += 1
        tried.figures += figures
        if reason:
            tried.reasons.append(reason)

    def rows(self) -> list[Row]:
        """The table, faults in the order in which they were first met."""
        order = {fault: at for at, fault in reversed(list(enumerate(fault for fault, _ in self.tried)))}
        found = sorted(self.tried.items(), key=lambda item: order[item[0][0]])
        return [Row(fault, done, tried.figure, tried.result) for (fault, done), tried in found]

    def as_markdown(self) -> str:
        """The table as docs/measured/faults.md has it."""
        lines = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
        cells = [[word.replace("|", "\\|") for word in asdict(row).values()] for row in self.rows()]
        return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in cells)]) + "\n"

    def write(self, path: Path) -> None:
        """Write `path` with the endings .md and .json."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".md").write_text(self.as_markdown())
        path.with_suffix(".json").write_text(json.dumps([asdict(row) for row in self.rows()], indent=1) + "\n")
