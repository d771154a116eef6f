"""`musicbox evaluate`: a night's evaluation from the lake, and against the truth where there is one."""

from __future__ import annotations

import sys
from pathlib import Path

from musicbox_lib import lake
from musicbox_lib.errors import DataRefused
from musicbox_lib.evaluation.against_truth import evaluate
from musicbox_lib.evaluation.truth_tables import show
from musicbox_lib.settings import settings
from musicbox_lib.sql import ask
from musicbox_lib.sql_output import show as show_answer

TABLE = "reports.policy_evaluation"
NUMBERS = (
    *("skip_rate_dr", "skip_rate_dr_lo", "skip_rate_dr_hi", "skip_rate_snips", "skip_rate_dm"),
    *("hit_rate_20", "ndcg_20"),
)
"""Columns of evaluation_trend that are shown, to four decimals; the table has every digit."""


def show_night(word: str, truth: Path | None) -> None:
    """Print what the night's plays say of each policy, then what the truth says: of the folder named, or of the
    setting's where it is there. Raises UsageError for a word that is no day, DataRefused for a night that nobody
    evaluated, or a folder that was named and holds no truth."""
    day = lake.parse_date(word)
    if day not in lake.days_of(TABLE):
        raise DataRefused(f"{TABLE} has no night {day} in {lake.root()}: run `make nightly RUN_DATE={day}` first.")
    rounded = ", ".join(f"round({name}, 4) AS {name}" for name in NUMBERS)
    query = f"SELECT policy, evidence, {rounded}, round(ess, 1) AS ess FROM evaluation_trend WHERE dt = DATE '{day}'"
    show_answer(ask(query), "table")
    folder = truth or settings().truth
    if truth is None and not folder.exists():
        sys.stdout.write(f"There is no truth in {folder} to hold it against: only a generated world has one.\n")
        return
    show(evaluate(day, folder, seed=settings().seed))
