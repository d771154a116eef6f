"""The files of a model's folder: named, checked against their sha256, put in place at once."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from musicbox_lib import lake
from musicbox_lib.errors import DataRefused

MANIFEST = "manifest.json"
CATALOGUE = "catalogue.parquet"


def sha256_of(path: Path) -> str:
    """The file's sha256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_files(
    folder: Path, named: Mapping[str, str], needed: Collection[str], entered: Mapping[str, str] | None
) -> None:
    """Hold every file that a manifest names against its sha256, and against the one `entered` in a table where given.

    Raises DataRefused where the manifest lacks a needed file, or a file is missing or altered.
    """
    missing = set(needed) - set(named)
    if missing:
        raise DataRefused(f"{folder / MANIFEST} names no {', '.join(sorted(missing))}: train the model again.")
    for name, digest in named.items():
        if not (folder / name).is_file():
            raise DataRefused(f"{folder} has lost its {name}: restore it or train the model again.")
        if sha256_of(folder / name) != digest or (entered is not None and entered.get(name) != digest):
            raise DataRefused(
                f"{folder / name} is not the file that was trained (its sha256 differs): restore it or train again."
            )


def publish(made: Path, place: Path) -> None:
    """Put a finished folder in its place at once; an older folder there is replaced, unless it has the same files."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if _digests(place) == _digests(made):
        # The same training again. Between two renames a kill would leave a champion without a folder.
        shutil.rmtree(made)
        return
    aside = made.with_name(made.name + ".replaced")
    if place.exists():
        place.rename(aside)
    made.rename(place)
    shutil.rmtree(aside, ignore_errors=True)


def _digests(folder: Path) -> dict[str, str]:
    """sha256 by file name; none for a folder that is not there."""
    return {path.name: sha256_of(path) for path in folder.glob("*") if path.is_file()}


def models_folder() -> Path:
    """Where models live. Raises DataRefused for a lake that is not on a local file system."""
    if not lake.is_local(lake.root()):
        raise DataRefused(f"models in {lake.root()} cannot be read: keep MUSICBOX_LAKE on a file system for now.")
    return lake.local_path(lake.root()) / "models"
