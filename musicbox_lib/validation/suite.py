"""The contract's rules as a Great Expectations suite, and what it counts on a day's rows."""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from musicbox_lib.errors import MusicBoxError
from musicbox_lib.tables import Expectation, Table
from musicbox_lib.validation.rules import TABLE_TYPES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Finding:
    """What Great Expectations says about a rule: whether it held, and how many rows break it."""

    success: bool
    unexpected: int


def as_expectation(rule: Expectation) -> Any:
    """The rule as Great Expectations' own object, its name in `meta`."""
    gx = _quiet_import()
    name = "".join(part.capitalize() for part in rule.type.split("_"))
    found = getattr(gx.expectations, name, None)
    if found is None:
        raise MusicBoxError(f"rule {rule.rule}: Great Expectations has no {rule.type}: mend the YAML.")
    return found(**rule.kwargs, meta={"rule": rule.rule})


def find(rows: DataFrame, table: Table) -> dict[str, Finding]:
    """Let Great Expectations judge the rows by every rule of the table; persist them, it reads them several times.

    A rule that cannot be evaluated raises MusicBoxError: that is a broken rule, not bad data.
    """
    batch = _batch(rows)
    # Success alone costs one Spark job for all rules, counts one more for each: only for rules that could hide some.
    judged = _validate(batch, table.expectations, {"result_format": "BOOLEAN_ONLY"})
    counted = [
        rule
        for rule in table.expectations
        if rule.type not in TABLE_TYPES and (not judged[rule.rule].success or "mostly" in rule.kwargs)
    ]
    # No sample of the bad values: they stand in quarantine, row by row.
    basic = {"result_format": "BASIC", "partial_unexpected_count": 0}
    return judged | (_validate(batch, counted, basic) if counted else {})


def _quiet_import() -> Any:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations

    return great_expectations


def import_ahead() -> None:
    """Start importing Great Expectations beside Spark's first work: it takes 5 s of one core."""
    threading.Thread(target=_quiet_import, name="import great_expectations").start()


def _batch(rows: DataFrame) -> Any:
    gx = _quiet_import()
    context = gx.get_context(mode="ephemeral")
    # It makes a temporary folder for a site of documents that nobody builds.
    for site in (context.variables.data_docs_sites or {}).values():
        shutil.rmtree(site["store_backend"]["base_directory"], ignore_errors=True)
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    source = context.data_sources.add_spark(name="musicbox", persist=False)
    definition = source.add_dataframe_asset(name="rows").add_batch_definition_whole_dataframe("all")
    return definition.get_batch({"dataframe": rows})


def _validate(
    batch: Any, rules: tuple[Expectation, ...] | list[Expectation], result_format: dict[str, Any]
) -> dict[str, Finding]:
    suite = _quiet_import().ExpectationSuite(name="rules", expectations=[as_expectation(rule) for rule in rules])
    found = {}
    for result in batch.validate(suite, result_format=result_format).results:
        rule = result.expectation_config.meta["rule"]
        raised = result.exception_info.get("raised_exception")
        if raised is not False:
            raise MusicBoxError(f"rule {rule} cannot be evaluated: {result.exception_info}: mend it.")
        found[rule] = Finding(bool(result.success), int(result.result.get("unexpected_count") or 0))
    if missing := {rule.rule for rule in rules} - set(found):
        raise MusicBoxError(f"Great Expectations left out the rules {', '.join(sorted(missing))}.")
    return found
