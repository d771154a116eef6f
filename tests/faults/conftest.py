"""Every test here carries `@pytest.mark.fault(fault, what was done)`; the run ends with their table.

A test gives a figure with `record_property("figure", "20/20 the same content")`; without one the row counts the tests
that passed. `MUSICBOX_FAULT_TABLE=PATH` writes the table to PATH.md and PATH.json as well,
`MUSICBOX_FAULT_PAGE=faults` into docs/measured/faults.md where every test passed.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from fault_table import FaultTable

from bench import pages

TABLE = pytest.StashKey[FaultTable]()
OUTCOMES = {"passed": "passed", "failed": "failed", "skipped": "skipped"}


def _outcome(report: pytest.TestReport) -> tuple[str, str]:
    if hasattr(report, "wasxfail"):
        return ("expected to fail" if report.skipped else "failed"), str(report.wasxfail).removeprefix("reason: ")
    reason = str(report.longrepr[2]).removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""
    return OUTCOMES[report.outcome], reason


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    mark = item.get_closest_marker("fault")
    if mark is None or (report.when != "call" and report.passed):
        return report
    table = item.config.stash.setdefault(TABLE, FaultTable())
    properties = [(name, str(value)) for name, value in report.user_properties]
    fault, done = mark.args
    told = [value for name, value in properties if name == "done"]
    figures = [value for name, value in properties if name == "figure"]
    outcome, reason = _outcome(report)
    table.enter(fault, (told or [done])[-1], outcome, figures, reason)
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    bare = [item.nodeid for item in items if here in item.path.parents and item.get_closest_marker("fault") is None]
    if bare:
        raise pytest.UsageError(f"a test of tests/faults has no @pytest.mark.fault(fault, what was done): {bare[0]}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    table = config.stash.get(TABLE, None)
    if table is None:
        return
    terminalreporter.section("faults")
    for row in table.rows():
        terminalreporter.write_line(f"{row.result:<9} {row.fault}: {row.done}: {row.figure}")
    if place := os.environ.get("MUSICBOX_FAULT_TABLE"):
        table.write(Path(place))
    # A table with a failure stays out of the docs.
    if (name := os.environ.get("MUSICBOX_FAULT_PAGE")) and exitstatus == 0:
        pages.put(pages.MEASURED / f"{name}.md", table.as_markdown(), pages.recorded())
