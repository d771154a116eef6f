"""The contract's rules as Great Expectations suites: what they count, and the night's Data Docs."""

from __future__ import annotations

import datetime as dt
import logging
import os
import shutil
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musicbox_lib.contract.tables import Expectation
from musicbox_lib.errors import MusicBoxError
from musicbox_lib.validation.decision import Result, holds

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# No sample of the bad values: they stand in quarantine, row by row.
BASIC = {"result_format": "BASIC", "partial_unexpected_count": 0}
BOOLEAN = {"result_format": "BOOLEAN_ONLY"}
NOTHING_RAISED = {"raised_exception": False, "exception_message": None, "exception_traceback": None}
Held = dict[dt.date, dict[str, bool]]


def as_expectation(rule: Expectation, **bounds: float | None) -> Any:
    """The rule as Great Expectations' own object, with its name and sentence; `bounds` for a rule by what is usual."""
    gx = _quiet_import()
    name = "".join(part.capitalize() for part in rule.type.split("_"))
    found = getattr(gx.expectations, name, None)
    if found is None:
        raise MusicBoxError(f"rule {rule.rule}: Great Expectations has no {rule.type}: mend the YAML.")
    notes = {"format": "string", "content": [f"{rule.rule} ({rule.severity}): {rule.about}"]}
    return found(**rule.kwargs, **bounds, meta={"rule": rule.rule, "notes": notes})


def _quiet_import() -> Any:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    # At INFO its import alone says two hundred lines of itself.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations

    return great_expectations


def import_ahead() -> None:
    """Start importing Great Expectations beside Spark's first work: it takes 5 s of one core."""
    threading.Thread(target=_quiet_import, name="import great_expectations").start()


class Judge:
    """Great Expectations for one night: judges rows and days by the contract's rules, and keeps what it found for the
    night's Data Docs. A rule that cannot be evaluated raises MusicBoxError: that is a broken rule, not bad data."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}

    @cached_property
    def _context(self) -> Any:
        context = _quiet_import().get_context(mode="ephemeral")
        # It makes a temporary folder for a site of documents that nobody builds.
        for name, site in dict(context.variables.data_docs_sites or {}).items():
            shutil.rmtree(site["store_backend"]["base_directory"], ignore_errors=True)
            context.delete_data_docs_site(name)
        context.variables.progress_bars = {"globally": False, "metric_calculations": False}
        return context

    def rows(
        self, name: str, rows: DataFrame, rules: Sequence[Expectation], evaluated: int, unseen: Mapping[str, int] = {}
    ) -> dict[str, int]:
        """How many rows break each rule. Of a big night `rows` are a part (`listening_events.looked_at`) of the
        `evaluated` ones that the shares in the documents refer to; `unseen` is how many of the others break a rule."""
        expectations = [as_expectation(rule) for rule in rules]
        unexpected = _count_unexpected(self._spark_batch(rows), expectations)
        unexpected = {rule: count + unseen.get(rule, 0) for rule, count in unexpected.items()}
        self._found[name] = _as_result(name, expectations, unexpected, evaluated)
        return unexpected

    def days(self, name: str, results: Sequence[Result], rules: Sequence[Expectation]) -> Held:
        """Whether each day rule holds for the measures in `results`, by day; the last day goes into the documents."""
        held: Held = {}
        known = {rule.rule: rule for rule in rules}
        for day in sorted({result.dt for result in results}):
            told = [one for one in results if one.dt == day and one.rule in known and _can_be_held(one)]
            values = {known[result.rule].kwargs["column"]: result.value for result in told}
            expectations = [_of_day(known[result.rule], result) for result in told]
            found = _checked(self._pandas_batch(values), expectations)
            held[day] = {_rule_of(result): bool(result.success) for result in found.results}
            self._found[name] = found
        return held

    def write_docs(self, folder: Path | None, day: dt.date) -> None:
        """Build the Data Docs of everything judged so far, as of that day, in that folder; None builds none."""
        if folder is None:
            return
        gx = _quiet_import()
        from great_expectations.core.run_identifier import RunIdentifier
        from great_expectations.data_context.types.resource_identifiers import (
            ExpectationSuiteIdentifier,
            ValidationResultIdentifier,
        )

        shutil.rmtree(folder, ignore_errors=True)
        backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}
        index = {"class_name": "DefaultSiteIndexBuilder", "show_cta_footer": False}
        site = {"class_name": "SiteBuilder", "show_how_to_buttons": False, "store_backend": backend}
        self._context.add_data_docs_site("night", {**site, "site_index_builder": index})
        # The documents know no other time than the day they are about: the same night gives the same pages.
        run = RunIdentifier(run_name=str(day), run_time=dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC))
        for name, found in self._found.items():
            suite = gx.ExpectationSuite(name=name, expectations=[])
            for result in found.results:
                suite.add_expectation_configuration(result.expectation_config)
            self._context.suites.add(suite)
            found.suite_name = name
            found.meta |= {"run_id": run, "great_expectations_version": gx.__version__}
            key = ValidationResultIdentifier(ExpectationSuiteIdentifier(name), run, name)
            self._context.validation_results_store.set(key, found)
        self._context.build_data_docs()

    def _spark_batch(self, rows: DataFrame) -> Any:
        source = self._context.data_sources.add_or_update_spark(name="rows", persist=False)
        definition = source.add_dataframe_asset(name="rows").add_batch_definition_whole_dataframe("all")
        return definition.get_batch({"dataframe": rows})

    def _pandas_batch(self, values: Mapping[str, float | None]) -> Any:
        import pandas as pd

        source = self._context.data_sources.add_or_update_pandas(name="days")
        definition = source.add_dataframe_asset(name="days").add_batch_definition_whole_dataframe("all")
        return definition.get_batch({"dataframe": pd.DataFrame({name: [value] for name, value in values.items()})})


def _can_be_held(result: Result) -> bool:
    """Whether there is a value, and something to hold it against: too few nights tell nothing."""
    return result.value is not None and (result.expected_lo is not None or result.expected_hi is not None)


def _of_day(rule: Expectation, result: Result) -> Any:
    if rule.usual is None:
        return as_expectation(rule)
    return as_expectation(rule, min_value=result.expected_lo, max_value=result.expected_hi)


def _count_unexpected(batch: Any, expectations: Sequence[Any]) -> dict[str, int]:
    """The unexpected count of each expectation, asked for directly, in one query for each kind of metric: a validation
    that tells counts and not success alone asks once more for each rule that was broken (24 of 36 s at 1,000,000 rows).
    """
    calculator = batch._get_metrics_calculator()
    calculator.show_progress_bars = False
    asked = {}
    for one in expectations:
        told = one.get_validation_dependencies(
            execution_engine=calculator._execution_engine, runtime_configuration={"result_format": BOOLEAN}
        )
        metric = told.metric_configurations[f"{one.map_metric}.unexpected_count"]
        metric.metric_domain_kwargs["batch_id"] = batch.id
        asked[str(one.meta["rule"])] = metric
    found, errors = calculator.compute_metrics(metric_configurations=list(asked.values()), runtime_configuration=None)
    for rule, metric in asked.items():
        if metric.id not in found:
            raise MusicBoxError(f"rule {rule} cannot be evaluated: {errors.get(metric.id)}: mend it.")
    return {rule: int(found[metric.id] or 0) for rule, metric in asked.items()}


def _checked(batch: Any, expectations: Sequence[Any]) -> Any:
    suite = _quiet_import().ExpectationSuite(name="rules", expectations=list(expectations))
    found = batch.validate(suite, result_format=BASIC)
    for result in found.results:
        if result.exception_info.get("raised_exception") is not False:
            raise MusicBoxError(f"rule {_rule_of(result)} cannot be evaluated: {result.exception_info}: mend it.")
    if missing := {one.meta["rule"] for one in expectations} - {_rule_of(result) for result in found.results}:
        raise MusicBoxError(f"Great Expectations left out the rules {', '.join(sorted(missing))}.")
    return found


def _rule_of(result: Any) -> str:
    return str(result.expectation_config.meta["rule"])


def _as_result(name: str, expectations: Sequence[Any], unexpected: Mapping[str, int], evaluated: int) -> Any:
    """The counts as Great Expectations tells a validation, for its documents."""
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult

    results = []
    for one in expectations:
        count = unexpected[str(one.meta["rule"])]
        percent = 100.0 * count / evaluated if evaluated else 0.0
        told = {"element_count": evaluated, "unexpected_count": count, "unexpected_percent": percent}
        success = holds(one.configuration.kwargs, count, evaluated)
        results.append(
            ExpectationValidationResult(
                success=success, expectation_config=one.configuration, result=told, exception_info=NOTHING_RAISED
            )
        )
    held = [bool(result.success) for result in results]
    statistics = {
        "evaluated_expectations": len(held),
        "successful_expectations": sum(held),
        "unsuccessful_expectations": len(held) - sum(held),
        "success_percent": 100.0 * sum(held) / len(held),
    }
    return ExpectationSuiteValidationResult(
        success=all(held), results=results, suite_name=name, statistics=statistics, meta={}
    )
