"""bronze.session_events judged by the rules of silver.listening_events, and split by them."""

from __future__ import annotations

from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING

from musicbox_lib.contract import contract
from musicbox_lib.tables import table
from musicbox_lib.validation.rules import broken_by, row_rules, with_broken_rules
from musicbox_lib.validation.session_facts import (
    GIANT,
    SESSION_FACTS,
    date_of,
    hour_of,
    with_earlier_deliveries,
    with_giant_facts,
    with_plain_facts,
    with_row_facts,
    with_session_facts,
)

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

RULES = "silver.listening_events"
LINE = ("dt", "file", "line")
"""The grain of bronze: which line of which delivery."""


def suspects(events: DataFrame, sessions: DataFrame) -> DataFrame:
    """The bronze rows (`session_users.with_user`) that need a closer look, with their row facts and what `sessions`
    (`session_facts`) says of theirs: those that break a rule by themselves, and all rows of a session that is not
    plain."""
    from pyspark.sql import functions as F

    own = [rule for rule in row_rules(table(RULES)) if rule.kwargs["column"] not in SESSION_FACTS]
    rows = _beside_sessions(events, sessions).transform(with_row_facts)
    return rows.where(~F.col("is_plain") | reduce(or_, map(broken_by, own)))


def _beside_sessions(events: DataFrame, sessions: DataFrame) -> DataFrame:
    """The bronze rows with what is known of their sessions; one whose session cannot be read is not plain."""
    from pyspark.sql import functions as F

    told = sessions.select("dt", "session_id", "session_rows", "is_plain", "first_accepted")
    rows = events.join(told, ["dt", "session_id"], "left")
    return rows.withColumn("is_plain", F.coalesce("is_plain", F.lit(False)))


def flag(suspects: DataFrame) -> DataFrame:
    """The suspects with every fact and the rules that each breaks (`broken`, `rules`, `is_rejected`, `is_faulty`);
    persist them, they are read in three parts."""
    from pyspark.sql import functions as F

    rules = table(RULES)
    other = [rule for rule in row_rules(rules) if rule.severity == "quarantine" and rule.rule != "first_delivery"]
    is_sound = reduce(and_, [~broken_by(rule) for rule in other])
    is_giant = F.coalesce(F.col("session_rows") > GIANT, F.lit(False))
    plain = suspects.where("is_plain").transform(with_plain_facts)
    giant = suspects.where(~F.col("is_plain") & is_giant).transform(with_giant_facts)
    entangled = suspects.where(~F.col("is_plain") & ~is_giant).transform(with_session_facts)
    known = with_earlier_deliveries(entangled, is_sound)
    return with_broken_rules(plain.unionByName(giant).unionByName(known), rules)


def unsuspected(events: DataFrame, sessions: DataFrame, flagged: DataFrame) -> DataFrame:
    """The bronze rows that are no suspects, with every fact: what Great Expectations looks at beside the flagged."""
    left = _beside_sessions(events, sessions).join(flagged.select(*LINE), [*LINE], "left_anti")
    return left.transform(with_row_facts).transform(with_plain_facts)


@contract(takes={}, gives="silver.rejected_events")
def as_rejected_events(flagged: DataFrame) -> DataFrame:
    """The rows that broke a quarantine rule, with all that they broke."""
    from pyspark.sql import functions as F

    return flagged.where(F.col("is_rejected") == 1)


@contract(takes={}, gives="silver.listening_events")
def as_listening_events(events: DataFrame, sessions: DataFrame, flagged: DataFrame) -> DataFrame:
    """The sound rows, with the graded answer and the day and hour of the session's first play: bronze without the
    flagged, and those of the flagged that nothing rejects."""
    from pyspark.sql import functions as F

    names = [name for name in events.columns if name not in {"raw_line", "is_parsed"}]
    plain = events.select(*names).join(flagged.select(*LINE), [*LINE], "left_anti")
    plain = plain.withColumn("user_id", F.coalesce("user_id", "session_id"))
    kept = flagged.where(F.col("is_rejected") == 0).select(*names)
    first = sessions.select("dt", "session_id", "first_play")
    return (
        plain.unionByName(kept)
        .join(first, ["dt", "session_id"])
        .withColumns(
            {
                "skip_grade": _grade().cast("tinyint"),
                "session_date": date_of(F.col("first_play")),
                "session_hour": hour_of(F.col("first_play")),
            }
        )
    )


def _grade() -> Column:
    from pyspark.sql import functions as F

    return F.when(F.col("skip_1"), 3).when(F.col("skip_2"), 2).when(F.col("skip_3"), 1).when(F.col("not_skipped"), 0)
