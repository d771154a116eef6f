"""Which model serves which nights: decisions over the rows of `models.registry`, and the rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from musicbox_lib import lake
from musicbox_lib.errors import Conflict
from musicbox_lib.models.ddpg_model import Manifest

CANDIDATE, CHAMPION, RETIRED = "candidate", "champion", "retired"


@dataclass(frozen=True)
class Entry:
    """A row of `models.registry`."""

    model_id: str
    dt: dt.date
    status: str
    promoted: bool
    reason: str
    metrics: dict[str, float]
    inputs: dict[str, int]
    files: dict[str, str]
    code_version: str

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> Entry:
        """The entry of a row as Arrow gives it: maps as lists of pairs."""
        maps = {name: dict(row[name] or ()) for name in ("metrics", "inputs", "files")}
        return cls(**{**row, **maps})

    @classmethod
    def of_manifest(cls, manifest: Manifest) -> Entry:
        """A trained model that nobody has judged yet."""
        return cls(
            model_id=manifest.model_id,
            dt=dt.date.fromisoformat(manifest.dt),
            status=CANDIDATE,
            promoted=False,
            reason="not judged yet",
            metrics=dict(manifest.metrics),
            inputs={name: int(record["version"]) for name, record in manifest.inputs.items()},
            files=dict(manifest.files),
            code_version=manifest.code_version,
        )

    def row(self) -> dict[str, Any]:
        """The row to write."""
        return asdict(self)


def champion_of(entries: Sequence[Entry], day: dt.date) -> Entry | None:
    """The promoted model of the newest dt not after `day`; None where there is none."""
    serving = [entry for entry in entries if entry.promoted and entry.dt <= day]
    return max(serving, key=lambda entry: (entry.dt, entry.status == CHAMPION, entry.model_id), default=None)


def is_registered(entries: Sequence[Entry], new: Entry) -> bool:
    """Whether the model stands in the registry already; raises Conflict where it does with other files."""
    for entry in entries:
        if entry.model_id == new.model_id:
            if entry.files != new.files:
                raise Conflict(
                    f"{new.model_id} is registered with other files than its folder has: restore the folder, or train "
                    "with another seed."
                )
            return True
    return False


def with_model(entries: Sequence[Entry], new: Entry, promoted: bool, reason: str) -> list[Entry]:
    """The registry with the judged model in it, ordered by dt and model_id.

    The promoted model of the newest dt is the champion, the other promoted ones are retired: nights between their dt
    and the next one's are still theirs. Of one dt only one serves; the model it takes the place of loses `promoted`.
    """
    judged = replace(new, promoted=promoted, reason=reason)
    kept = [
        replace(entry, promoted=False, reason=f"superseded by {new.model_id} of the same day")
        if promoted and entry.promoted and entry.dt == new.dt
        else entry
        for entry in entries
    ]
    registry = sorted([*kept, judged], key=lambda entry: (entry.dt, entry.model_id))
    newest = max((entry.dt for entry in registry if entry.promoted), default=None)
    return [replace(entry, status=_status(entry, newest)) for entry in registry]


def _status(entry: Entry, newest: dt.date | None) -> str:
    if entry.promoted:
        return CHAMPION if entry.dt == newest else RETIRED
    return RETIRED if entry.status in (CHAMPION, RETIRED) else CANDIDATE


def registered() -> list[Entry]:
    """The registry's entries, read without a JVM; none where nothing was registered yet."""
    found = lake.snapshot("models.registry")
    return [] if found is None else [Entry.of_row(row) for row in found.to_pyarrow_table().to_pylist()]
