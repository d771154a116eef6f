"""Who serves a night: the champion as of its day, or a baseline where no model was promoted yet."""

from __future__ import annotations

import datetime as dt
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musicbox_lib import lake
from musicbox_lib.errors import DataRefused
from musicbox_lib.policies import listed
from musicbox_lib.policies.base import FittedPolicy
from musicbox_lib.policies.catalogue import Catalogue
from musicbox_lib.settings import settings
from musicbox_lib.training.registry import Entry, champion_of

if TYPE_CHECKING:
    import pandas as pd

    from musicbox_lib.policies.interface import Policy

REGISTRY = "models.registry"
CONTEXTS_A_TASK = 10_000
"""TensorFlow's import takes 10-17 s of a slow core, in which 10,000 contexts are scored against 2,000 tracks."""
MOST_TASKS = 10_000
"""No bound in practice: Spark's own partitions are fewer."""
# Two Spark workers share two cores: each keeps to one thread, and TensorFlow's start-up notes stay out of the log.
QUIET_TENSORFLOW = {
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
}


@dataclass(frozen=True)
class Champion:
    """A promoted model, by its folder: small enough to be sent to every worker, which loads it once."""

    model_id: str
    dt: dt.date
    folder: str
    files: tuple[tuple[str, str], ...]
    """sha256 by file name, as the registry has them."""

    def load(self) -> tuple[Policy, Catalogue]:
        """The policy and the catalogue it was trained against; read once per process."""
        return _loaded(self.folder, self.files)

    @property
    def size(self) -> int:
        """How many tracks it knows."""
        from pyarrow import parquet

        from musicbox_lib.ddpg.model_folder import CATALOGUE

        return int(parquet.read_metadata(Path(self.folder) / CATALOGUE).num_rows)


@dataclass(frozen=True)
class Baseline:
    """A policy without training, over the night's own catalogue."""

    policy: type[FittedPolicy]
    catalogue: Catalogue

    @property
    def model_id(self) -> str:
        """The baseline's name."""
        return self.policy.name

    def load(self) -> tuple[Policy, Catalogue]:
        """The policy and the night's catalogue."""
        return self.policy.over(self.catalogue, settings().seed), self.catalogue

    @property
    def size(self) -> int:
        """How many tracks there are."""
        return len(self.catalogue)


Serving = Champion | Baseline


@lru_cache(maxsize=1)
def _loaded(folder: str, files: tuple[tuple[str, str], ...]) -> tuple[Policy, Catalogue]:
    from musicbox_lib.ddpg.model_folder import load_model
    from musicbox_lib.policies.catalogue_file import read_catalogue

    with quiet_tensorflow():
        model = load_model(folder, dict(files))
    catalogue = read_catalogue(model.catalogue_path)
    return listed.champion()(model, catalogue), catalogue


@contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Start TensorFlow without its notes about graphics cards, which it writes to the process's standard error before
    it reads any setting; an exception still comes through."""
    for name, value in QUIET_TENSORFLOW.items():
        os.environ.setdefault(name, value)
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def tasks_for(last_sessions: lake.ReadPartition, serving: Serving) -> int:
    """In how many tasks a day's contexts are scored, by the row counts of its files: each task's worker starts
    TensorFlow for a champion, which costs as much as scoring CONTEXTS_A_TASK contexts."""
    found = lake.snapshot(last_sessions.table.name)
    if found is None or isinstance(serving, Baseline):
        return MOST_TASKS
    files: Any = found.get_add_actions(flatten=True)
    rows = sum(
        count or 0
        for day, count in zip(files["partition.dt"].to_pylist(), files["num_records"].to_pylist(), strict=True)
        if str(day) == last_sessions.run_date.isoformat()
    )
    return min(MOST_TASKS, 1 + rows // CONTEXTS_A_TASK)


def serving_of(
    registry: lake.ReadPartition, track_features: lake.ReadPartition, track_embeddings: lake.ReadPartition
) -> Serving:
    """The champion as of the features' day, its files held against their sha256; without one, the first
    listed policy that can stand in over the day's catalogue. Raises DataRefused for a champion that is not whole."""
    day = track_features.run_date
    champion = champion_as_of(registry, day)
    if champion is not None:
        return champion
    catalogue = night_catalogue(track_features, track_embeddings)
    return Baseline(next(policy for policy in listed.of_catalogue() if policy.can_stand_in(catalogue)), catalogue)


def champion_as_of(registry: lake.ReadPartition, day: dt.date) -> Champion | None:
    """The model that serves a day by `training.registry.champion_of`; None without a registry or such a model.

    Raises DataRefused where its folder is missing or a file is not the one that was registered.
    """
    found = lake.snapshot(registry.table.name)
    rows = [] if found is None else found.to_pyarrow_table().to_pylist()
    entry = champion_of([Entry.of_row(row) for row in rows], day)
    if entry is None:
        return None
    folder = lake.local_path(lake.root()) / "models" / entry.model_id
    files = tuple(sorted(entry.files.items()))
    _check(entry.model_id, day, folder, files)
    return Champion(entry.model_id, entry.dt, str(folder), files)


def _check(model_id: str, day: dt.date, folder: Path, files: tuple[tuple[str, str], ...]) -> None:
    from musicbox_lib.ddpg.model_folder import read_manifest

    try:
        read_manifest(folder, dict(files))
    except DataRefused as refusal:
        raise DataRefused(f"{REGISTRY} has {model_id} as the champion of {day}, but {refusal}") from None


def night_catalogue(track_features: lake.ReadPartition, track_embeddings: lake.ReadPartition) -> Catalogue:
    """The catalogue of one night's gold tables, read without a JVM; raises DataRefused where a table lacks the day."""
    return Catalogue.of(_night(track_features), _night(track_embeddings))


def _night(partition: lake.ReadPartition) -> pd.DataFrame:
    name, day = partition.table.name, partition.run_date
    found = lake.snapshot(name)
    if found is None or day not in lake.days_of(name):
        raise DataRefused(
            f"{name}/dt={day} has not been written: run the job {partition.table.noun} for that day first."
        )
    rows: Any = found.to_pyarrow_table(filters=[("dt", "=", day)])
    frame: pd.DataFrame = rows.to_pandas()
    return frame
