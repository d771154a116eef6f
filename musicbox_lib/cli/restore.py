"""`musicbox restore --list`: a table's versions, as a terminal shows them."""

from __future__ import annotations

from musicbox_lib.cli.tables import show
from musicbox_lib.lake.restore import days_in_words, versions
from musicbox_lib.sql.ask import Answer


def show_versions(name: str) -> None:
    """Write the list to standard output."""
    rows = iter(
        (
            f"{one.version}",
            f"{one.written_at:%Y-%m-%d %H:%M:%S}",
            one.job,
            one.run_id,
            days_in_words(one.days),
            "-" if one.rows is None else one.rows,
        )
        for one in versions(name)
    )
    show(Answer(("version", "written (UTC)", "job", "run", "days", "rows"), rows), "table")
