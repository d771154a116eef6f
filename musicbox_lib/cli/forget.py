"""What `musicbox forget-user` shows."""

from __future__ import annotations

from musicbox_lib.cli.tables import show
from musicbox_lib.lake import files as lake_files
from musicbox_lib.privacy import receipts
from musicbox_lib.privacy.forget import Found, forget, look, unknown
from musicbox_lib.privacy.receipts import Receipt
from musicbox_lib.settings import settings
from musicbox_lib.sql.ask import Answer


def show_what_would_go(user_id: str) -> str:
    """Print what `forget` would take away and give a sentence; raises as `forget` does. Changes nothing."""
    found, receipt = look(user_id), receipts.receipt_of(user_id)
    if not found:
        if receipt is None:
            raise unknown(user_id)
        return told(receipt)
    _show(found)
    return "A dry run: nothing was changed."


def show_forgetting(user_id: str) -> str:
    """Forget a user, print what went and give a sentence; raises as `forget` does."""
    receipt, found = forget(user_id, lake_files.retention_days(settings().vacuum_days))
    if found:
        _show(found)
    return told(receipt)


def _show(found: Found) -> None:
    rows = [(name, len(days), sum(days.values()), "rows") for name, days in found.tables.items()]
    rows += [(f"landing/{log.landed.path}", 1, lines, "lines") for log, lines in found.logs.items()]
    show(Answer(("where", "days", "count", "of"), iter(rows)), "table")


def told(receipt: Receipt) -> str:
    """A receipt's state in a sentence or two."""
    said = f"Forgotten: receipt {receipt.number}."
    if receipt.models:
        said += f" {len(receipt.models)} model folders made with these plays hold no id: train anew to be without them."
    if receipt.completed:
        return f"{said} Completed {receipt.completed}: no file is left that held the user."
    return (
        f"{said} No table shows the user any more; replaced files go after {receipt.pending_until}: "
        "run this or `musicbox maintain vacuum` then."
    )
