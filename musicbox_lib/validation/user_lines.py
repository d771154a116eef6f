"""The session_users files judged: a line that cannot be read names the user of no session, and that is counted."""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING, NamedTuple

from musicbox_lib.contract.tables import table
from musicbox_lib.landing import pseudonyms
from musicbox_lib.validation.decision import Result, row_result
from musicbox_lib.validation.examples import Example, Files, examples_of, first_lines
from musicbox_lib.validation.rules import broken_by, row_rules
from musicbox_lib.validation.stops import of_example

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

log = logging.getLogger(__name__)
RULES = "landing.session_users"


class Judged(NamedTuple):
    """What was found in the files."""

    results: list[Result]
    examples: list[Example]


def judge_users(lines: DataFrame, rows: int, day: dt.date) -> Judged:
    """The results and examples of the `rows` delivered lines (`session_users.delivered`), as of a night; none where
    nothing was delivered. One query, two more where a line breaks a rule. Warns of what it finds."""
    from pyspark.sql import functions as F

    if not rows:
        return Judged([], [])
    rules = table(RULES)
    masked = lines if pseudonyms.key() is None else lines.withColumn("raw_line", pseudonyms.masked(lines["raw_line"]))
    shown = (masked if pseudonyms.key() is None else masked.drop("session_id")).withColumn("dt", F.lit(day))
    counts = lines.agg(*[F.count_if(broken_by(rule)).alias(rule.rule) for rule in row_rules(rules)]).collect()[0]
    results = [row_result(day, rule, counts[rule.rule], rows, rules) for rule in row_rules(rules)]
    known = {rule.rule: rule for rule in row_rules(rules)}
    broken = {(day, result.rule): broken_by(known[result.rule]) for result in results if not result.success}
    files = Files(lines.sparkSession, rules)
    found = [example for rule, row in first_lines(shown, broken) for example in examples_of(known[rule], row, files)]
    for result in results:
        if not result.success:
            first = next(of_example(example) for example in found if example["rule"] == result.rule)
            log.warning("session_users: %d of %d lines break %s, e.g. %s", result.unexpected, rows, result.rule, first)
    return Judged(results, found)
