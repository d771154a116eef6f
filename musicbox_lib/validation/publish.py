"""Publishing what was judged, each table in one commit: a longer session on its new day, its shorter version aside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from musicbox_lib import lake

if TYPE_CHECKING:
    from musicbox_lib.lake import WritePartition
    from musicbox_lib.validation.verdicts import PlaysVerdict, Verdict

Inputs = Mapping[str, str]


def tracks(described: Verdict, valid: WritePartition, rejected: WritePartition, inputs: Inputs) -> None:
    """Write the judged days of both tables; nothing where no track table was to be judged."""
    if described.days:
        lake.publish(described.rejected, rejected, described.rejected_rows, inputs, described.days)
        lake.publish(described.valid, valid, described.valid_rows, inputs, described.days)


def plays(
    played: PlaysVerdict, valid: WritePartition, superseded: WritePartition, rejected: WritePartition, inputs: Inputs
) -> None:
    """Write the three tables: the judged days, and the rows of other days that move between the first two.

    silver.listening_events gets its old and its new days in one commit, so that no reader sees a session twice or
    twice its plays there. The other tables go first: rows that are in both for a moment count once
    (`known_plays.read`), and a run that is killed in between is completed by the next, which judges the days anew.
    """
    lake.publish(played.rejected, rejected, played.rejected_rows, inputs, played.days)
    days, rows, valid_rows = list(played.days), played.valid, played.valid_rows
    aside, aside_rows = played.superseded, played.superseded_rows
    if moves := played.moves:
        days = sorted({*days, *moves.days})
        rows, valid_rows = rows.unionByName(moves.valid), valid_rows + moves.valid_rows
        aside, aside_rows = aside.unionByName(moves.superseded), aside_rows + moves.superseded_rows
    present = lake.snapshot(superseded.table.name)
    if aside_rows or (present is not None and lake.rows_in(present, days)):
        lake.publish(aside, superseded, aside_rows, inputs, days)
    else:
        # Nothing to say, which is usual: a write without Spark takes a tenth of a second.
        lake.overwrite_rows("listening_events", [], superseded, inputs, days)
    lake.publish(rows, valid, valid_rows, inputs, days)
