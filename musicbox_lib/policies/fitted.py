"""The folder of fitted baselines: what a training writes, and the policies that come out of it again.

Arrays are plain .npz, the trees LightGBM's own text, the network's weights HDF5 with the architecture in code; each
file's sha256 stands in the manifest and is held against the file before it is opened. Nothing is pickled.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from musicbox_lib import lake
from musicbox_lib.ddpg.model_folder import CATALOGUE, MANIFEST, check_files, sha256_of
from musicbox_lib.errors import DataRefused
from musicbox_lib.policies.als import Als, Factors
from musicbox_lib.policies.audio_centroid import AudioCentroid
from musicbox_lib.policies.bandit import Bandit, Belief
from musicbox_lib.policies.catalogue import Catalogue
from musicbox_lib.policies.catalogue_file import read_catalogue
from musicbox_lib.policies.item_knn_by_user import ItemKnnByUser, Neighbours
from musicbox_lib.policies.pair_features import FEATURES
from musicbox_lib.policies.popularity_in_context import PopularityInContext
from musicbox_lib.policies.ranking import TEMPERATURE, Ranked
from musicbox_lib.policies.session_knn import SessionKnn, Sessions
from musicbox_lib.policies.skip_lightgbm import SkipLightgbm
from musicbox_lib.policies.skip_logistic import SkipLogistic
from musicbox_lib.policies.skip_lstm import SkipLstm, build_network

if TYPE_CHECKING:
    import keras
    import lightgbm

TABLE = "models.baselines"
NAMES = (
    *(PopularityInContext.name, AudioCentroid.name, SessionKnn.name, ItemKnnByUser.name, Als.name),
    *(SkipLogistic.name, SkipLightgbm.name, SkipLstm.name, Bandit.name),
)
"""The fitted baselines, in the order of every report."""
ARRAYS = "arrays.npz"
BOOSTER = "skip_lightgbm.txt"
NETWORK = "skip_lstm.weights.h5"


@dataclass(frozen=True)
class Fits:
    """Everything that was fitted, before it is a policy."""

    plays_by_context: NDArray[np.int64]
    sessions: Sessions
    neighbours: Neighbours
    factors: Factors
    logistic: NDArray[np.float64]
    belief: Belief
    booster: lightgbm.Booster
    network: keras.Model

    def save(self, folder: Path) -> None:
        """Write the three files of the fits into a folder: the same fits give the same bytes."""
        sessions = {
            f"{name}_{part}": getattr(getattr(self.sessions, name), part)
            for name in ("played", "rewards")
            for part in ("data", "indices", "indptr")
        }
        np.savez(
            folder / ARRAYS,
            plays_by_context=self.plays_by_context,
            neighbours=self.neighbours.positions,
            similarities=self.neighbours.similarities,
            als_items=self.factors.items,
            als_settings=np.array([self.factors.alpha, self.factors.regularisation]),
            logistic=self.logistic,
            bandit_mean=self.belief.mean,
            bandit_coefficients=self.belief.coefficients,
            bandit_covariance=self.belief.covariance,
            features=np.array(FEATURES),
            **sessions,
        )
        self.booster.save_model(folder / BOOSTER)
        self.network.save_weights(folder / NETWORK)


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
        """The manifest with every file's sha256, written into the folder."""
        complete = replace(
            self, files={name: sha256_of(folder / name) for name in (CATALOGUE, ARRAYS, BOOSTER, NETWORK)}
        )
        (folder / MANIFEST).write_text(json.dumps(asdict(complete), indent=1, sort_keys=True) + "\n")
        return complete


def read_baselines_manifest(folder: Path, files: Mapping[str, str] | None = None) -> BaselinesManifest:
    """The folder's manifest after every file was held against its sha256 (and `files`, the table's, where given).
    Raises DataRefused for a missing folder, a missing or altered file, or a manifest that cannot be read."""
    if not (folder / MANIFEST).is_file():
        raise DataRefused(f"there are no baselines in {folder}: fit them (make train RUN_DATE=…) or name another.")
    try:
        manifest = BaselinesManifest(**json.loads((folder / MANIFEST).read_text()))
    except (ValueError, TypeError) as broken:
        raise DataRefused(
            f"{folder / MANIFEST} cannot be read ({broken}): restore the folder or fit the baselines again."
        ) from None
    check_files(folder, manifest.files, {CATALOGUE, ARRAYS, BOOSTER, NETWORK}, files)
    return manifest


def policies_of(folder: Path, catalogue: Catalogue, temperatures: Mapping[str, float]) -> tuple[Ranked, ...]:
    """The policies of a folder whose files were checked, in the order of NAMES."""
    import lightgbm
    from scipy import sparse

    with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
        given: dict[str, Any] = dict(arrays)
    if tuple(given["features"]) != FEATURES:
        raise DataRefused(f"{folder} was fitted on other features than this code has: fit the baselines again.")
    played, rewards = (
        sparse.csr_matrix(
            tuple(given[f"{name}_{part}"] for part in ("data", "indices", "indptr")),
            shape=(len(given[f"{name}_indptr"]) - 1, len(catalogue)),
        )
        for name in ("played", "rewards")
    )
    network = build_network(catalogue.embedding.shape[1], seed=0)
    network.load_weights(folder / NETWORK)
    booster = lightgbm.Booster(model_file=folder / BOOSTER)
    of = {name: temperatures.get(name, TEMPERATURE) for name in NAMES}
    logistic = SkipLogistic(catalogue, given["logistic"], of[SkipLogistic.name])
    belief = Belief(*(given[f"bandit_{name}"] for name in ("mean", "coefficients", "covariance")))
    factors = Factors(given["als_items"], *(float(value) for value in given["als_settings"]))
    return (
        PopularityInContext(catalogue, given["plays_by_context"], of[PopularityInContext.name]),
        AudioCentroid(catalogue, of[AudioCentroid.name]),
        SessionKnn(catalogue, Sessions(played, rewards), of[SessionKnn.name]),
        ItemKnnByUser(catalogue, Neighbours(given["neighbours"], given["similarities"]), of[ItemKnnByUser.name]),
        Als(catalogue, factors, of[Als.name]),
        logistic,
        SkipLightgbm(catalogue, booster, logistic, of[SkipLightgbm.name]),
        SkipLstm(catalogue, network, of[SkipLstm.name]),
        Bandit(catalogue, belief, of[Bandit.name]),
    )


def fitted_baselines(folder: Path, files: Mapping[str, str] | None = None) -> tuple[tuple[Ranked, ...], Catalogue]:
    """The policies of a folder, in the order of NAMES, and the catalogue whose positions all of them speak in; raises
    as `read_baselines_manifest` does."""
    manifest = read_baselines_manifest(folder, files)
    catalogue = read_catalogue(folder / CATALOGUE)
    return policies_of(folder, catalogue, manifest.temperatures), catalogue


@dataclass(frozen=True)
class Baselines:
    """One day's fitted baselines, by their folder: small enough to be sent to every worker, which loads them once."""

    dt: dt.date
    folder: str
    files: tuple[tuple[str, str], ...]
    """sha256 by file name, as the table has them."""

    def load(self) -> tuple[tuple[Ranked, ...], Catalogue]:
        """Policies and catalogue; read once per process."""
        return _loaded(self.folder, self.files)


@lru_cache(maxsize=1)
def _loaded(folder: str, files: tuple[tuple[str, str], ...]) -> tuple[tuple[Ranked, ...], Catalogue]:
    from musicbox_lib.scoring.serving import quiet_tensorflow

    with quiet_tensorflow():
        return fitted_baselines(Path(folder), dict(files))


def baselines_as_of(baselines: lake.ReadPartition, day: dt.date) -> Baselines | None:
    """The baselines of the newest day not after `day`, by `models.baselines` read without a JVM; None where there are
    none. Raises DataRefused where their folder is missing or a file is not the one that was entered."""
    name = baselines.table.name
    days = [known for known in lake.days_of(name) if known <= day]
    found = lake.snapshot(name)
    if not days or found is None:
        return None
    row = found.to_pyarrow_table(filters=[("dt", "=", days[-1])]).slice(0, 1).to_pylist()[0]
    folder = lake.local_path(lake.root()) / "models" / row["folder"]
    files = tuple(sorted(dict(row["files"]).items()))
    try:
        read_baselines_manifest(folder, dict(files))
    except DataRefused as refusal:
        raise DataRefused(f"{name} has {row['folder']} for {days[-1]}, but {refusal}") from None
    return Baselines(days[-1], str(folder), files)
