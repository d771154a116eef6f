"""The folder a trained model lives in: weights, catalogue, manifest.

Never a pickle: weights are plain HDF5 arrays, the architecture is `ddpg.networks`, and each file's sha256 stands in
the manifest and is checked before the file is opened.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from musicbox_lib.ddpg.config import Config, Serving
from musicbox_lib.errors import DataRefused
from musicbox_lib.models.folder import CATALOGUE, MANIFEST, check_files, sha256_of

if TYPE_CHECKING:
    import keras

Floats = npt.NDArray[np.float32]
ACTOR = "actor.weights.h5"
CRITICS = ("critic_1.weights.h5", "critic_2.weights.h5")


@dataclass(frozen=True)
class Manifest:
    """What a model is, what it was made from, what it measured."""

    model_id: str
    dt: str
    seed: int
    state_size: int
    embedding_size: int
    quality_scale: float
    """Factor on the quality coordinate inside the networks; callers give quality as the catalogue has it."""
    config: Config
    serving: Serving
    inputs: dict[str, dict[str, Any]]
    """By table: version, files, files_sha256, rows."""
    metrics: dict[str, float]
    curve: list[dict[str, float]]
    """Losses and validation value by step."""
    code_version: str
    files: dict[str, str] = field(default_factory=dict)
    """sha256 by file name."""

    def as_json(self) -> str:
        """The manifest as it is written."""
        return json.dumps({**asdict(self), "config": self.config.as_json()}, indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """The manifest that `as_json` wrote."""
        raw = json.loads(text)
        return cls(**{**raw, "config": Config.from_json(raw["config"]), "serving": Serving(**raw["serving"])})


@dataclass(frozen=True)
class Model:
    """A model ready to answer, numpy in and numpy out. B rows, C candidates, S state, A = embedding + quality."""

    manifest: Manifest
    folder: Path
    _actor: keras.Model
    _critics: tuple[keras.Model, ...]

    @property
    def model_id(self) -> str:
        """The model's name in the registry."""
        return self.manifest.model_id

    @property
    def serving(self) -> Serving:
        """How a night serves it."""
        return self.manifest.serving

    @property
    def catalogue_path(self) -> Path:
        """The tracks it was trained against, for `blocks.catalogue_file.read_catalogue`."""
        return self.folder / CATALOGUE

    def actor(self, states: Floats) -> Floats:
        """States (B, S) to query vectors (B, A): `queries @ [embedding, quality]` scores the catalogue's tracks."""
        queries = np.array(self._actor(np.ascontiguousarray(states, np.float32)))
        queries[:, -1] *= self.manifest.quality_scale
        return queries

    def critic(self, states: Floats, actions: Floats) -> Floats:
        """min(Q1, Q2) of states (B, S) with actions (B, C, A) given as [embedding, quality]: (B, C)."""
        scaled = np.array(actions, np.float32)
        scaled[..., -1] *= self.manifest.quality_scale
        states = np.ascontiguousarray(states, np.float32)
        q_1, q_2 = (np.asarray(critic([states, scaled]), np.float32) for critic in self._critics)
        return np.minimum(q_1, q_2)


def read_manifest(folder: Path, files: Mapping[str, str] | None = None) -> Manifest:
    """The folder's manifest, after every file was held against its sha256 (and `files`, the registry's, where given).

    Raises DataRefused for a missing folder, a missing or altered file, or a manifest that cannot be read.
    """
    if not (folder / MANIFEST).is_file():
        raise DataRefused(f"there is no model in {folder}: train one (make train RUN_DATE=…) or name another.")
    try:
        manifest = Manifest.from_json((folder / MANIFEST).read_text())
    except (ValueError, TypeError, KeyError) as broken:
        raise DataRefused(
            f"{folder / MANIFEST} cannot be read ({broken}): restore the folder or train the model again."
        ) from None
    check_files(folder, manifest.files, {ACTOR, *CRITICS, CATALOGUE}, files)
    return manifest


def load_model(folder: Path | str, files: Mapping[str, str] | None = None) -> Model:
    """The model of a folder, its files checked first; raises as `read_manifest` does."""
    folder = Path(folder)
    manifest = read_manifest(folder, files)
    from musicbox_lib.ddpg.networks import build_actor, build_critic

    sizes = (manifest.state_size, manifest.embedding_size + 1)
    actor = build_actor(*sizes, manifest.config, seed=0)
    actor.load_weights(folder / ACTOR)
    critics = tuple(build_critic(*sizes, manifest.config, seed=0) for _ in CRITICS)
    for critic, name in zip(critics, CRITICS, strict=True):
        critic.load_weights(folder / name)
    return Model(manifest, folder, actor, critics)


def save_model(folder: Path, manifest: Manifest, actor: keras.Model, critics: tuple[keras.Model, ...]) -> Manifest:
    """Complete a folder that already holds the catalogue: weights, then the manifest with every file's sha256, which
    is returned."""
    actor.save_weights(folder / ACTOR)
    for critic, name in zip(critics, CRITICS, strict=True):
        critic.save_weights(folder / name)
    files = {name: sha256_of(folder / name) for name in (ACTOR, *CRITICS, CATALOGUE)}
    complete = Manifest(**{**manifest.__dict__, "files": files})
    (folder / MANIFEST).write_text(complete.as_json())
    return complete
