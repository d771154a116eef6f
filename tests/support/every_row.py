"""What the rules say of every delivered row, of the clean sessions' too: nobody flags those in a night."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicbox_lib.contract.tables import table
from musicbox_lib.validation.rules import broken_names, with_broken_rules
from musicbox_lib.validation.session_logs import RULES, unsuspected

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def judged(events: DataFrame, looked_at: DataFrame, flagged: DataFrame) -> DataFrame:
    """Each bronze row once, with the names of the rules that it breaks (`broken`)."""
    others = with_broken_rules(unsuspected(looked_at), table(RULES))
    assert others.where("is_rejected = 1").count() == 0, "a row of a clean session would be rejected"
    told = ("dt", "file", "line", "raw_line", broken_names(table(RULES)).alias("broken"))
    rows = flagged.select(*told).unionByName(others.select(*told))
    assert rows.count() == events.count()
    return rows
