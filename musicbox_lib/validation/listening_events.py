"""bronze.session_events judged by the rules of silver.listening_events, and split by them."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from musicbox_lib.contract import contract
from musicbox_lib.tables import table
from musicbox_lib.validation.rules import broken_by, row_rules, with_broken_rules
from musicbox_lib.validation.session_facts import with_earlier_deliveries, with_row_facts, with_session_facts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

RULES = "silver.listening_events"


def flag(events: DataFrame, accepted: DataFrame) -> DataFrame:
    """Add to bronze rows (`session_users.with_user`) every fact and the rules that each row breaks (`broken`, `rules`,
    `is_rejected`). `accepted` (session_id, dt): the sessions that silver holds on other days."""
    rules = table(RULES)
    other = [rule for rule in row_rules(rules) if rule.severity == "quarantine" and rule.rule != "first_delivery"]
    is_sound = ~reduce(or_, [broken_by(rule) for rule in other])
    facts = events.transform(with_row_facts).transform(with_session_facts)
    return with_broken_rules(with_earlier_deliveries(facts, accepted, is_sound), rules)


@contract(takes={}, gives="silver.rejected_events")
def as_rejected_events(flagged: DataFrame) -> DataFrame:
    """The rows that broke a quarantine rule, with all that they broke."""
    from pyspark.sql import functions as F

    return flagged.where(F.col("is_rejected") == 1)


@contract(takes={}, gives="silver.listening_events")
def as_listening_events(flagged: DataFrame) -> DataFrame:
    """The sound rows, with the graded answer and the session's first hour."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    grade = F.when(F.col("skip_1"), 3).when(F.col("skip_2"), 2).when(F.col("skip_3"), 1).when(F.col("not_skipped"), 0)
    session = Window.partitionBy("dt", "session_key")
    return flagged.where(F.col("is_rejected") == 0).withColumns(
        {
            "skip_grade": grade.cast("tinyint"),
            "session_date": F.min_by("date", "session_position").over(session),
            "session_hour": F.min_by("hour_of_day", "session_position").over(session),
        }
    )
