"""Which model serves which nights: decisions over the rows of `models.registry`. Pure; no lake, no Spark."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from musicbox_lib.ddpg.model_folder import Manifest
from musicbox_lib.errors import Conflict
from musicbox_lib.evaluation.estimators import Evidence, Interval

CANDIDATE, CHAMPION, RETIRED = "candidate", "champion", "retired"
MARGIN = 0.02
"""A skip rate this much higher than the champion's is too much even where the interval still holds zero: it is a
quarter of what the best method gains on the log's own policy at the demo's size."""


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


@dataclass(frozen=True)
class Comparison:
    """The new model's skip rate less the champion's on the held-out users' plays (SNIPS, paired over users); no
    number where the plays do not carry one."""

    evidence: Evidence
    n: int
    ess: float
    difference: Interval | None = None


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


def verdict(comparison: Comparison | None, champion: Entry | None) -> tuple[bool, str]:
    """Whether a model is promoted, and why in one sentence. It need not be better, only not worse: newer tracks speak
    for it."""
    if champion is None or comparison is None:
        return True, "promoted: no model served its day before"
    if comparison.difference is None:
        return True, (
            f"promoted: the held-out users' plays cannot tell it from {champion.model_id} "
            f"({comparison.evidence}, {comparison.n} plays, ess {comparison.ess:.0f})"
        )
    found = comparison.difference
    against = (
        f"skip rate {found.value:+.4f} [{found.lo:+.4f}, {found.hi:+.4f}] against {champion.model_id} on "
        f"{comparison.n} plays of held-out users"
    )
    if found.lo > 0:
        return False, f"not promoted: {against}, the interval lies above zero"
    if found.value > MARGIN:
        return False, f"not promoted: {against}, more than {MARGIN}"
    return True, f"promoted: {against}"


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
