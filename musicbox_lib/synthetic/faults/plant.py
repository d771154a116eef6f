"""Write faults into the landed days of a generated world, and into its truth where they are."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from musicbox_lib.contract.tables import table
from musicbox_lib.errors import UsageError, unknown_words
from musicbox_lib.synthetic.faults.kinds import KINDS, Changed, Kind, Values
from musicbox_lib.synthetic.landing_files import gzip_member, whole_file
from musicbox_lib.synthetic.world import generator

FAULT_STREAM = 7
FAULTS = "faults.json"
# Lines of one gzip member: 1 MB unpacked, so that a day of any size passes through.
_LINES = 4_000


@dataclass(frozen=True)
class _Target:
    """A session that gets a fault of a kind."""

    kind: Kind
    number: int
    session_id: str
    day: dt.date


def read_faults(path: Path) -> dict[str, int]:
    """How many faults of each kind a YAML file asks for. Raises UsageError for a file that is none, an unknown kind
    (with the list) or a number below 0."""
    try:
        raw = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(f"{path} cannot be read as YAML ({error}): it must hold lines `kind: number`.") from None
    if not isinstance(raw, dict):
        raise UsageError(f"{path} must hold lines `kind: number`, as musicbox_lib/synthetic/faults/every_kind.yaml.")
    for kind, number in raw.items():
        if kind not in KINDS:
            odd = unknown_words([kind], KINDS)
            raise UsageError(f"{path}: there is no fault {odd}: name some of {', '.join(KINDS)}.")
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise UsageError(f"{path}: {kind} is {number!r}: it must be a number of faults, 0 or more.")
    return raw


def plant_faults(
    faults: Mapping[str, int], session_logs: Path, truth: Path, seed: int, progress: Callable[[str, int, int], None]
) -> None:
    """Put faults into sessions drawn by the seed, at most one into each, and write `truth`/faults.json. Every other
    line keeps its bytes, and a day without a fault its file. Raises UsageError where there are too few sessions."""
    targets = _targets(faults, truth, seed)
    days = sorted({target.day for target in targets})
    of_day = {day: {t.session_id.encode(): t for t in targets if t.day == day} for day in days}
    where: dict[str, list[dict[str, Any]]] = {name: [] for name in faults}
    again: dict[dt.date, list[tuple[_Target, Changed]]] = {}
    touched = sorted({*days, *(day + dt.timedelta(1) for day, found in of_day.items() if _repeats(found))})
    for done, day in enumerate(touched, 1):
        changes = _rewrite(
            session_logs / f"dt={day}" / "sessions.csv.gz", of_day.get(day, {}), again.pop(day, []), seed
        )
        for target, changed in changes:
            delivered = day
            if changed.again:
                delivered = day + dt.timedelta(1)
                again.setdefault(delivered, []).append((target, changed))
            where[target.kind.name].append(
                {
                    "day": str(delivered),
                    "file": f"session_logs/dt={delivered}/sessions.csv.gz",
                    "session_id": target.session_id,
                    "positions": list(changed.positions),
                    "rows": changed.breaking,
                }
            )
        progress("planting faults", done, len(touched))
    severity = {rule.rule: rule.severity for rule in table("silver.listening_events").expectations}
    content = {
        name: {
            "count": len(found),
            "unit": KINDS[name].unit,
            "about": KINDS[name].about,
            "rule": KINDS[name].rule,
            "severity": severity[rule] if (rule := KINDS[name].rule) else None,
            "rows": sum(place["rows"] for place in found),
            "where": found,
        }
        for name, found in where.items()
    }
    (truth / FAULTS).write_text(json.dumps(content, indent=1) + "\n")


def _repeats(targets: Mapping[bytes, _Target]) -> bool:
    return any(target.kind.name == "delivered_twice" for target in targets.values())


def _targets(faults: Mapping[str, int], truth: Path, seed: int) -> list[_Target]:
    parts = [
        pq.read_table(part, columns=["session_id", "dt"]) for part in sorted((truth / "sessions").glob("*.parquet"))
    ]
    sessions = pa.concat_tables(parts)
    days = sessions["dt"].to_numpy().astype("datetime64[D]")
    order = generator(seed, FAULT_STREAM).permutation(len(days))
    free, last = np.ones(len(days), bool), days.max()
    targets = []
    # What must be delivered again on a later day chooses first: it cannot take every session.
    for name in sorted(faults, key=lambda name: (name != "delivered_twice", name)):
        open_rows = order[free[order] & ((days[order] < last) | (name != "delivered_twice"))][: faults[name]]
        if len(open_rows) < faults[name]:
            raise UsageError(
                f"{faults[name]} faults {name} do not fit in {len(days)} sessions, at most one in each: ask for fewer."
            )
        free[open_rows] = False
        for row in open_rows.tolist():
            targets.append(_Target(KINDS[name], row, sessions["session_id"][row].as_py(), days[row].item()))
    return targets


def _rewrite(
    path: Path, targets: Mapping[bytes, _Target], again: Iterable[tuple[_Target, Changed]], seed: int
) -> list[tuple[_Target, Changed]]:
    """The day's file with its targets changed and what is delivered again at its end; returns what was changed."""
    changes: list[tuple[_Target, Changed]] = []

    def lines() -> Iterator[bytes]:
        with gzip.open(path, "rb") as file:
            # A session's rows stand together.
            for session_id, group in groupby(file, lambda line: line[: line.index(b",")]):
                if (target := targets.get(session_id)) is None:
                    yield from group
                    continue
                values = [line.rstrip(b"\n").split(b",") for line in group]
                # Numbers of its own for each session: what one fault draws does not depend on the others.
                changed = target.kind.change(values, target.day, generator(seed, FAULT_STREAM, target.number))
                changes.append((target, changed))
                yield from _joined(changed.lines)
        for _, changed in again:
            yield from _joined(changed.again)

    with whole_file(path) as file:
        block: list[bytes] = []
        for line in lines():
            block.append(line)
            if len(block) == _LINES:
                file.write(gzip_member(b"".join(block)))
                block.clear()
        file.write(gzip_member(b"".join(block)))
    return changes


def _joined(lines: list[Values]) -> Iterator[bytes]:
    return (b",".join(values) + b"\n" for values in lines)
