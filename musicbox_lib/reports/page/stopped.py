"""A night that stopped: its page, and the sentence that ends the job."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from musicbox_lib.errors import DataRefused, MusicBoxError
from musicbox_lib.reports.page.page import write_page
from musicbox_lib.validation import stops

if TYPE_CHECKING:
    from musicbox_lib.validation.decision import Result
    from musicbox_lib.validation.examples import Example

log = logging.getLogger(__name__)


def refuse(results: Sequence[Result], examples: Sequence[Example], day: dt.date) -> None:
    """Where a result stops the night of that day, write the night's page and raise DataRefused with the reason; both
    tables of what validation found are written before."""
    if stops.sentence(results, examples):
        raise DataRefused(stops.sentence(results, examples, _page(day)))


def _page(day: dt.date) -> str:
    """Where the page is; empty for a lake without a folder for it. That it cannot be written is no reason to hide why
    the night stops."""
    import duckdb

    try:
        return str(write_page(day))
    except (OSError, MusicBoxError, duckdb.Error) as failure:
        log.warning("the page of the stopped night could not be written: %s", failure)
        return ""
