"""The champion of a day: the promoted model that serves it, by its folder."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from musicbox_lib import lake
from musicbox_lib.errors import DataRefused
from musicbox_lib.machine.tensorflow import quiet_tensorflow
from musicbox_lib.models.registry import Entry, champion_of
from musicbox_lib.policies import listed

if TYPE_CHECKING:
    from musicbox_lib.blocks.candidates import Policy
    from musicbox_lib.blocks.catalogue import Catalogue

REGISTRY = "models.registry"


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

        from musicbox_lib.models.folder import CATALOGUE

        return int(parquet.read_metadata(Path(self.folder) / CATALOGUE).num_rows)


@lru_cache(maxsize=1)
def _loaded(folder: str, files: tuple[tuple[str, str], ...]) -> tuple[Policy, Catalogue]:
    from musicbox_lib.blocks.catalogue_file import read_catalogue
    from musicbox_lib.models.ddpg_model import load_model

    with quiet_tensorflow():
        model = load_model(folder, dict(files))
    catalogue = read_catalogue(model.catalogue_path)
    return listed.champion()(model, catalogue), catalogue


def champion_as_of(registry: lake.ReadPartition, day: dt.date) -> Champion | None:
    """The model that serves a day by `models.registry.champion_of`; None without a registry or such a model.

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
    from musicbox_lib.models.ddpg_model import read_manifest

    try:
        read_manifest(folder, dict(files))
    except DataRefused as refusal:
        raise DataRefused(f"{REGISTRY} has {model_id} as the champion of {day}, but {refusal}") from None
