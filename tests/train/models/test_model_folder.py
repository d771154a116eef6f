"""A model that was put down is the model that is picked up; an altered one is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from musicbox_lib.ddpg.config import Config, Serving
from musicbox_lib.ddpg.learner import Learner
from musicbox_lib.errors import DataRefused
from musicbox_lib.models.ddpg_model import Manifest, load_model, read_manifest, save_model
from musicbox_lib.models.folder import CATALOGUE, publish

STATE, EMBEDDING = 6 * 3 + 4, 3
CONFIG = Config(actor_units=(8,), critic_units=(8, 4))
MANIFEST = Manifest(
    model_id="ddpgw-2026-11-05-00000000",
    dt="2026-11-05",
    seed=1,
    state_size=STATE,
    embedding_size=EMBEDDING,
    quality_scale=2.5,
    config=CONFIG,
    serving=Serving(temperature=0.05),
    inputs={"training.transitions": {"version": 3, "rows": 10}},
    metrics={"validation_ess": 99.5},
    curve=[{"step": 1.0}],
    code_version="test",
)


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Learner]:
    folder = tmp_path / MANIFEST.model_id
    folder.mkdir()
    (folder / CATALOGUE).write_bytes(b"tracks")
    learner = Learner(np.eye(EMBEDDING + 1, dtype=np.float32), STATE, CONFIG, seed=4)
    save_model(folder, MANIFEST, learner.actor, learner.critics)
    return folder, learner


def test_loaded_answers_as_saved(saved: tuple[Path, Learner]) -> None:
    folder, learner = saved
    model = load_model(folder)
    assert model.manifest == dataclasses.replace(MANIFEST, files=model.manifest.files)
    draw = np.random.default_rng(0)
    states = draw.normal(size=(5, STATE)).astype(np.float32)
    actions = draw.normal(size=(5, 7, EMBEDDING + 1)).astype(np.float32)
    in_networks = actions * np.array([1, 1, 1, 2.5], np.float32)
    queries = learner.actor(states).numpy()
    np.testing.assert_allclose(np.linalg.norm(queries, axis=1), 1, atol=1e-4)
    # Query and track meet in the networks' coordinates: the caller's quality is not scaled, so the query is.
    np.testing.assert_allclose(
        np.einsum("na,nca->nc", model.actor(states), actions),
        np.einsum("na,nca->nc", queries, in_networks),
        rtol=1e-4,
        atol=1e-5,
    )
    q = np.minimum(*(critic([states, in_networks]).numpy() for critic in learner.critics))
    np.testing.assert_array_equal(model.critic(states, actions), q)
    assert model.critic(states, actions).shape == (5, 7)
    np.testing.assert_array_equal(actions[..., -1] * 2.5, in_networks[..., -1])


def test_files_are_the_same_when_saved_twice(saved: tuple[Path, Learner], tmp_path: Path) -> None:
    folder, learner = saved
    again = tmp_path / "again"
    again.mkdir()
    (again / CATALOGUE).write_bytes(b"tracks")
    assert save_model(again, MANIFEST, learner.actor, learner.critics).files == read_manifest(folder).files


@pytest.mark.parametrize("name", ["actor.weights.h5", "critic_2.weights.h5", CATALOGUE])
def test_a_tampered_file_is_refused(saved: tuple[Path, Learner], name: str) -> None:
    folder, _ = saved
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(DataRefused, match=f"{name} is not the file that was trained"):
        load_model(folder)


def test_a_manifest_that_was_tampered_with_is_caught_by_the_registry(saved: tuple[Path, Learner]) -> None:
    folder, _ = saved
    registered = read_manifest(folder).files
    assert load_model(folder, registered).model_id == MANIFEST.model_id
    with pytest.raises(DataRefused, match="is not the file that was trained"):
        load_model(folder, {**registered, CATALOGUE: "0" * 64})


def test_a_missing_folder_file_or_manifest_is_refused(saved: tuple[Path, Learner], tmp_path: Path) -> None:
    folder, _ = saved
    with pytest.raises(DataRefused, match="there is no model in"):
        load_model(tmp_path / "nowhere")
    (folder / "critic_1.weights.h5").unlink()
    with pytest.raises(DataRefused, match="has lost its critic_1.weights.h5"):
        load_model(folder)
    raw = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**raw, "files": {}}))
    with pytest.raises(DataRefused, match="names no actor.weights.h5"):
        load_model(folder)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(DataRefused, match="cannot be read"):
        load_model(folder)


def test_publish_replaces_an_older_folder(tmp_path: Path) -> None:
    place = tmp_path / "models" / "m"
    for content in ("old", "new"):
        made = tmp_path / "made"
        made.mkdir()
        (made / "file").write_text(content)
        publish(made, place)
    assert (place / "file").read_text() == "new"
    assert [path.name for path in tmp_path.rglob("*")] == ["models", "m", "file"]


def test_publish_leaves_the_same_files_where_they_stand(tmp_path: Path) -> None:
    place = tmp_path / "models" / "m"
    stood = []
    for _ in range(2):
        made = tmp_path / "made"
        made.mkdir()
        (made / "file").write_text("same")
        publish(made, place)
        stood.append(place.stat().st_ino)
        assert not made.exists()
    assert stood[0] == stood[1]
