"""Receipts of forgotten users, `LAKE/ops/receipts/<number>.json`: what went, what is still pending, and whether a given
user is meant, without naming anybody."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import os
import secrets
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from musicbox_lib import lake
from musicbox_lib.lake import files as lake_files
from musicbox_lib.landing import pseudonyms
from musicbox_lib.privacy.traces import about_users

SCRYPT = {"n": 2**14, "r": 8, "p": 1}
"""16 MB and 50 ms a guess (RFC 7914's interactive setting): ids can be guessed, so a plain hash would tell them."""


@dataclass
class Receipt:
    """What was done for one user."""

    number: str
    scheme: str
    salt: str
    proof: str
    """Of the user under the key (`hmac-sha256`), or under the salt (`scrypt`)."""
    began: str
    tables: dict[str, dict[str, int]] = field(default_factory=dict)
    """By table: `rows` and `days` that went, and the `version` without them."""
    landing: dict[str, int] = field(default_factory=dict)
    """`lines` and `files`."""
    models: list[str] = field(default_factory=list)
    """Folders under LAKE/models made with the user's plays among others'. They hold no ids."""
    logs: dict[str, int] = field(default_factory=dict)
    """By table: the newest version whose log entry names the user or a session (an entry from before Delta's statistics
    were withheld). The log is cut after it when the receipt is completed."""
    removed: str | None = None
    """When nothing was left that can be read."""
    pending_until: str | None = None
    """When VACUUM may take the last replaced file away."""
    completed: str | None = None

    def is_of(self, user_id: str) -> bool:
        """Whether that user is meant; false under another key than the receipt was written with."""
        proof = _proof(self.scheme, self.salt, user_id)
        return proof is not None and hmac.compare_digest(self.proof, proof)

    def add(self, name: str, rows: int, days: int, version: int) -> None:
        """Enter one table's commit; a run after a killed one adds to it."""
        before = self.tables.get(name, {"rows": 0, "days": 0})
        self.tables[name] = {"rows": before["rows"] + rows, "days": before["days"] + days, "version": version}

    def save(self) -> None:
        """Write it whole, or not at all."""
        folder = _folder()
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".receipt-", dir=folder)
        with os.fdopen(handle, "w") as written:
            json.dump(asdict(self), written, indent=1)
            written.write("\n")
            written.flush()
            os.fsync(written.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(folder / f"{self.number}.json")

    def settle(self, vacuum_days: int, now: dt.datetime) -> None:
        """Complete it once no file written before the removal is left over; else say when the last may go."""
        if self.removed is None or self.completed is not None:
            return
        removed = dt.datetime.fromisoformat(self.removed)
        since = max((now - removed) / dt.timedelta(days=1), 0)
        # A file that was replaced before the removal, or by it, has been old for at least as long.
        if any(lake_files.old_files(found.name, since) for found in about_users()):
            self.pending_until = (removed + dt.timedelta(days=vacuum_days)).isoformat(timespec="seconds")
        else:
            for name, version in self.logs.items():
                lake_files.cut_log(name, version)
            self.pending_until, self.completed = None, now.isoformat(timespec="seconds")
        self.save()


def _folder() -> Path:
    return lake.local_path(lake.root()) / "ops" / "receipts"


def _proof(scheme: str, salt: str, user_id: str) -> str | None:
    key = pseudonyms.key()
    if scheme == "scrypt":
        return hashlib.scrypt(user_id.encode(), salt=bytes.fromhex(salt), **SCRYPT).hex()
    if key is None:
        return None
    # A user may be asked for by either name; the pseudonym stands for both.
    name = user_id if pseudonyms.is_pseudonym(user_id) else pseudonyms.pseudonym(user_id, key)
    return hmac.new(key, f"forgotten {salt} {name}".encode(), hashlib.sha256).hexdigest()


def all_receipts() -> list[Receipt]:
    """The lake's receipts by number."""
    return [Receipt(**json.loads(path.read_text())) for path in sorted(_folder().glob("*.json"))]


def receipt_of(user_id: str) -> Receipt | None:
    """The newest receipt of a user; None where nobody asked to forget them."""
    return next((one for one in reversed(all_receipts()) if one.is_of(user_id)), None)


def new_receipt(user_id: str, now: dt.datetime) -> Receipt:
    """A receipt with the next number, not saved yet."""
    number = max((int(one.number) for one in all_receipts()), default=0) + 1
    scheme, salt = "scrypt" if pseudonyms.key() is None else "hmac-sha256", secrets.token_hex(16)
    proof = _proof(scheme, salt, user_id) or ""
    return Receipt(f"{number:06d}", scheme, salt, proof, now.isoformat(timespec="seconds"))
