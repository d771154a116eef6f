"""`gold.last_sessions`: where every active user stands at the end of a day."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from musicbox_lib.contract.typed import contract
from musicbox_lib.sessions.contexts import last_contexts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@contract(takes={"events": "silver.listening_events"}, gives="gold.last_sessions")
def last_sessions(events: DataFrame, run_date: dt.date, active_days: int) -> DataFrame:
    """One row per user of whom a session was delivered in the `active_days` days up to `run_date`: the context after
    the play heard last, from all plays delivered up to then."""
    active_from = run_date - dt.timedelta(days=active_days)
    return (
        events.where(F.col("dt") <= F.lit(run_date))
        .transform(last_contexts)
        .where(F.col("last_delivered") > F.lit(active_from))
        .withColumn("dt", F.lit(run_date))
    )
