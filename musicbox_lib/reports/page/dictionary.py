"""The data dictionary: every table, column, check, rule and view in one HTML page, made from `schemas/` alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from musicbox_lib.contract.jobs import JOBS
from musicbox_lib.contract.tables import Table, tables
from musicbox_lib.lake import LEDGER
from musicbox_lib.sql.views import views

if TYPE_CHECKING:
    from jinja2 import Environment

DICTIONARY = "dictionary.html"
STAGES = {
    "landing": "Files as they were delivered.",
    "bronze": "Every delivered row, typed where it can be.",
    "silver": "Rows that may be believed, the quarantine, and what validation found.",
    "gold": "What is known of tracks and listeners at the end of a day.",
    "models": "What was trained and fitted.",
    "training": "What the learner reads.",
    "scores": "What is recommended.",
    "reports": "How good it is.",
    "ops": "What was written, by whom, from what.",
}
"""Each stage in a sentence."""


@dataclass
class Use:
    """The jobs that write and read a table."""

    written_by: list[str]
    read_by: list[str]


def templates() -> Environment:
    """The reports' templates: what the data says is never markup, a name that is not there is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("musicbox_lib.reports.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_dictionary(nights: list[str]) -> str:
    """The page's HTML; `nights` are the days whose pages lie beside it."""
    stages: dict[str, list[Table]] = {}
    for found in tables().values():
        stages.setdefault(found.stage, []).append(found)
    return (
        templates()
        .get_template("dictionary.html")
        .render(stages=stages, said=STAGES, uses=uses(), views=views(), nights=nights, ledger=LEDGER)
    )


def uses() -> dict[str, Use]:
    """The jobs that write and read each table."""
    declared = sorted(JOBS, key=lambda job: job.name)
    return {
        name: Use(
            [job.name for job in declared if name in job.writes], [job.name for job in declared if name in job.reads]
        )
        for name in tables()
    }
