"""The folder of fitted policies: what a training writes, and the policies that come out of it again.

A policy's arrays are one plain .npz file named after it; each file's sha256 stands in the manifest and is compared with
the file before it is opened. Nothing is pickled.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from musicbox_lib import lake
from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.catalogue_file import read_catalogue
from musicbox_lib.errors import DataRefused
from musicbox_lib.models.folder import CATALOGUE, MANIFEST, check_files, sha256_of
from musicbox_lib.policies.base import TEMPERATURE, Arrays, FittedPolicy
from musicbox_lib.policies.listed import of_plays

TABLE = "models.baselines"
OF_EARLIER_VERSIONS = "skip_lightgbm.txt"
"""A file that a folder of 0.1.0 has, beside one .npz for all policies, and that no policy writes now."""
Policies = tuple[type[FittedPolicy], ...]


def arrays_file(policy: type[FittedPolicy]) -> str:
    """The name of the policy's file in the folder."""
    return f"{policy.name}.npz"


def save_arrays(folder: Path, policy: type[FittedPolicy], arrays: Arrays) -> None:
    """Write a policy's arrays into a folder: the same arrays give the same bytes."""
    kept = {name: np.asarray(values) for name, values in arrays.items()}
    if odd := [name for name, values in kept.items() if values.dtype.hasobject]:
        raise TypeError(f"{policy.name} gives objects in {', '.join(odd)}: arrays hold numbers, bools or text only.")
    np.savez(folder / arrays_file(policy), allow_pickle=False, **kept)


@dataclass(frozen=True)
class BaselinesManifest:
    """What the fits are, what they were made from, what they measured."""

    dt: str
    seed: int
    inputs: dict[str, int]
    """Table versions."""
    temperatures: dict[str, float]
    """By policy, chosen on the validation fold."""
    metrics: dict[str, dict[str, float]]
    """By policy: what was measured on the validation fold."""
    code_version: str
    files: dict[str, str] = field(default_factory=dict)
    """sha256 by file name."""

    def written(self, folder: Path) -> BaselinesManifest:
        """The manifest with the sha256 of the catalogue and of every policy's file, written into the folder."""
        names = (CATALOGUE, *sorted(path.name for path in folder.glob("*.npz")))
        complete = replace(self, files={name: sha256_of(folder / name) for name in names})
        (folder / MANIFEST).write_text(json.dumps(asdict(complete), indent=1, sort_keys=True) + "\n")
        return complete


def read_baselines_manifest(folder: Path, files: Mapping[str, str] | None = None) -> BaselinesManifest:
    """The folder's manifest after every file was held against its sha256 (and `files`, the table's, where given).
    Raises DataRefused for a missing folder, a missing or altered file, a manifest that cannot be read, or a folder of
    an earlier version, which had the arrays of all policies in one file."""
    if not (folder / MANIFEST).is_file():
        raise DataRefused(f"there are no baselines in {folder}: fit them (make train RUN_DATE=…) or name another.")
    try:
        manifest = BaselinesManifest(**json.loads((folder / MANIFEST).read_text()))
    except (ValueError, TypeError) as broken:
        raise DataRefused(
            f"{folder / MANIFEST} cannot be read ({broken}): restore the folder or fit the baselines again."
        ) from None
    if OF_EARLIER_VERSIONS in manifest.files:
        raise DataRefused(
            f"{folder} was fitted by an earlier version, whose files this one does not read: fit the baselines again "
            f"(make train RUN_DATE={manifest.dt})."
        )
    needed = {CATALOGUE, *(f"{name}.npz" for name in manifest.temperatures)}
    check_files(folder, manifest.files, needed, files)
    return manifest


def policies_of(
    folder: Path, catalogue: Catalogue, temperatures: Mapping[str, float], policies: Sequence[type[FittedPolicy]]
) -> tuple[FittedPolicy, ...]:
    """These policies from a folder whose files were checked, in their order."""
    return tuple(
        policy.from_arrays(_arrays_of(folder, policy), catalogue, temperatures.get(policy.name, TEMPERATURE))
        for policy in policies
    )


def _arrays_of(folder: Path, policy: type[FittedPolicy]) -> Arrays:
    with np.load(folder / arrays_file(policy), allow_pickle=False) as arrays:
        return dict(arrays)


def fitted_in(manifest: BaselinesManifest) -> Policies:
    """The registered policies that the folder has: one that was registered later is not among them yet."""
    return tuple(policy for policy in of_plays() if policy.name in manifest.temperatures)


def fitted_baselines(
    folder: Path, files: Mapping[str, str] | None = None, policies: Policies | None = None
) -> tuple[tuple[FittedPolicy, ...], Catalogue]:
    """The policies of a folder, all that are registered or those given, and the catalogue whose positions all of them
    use; raises as `read_baselines_manifest` does."""
    manifest = read_baselines_manifest(folder, files)
    catalogue = read_catalogue(folder / CATALOGUE)
    wanted = fitted_in(manifest) if policies is None else policies
    return policies_of(folder, catalogue, manifest.temperatures, wanted), catalogue


@dataclass(frozen=True)
class Baselines:
    """One day's fitted policies, by their folder: small enough to be sent to every worker, which loads them once."""

    dt: dt.date
    folder: str
    files: tuple[tuple[str, str], ...]
    """sha256 by file name, as the table has them."""
    policies: Policies
    """The classes, so that a worker needs no setting to know them."""

    def load(self) -> tuple[tuple[FittedPolicy, ...], Catalogue]:
        """Policies and catalogue; read once per process."""
        return _loaded(self.folder, self.files, self.policies)


@lru_cache(maxsize=1)
def _loaded(
    folder: str, files: tuple[tuple[str, str], ...], policies: Policies
) -> tuple[tuple[FittedPolicy, ...], Catalogue]:
    from musicbox_lib.machine.tensorflow import quiet_tensorflow

    with quiet_tensorflow():
        return fitted_baselines(Path(folder), dict(files), policies)


def baselines_as_of(baselines: lake.ReadPartition, day: dt.date) -> Baselines | None:
    """The fitted policies of the newest day not after `day`, by `models.baselines` read without a JVM; None where there
    are none. Raises DataRefused where their folder is missing or a file is not the one that was entered."""
    name = baselines.table.name
    days = [known for known in lake.days_of(name) if known <= day]
    found = lake.snapshot(name)
    if not days or found is None:
        return None
    row = found.to_pyarrow_table(filters=[("dt", "=", days[-1])]).slice(0, 1).to_pylist()[0]
    folder = lake.local_path(lake.root()) / "models" / row["folder"]
    files = tuple(sorted(dict(row["files"]).items()))
    try:
        manifest = read_baselines_manifest(folder, dict(files))
    except DataRefused as refusal:
        raise DataRefused(f"{name} has {row['folder']} for {days[-1]}, but {refusal}") from None
    return Baselines(days[-1], str(folder), files, fitted_in(manifest))
