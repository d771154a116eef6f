"""How good the policies are: the tables of the quality plan, measured on generated worlds and written as markdown.

A cell is one world and one seed: generated, then trained and scored by the DAGs' jobs as of its last day, then every
policy is held against the truth, which no job opened. A measured cell is kept in bench/results/quality and not measured
again; remove its file to have it so. `--size full` writes docs/measured/quality.md.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bench import judge, pages, quality_tables
from bench.measured import Row
from bench.world_jobs import run_jobs
from musicbox_lib.settings import PROJECT, settings
from musicbox_lib.synthetic.generate import generate
from musicbox_lib.synthetic.world import load_world

RESULTS = Path(__file__).parent / "results" / "quality"
PAGE = PROJECT / "docs" / "measured" / "quality.md"
FIRST_DAY = dt.date(2026, 9, 7)


@dataclass(frozen=True)
class Cell:
    """One world to be measured."""

    world: str
    users: int
    tracks: int
    days: int
    seed: int

    @property
    def path(self) -> Path:
        """Where its result is kept."""
        return RESULTS / f"{self.world}-{self.users}x{self.tracks}-{self.days}d-seed{self.seed}.json"


ALTERED = (
    *("weak_taste", "noisy_logging", "drift", "cold_tracks", "unlogged_cluster"),
    *("plays_apart_from_mood", "null"),
)
SIZES = {
    "small": [Cell("default", 200, 300, 8, 1)],
    "full": [
        *(Cell("default", 2500, 2000, 60, seed) for seed in range(1, 6)),
        *(Cell(world, 2500, 2000, 60, 1) for world in ALTERED),
    ],
}
"""Seeds 1 to 5 are for reporting: nothing was ever tuned on them."""


def run(size: str) -> list[Row]:
    """Measure the cells that are not there yet, print the tables; rows are one a cell and policy."""
    found = [measured(cell) for cell in SIZES[size]]
    logs, worlds = judge.SIZES[size]
    judged = kept(RESULTS / f"judge-{logs}-{worlds}.json", lambda: judge.run(size))
    text = quality_tables.markdown(found, judged)
    if size == "full":
        PAGE.write_text(f"{text}\n{pages.recorded()} Cells that were kept may be older.\n")
    quality_tables.show(text)
    return [
        {
            "case": f"{one['world']} seed {one['seed']}: {value['policy']}",
            "size": size,
            "seconds": one["seconds"],
            **value,
        }
        for one in found
        for value in one["values"]
        if value["segment"] == "all"
    ]


def kept(path: Path, measure: Any) -> Any:
    """What was measured before, else what `measure` gives, kept."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(measure(), indent=1, default=_plain) + "\n")
    return json.loads(path.read_text())


def measured(cell: Cell) -> dict[str, Any]:
    """The cell's true values, by the kept file or measured now."""
    found: dict[str, Any] = kept(cell.path, lambda: _measure(cell))
    return found


def _measure(cell: Cell) -> dict[str, Any]:
    from musicbox_lib.evaluation.against_truth import evaluate

    started = time.perf_counter()
    last = FIRST_DAY + dt.timedelta(days=cell.days - 1)
    with TemporaryDirectory(prefix="quality-") as folder:
        root, truth = Path(folder) / "lake", Path(folder) / "truth"
        os.environ |= {"MUSICBOX_LAKE": str(root), "MUSICBOX_SEED": str(cell.seed)}
        settings.cache_clear()
        generate(
            users=cell.users, tracks=cell.tracks, days=cell.days, seed=cell.seed, from_date=FIRST_DAY, lake=root,
            truth=truth, world=load_world(cell.world),
        )  # fmt: skip
        run_jobs(last)
        found = evaluate(last, truth, seed=cell.seed)
    return {
        **asdict(cell),
        "seconds": time.perf_counter() - started,
        "models": list(found.model_ids),
        "values": [asdict(value) for value in found.values],
        "differences": [asdict(pair) for pair in found.differences],
    }


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)
