"""Where the pages of a lake on a local file system stand."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from musicbox_lib import lake

DATA_DOCS = "validation"
"""The folder of a night's Great Expectations Data Docs, beside its page."""


def night_folder(day: dt.date) -> Path | None:
    """`LAKE/reports/html/dt=D`; None on another than a local file system."""
    if not lake.is_local(lake.root()):
        return None
    return lake.local_path(lake.root()) / "reports" / "html" / f"dt={day}"


def docs_folder(day: dt.date) -> Path | None:
    """Where the night's Data Docs go."""
    folder = night_folder(day)
    return None if folder is None else folder / DATA_DOCS
