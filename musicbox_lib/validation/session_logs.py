"""bronze.session_events judged by the rules of silver.listening_events, and split by them."""

from __future__ import annotations

from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING

from musicbox_lib.contract.tables import Expectation, table
from musicbox_lib.contract.typed import contract
from musicbox_lib.validation import versions
from musicbox_lib.validation.rules import broken_by, row_rules, set_aside, with_broken_rules
from musicbox_lib.validation.session_facts import (
    GIANT,
    SESSION_FACTS,
    breaks,
    date_of,
    first_play,
    hour_of,
    session_facts,
    with_plain_facts,
    with_plain_or_giant_facts,
    with_row_facts,
    with_session_facts,
)

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

RULES = "silver.listening_events"


def warned() -> list[Expectation]:
    """The rules of one row by itself that only warn: that a row breaks one is no reason to look at it closely, so they
    are counted while the sessions are."""
    return [rule for rule in _own_rules() if rule.severity == "warn"]


def _own_rules() -> list[Expectation]:
    return [rule for rule in row_rules(table(RULES)) if rule.kwargs["column"] not in SESSION_FACTS]


def sessions_of(events: DataFrame) -> DataFrame:
    """`session_facts` of the bronze rows (`session_users.with_user`), each held against the rules that look at nothing
    but itself; persist them."""
    from pyspark.sql import functions as F

    grave = [rule for rule in _own_rules() if rule.severity != "warn"]
    # All rows of a session have its id: one look for all of them.
    of_id = [rule for rule in grave if rule.kwargs["column"] == "session_id"]
    alone = reduce(or_, [broken_by(rule) for rule in grave if rule not in of_id])
    warnings = {breaks(rule.rule): broken_by(rule) for rule in warned()}
    rows = events.transform(with_row_facts).withColumns({"breaks_alone": alone, **warnings})
    all_faulty = F.when(reduce(or_, map(broken_by, of_id)), F.col("session_rows"))
    sessions = session_facts(rows, list(warnings))
    return sessions.withColumn("faulty_rows", F.coalesce(all_faulty, "faulty_rows"))


def looked_at(events: DataFrame, sessions: DataFrame, every: int = 1, few: bool = True) -> DataFrame:
    """The bronze rows that a night looks at, with their row facts and what `sessions` (`with_deliveries`) says of
    theirs; persist them. `is_suspect`: all rows of a session that is not clean, and those whose session cannot be read.
    The others are the rows of clean sessions, of a big night one in `every`, by a hash of the line. `few`: whether the
    sessions that are not clean fit into memory; then no row has to be moved."""
    from pyspark.sql import functions as F

    unclean = sessions.where("NOT is_clean").select("dt", "session_id", *_OF_ITS_SESSION)
    rows = events.join(F.broadcast(unclean) if few else unclean, ["dt", "session_id"], "left")
    is_suspect = F.col("session_id").isNull() | F.col("session_rows").isNotNull()
    in_sample = F.pmod(F.xxhash64("file", "line"), F.lit(every)) == 0
    return (
        rows.where(is_suspect | in_sample if every > 1 else F.lit(True))
        .withColumns({"is_suspect": is_suspect, "is_plain": F.coalesce("is_plain", F.lit(False))})
        .transform(with_row_facts)
    )


_OF_ITS_SESSION = ("session_rows", "is_plain", "first_play", "first_accepted")


def flag(rows: DataFrame, carried: DataFrame | None = None, others: DataFrame | None = None) -> DataFrame:
    """The suspects among the rows (`looked_at`) with every fact and the rules that each breaks
    (`rules.with_broken_rules`); persist them, they are read several times.

    `carried`: rows of earlier days that count for the sessions of these (`earlier_plays.carried`). They come out too,
    `is_carried`: theirs is no line of this day's delivery. `others` (`versions.COLUMNS`): what other days accepted of
    these sessions. `superseded_on` is the day that delivered the row's session longer, null where none did."""
    from pyspark.sql import functions as F

    rules, suspects = table(RULES), rows.where("is_suspect")
    other = [rule for rule in row_rules(rules) if rule.severity == "quarantine" and rule.rule != "first_delivery"]
    is_sound = reduce(and_, [~broken_by(rule) for rule in other])
    is_giant = F.coalesce(F.col("session_rows") > GIANT, F.lit(False))
    single = suspects.where(F.col("is_plain") | is_giant).transform(with_plain_or_giant_facts)
    entangled = suspects.where(~F.col("is_plain") & ~is_giant)
    entangled = entangled.withColumns({"delivered_on": F.col("dt"), "is_carried": F.lit(False)})
    if carried is not None:
        entangled = entangled.unionByName(carried)
    known = _with_versions(entangled.transform(with_session_facts), is_sound, others)
    of_its_own = {"delivered_on": F.col("dt"), "is_carried": F.lit(False), "superseded_on": F.lit(None).cast("date")}
    return with_broken_rules(single.withColumns(of_its_own).unionByName(known), rules)


def _with_versions(rows: DataFrame, is_sound: Column, others: DataFrame | None) -> DataFrame:
    """Add `earlier_deliveries` (1 where an earlier day's delivery of the row's session was accepted and this one is no
    longer, else 0) and `superseded_on`, and let the session's `first_play` be the first of all its rows.

    A session that waits in quarantine is not known yet: its second delivery is welcome."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    deliveries = versions.of_rows(rows, is_sound)
    if others is not None:
        deliveries = deliveries.unionByName(others.select(*versions.COLUMNS))
    judged = versions.judged(deliveries).select(*versions.KEY, "is_repeated", "superseded_on")
    of_session = Window.partitionBy("dt", "session_key")
    return (
        rows.withColumn("first_play", F.min(F.coalesce("first_play", first_play())).over(of_session))
        .join(judged, [*versions.KEY], "left")
        .withColumn("earlier_deliveries", F.coalesce("is_repeated", F.lit(False)).cast("int"))
        .drop("session_key", "is_repeated")
    )


def unsuspected(rows: DataFrame) -> DataFrame:
    """The others among the rows (`looked_at`), with every fact: what Great Expectations looks at beside the flagged."""
    from pyspark.sql import functions as F

    # The session facts of a plain session, as many rows as its length says.
    clean = rows.where("NOT is_suspect").withColumn("session_rows", F.col("session_length").cast("bigint"))
    return clean.transform(with_plain_facts)


@contract(takes={}, gives="silver.rejected_events")
def as_rejected_events(flagged: DataFrame) -> DataFrame:
    """The day's own rows that broke a quarantine rule, with all that they broke."""
    return set_aside(flagged.where("NOT is_carried"), table(RULES))


@contract(takes={}, gives="silver.listening_events")
def as_listening_events(events: DataFrame, sessions: DataFrame, flagged: DataFrame) -> DataFrame:
    """The sound rows, with the graded answer and the day and hour of the session's first play: those of clean sessions,
    and those of the flagged that nothing rejects, of sessions that no later day delivered longer."""
    from pyspark.sql import functions as F

    names = _names(events)
    clean = sessions.where("is_clean").select("dt", "session_id", "first_play")
    plain = events.select(*names).join(clean, ["dt", "session_id"])
    plain = plain.withColumns({"user_id": F.coalesce("user_id", "session_id"), "delivered_on": F.col("dt")})
    kept = flagged.where("is_rejected = 0 AND superseded_on IS NULL").select(*names, "first_play", "delivered_on")
    return _as_plays(plain.unionByName(kept))


@contract(takes={}, gives="silver.superseded_events")
def as_superseded_events(events: DataFrame, flagged: DataFrame) -> DataFrame:
    """Of the flagged rows, the sound ones of sessions that a later day delivered longer."""
    kept = flagged.where("is_rejected = 0 AND superseded_on IS NOT NULL")
    return _as_plays(kept.select(*_names(events), "first_play", "delivered_on", "superseded_on"))


def _names(events: DataFrame) -> list[str]:
    return [name for name in events.columns if name not in {"raw_line", "is_parsed"}]


def _as_plays(rows: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    return rows.withColumns(
        {
            "skip_grade": _grade().cast("tinyint"),
            "session_date": date_of(F.col("first_play")),
            "session_hour": hour_of(F.col("first_play")),
        }
    )


def _grade() -> Column:
    from pyspark.sql import functions as F

    return F.when(F.col("skip_1"), 3).when(F.col("skip_2"), 2).when(F.col("skip_3"), 1).when(F.col("not_skipped"), 0)
