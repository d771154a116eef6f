"""The whole training on a lake whose best answer is known."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tiny_lake import DAY, write_lake

from musicbox_lib import lake
from musicbox_lib.blocks.catalogue_file import read_catalogue
from musicbox_lib.ddpg.config import Config
from musicbox_lib.errors import DataRefused
from musicbox_lib.models.ddpg_model import Manifest, load_model
from musicbox_lib.training import reader
from musicbox_lib.training.new_model import train_model

QUICK = Config(actor_units=(32,), critic_units=(32, 16), batch_size=128, steps=200, check_every=50)

TABLES = ("training.transitions", "gold.track_features", "gold.track_embeddings")


def trained(root: Path, *, seed: int = 1) -> Manifest:
    days = {name: lake.ReadPartition.parse(f"{name}/dt={DAY}") for name in TABLES}
    return train_model(days[TABLES[0]], days[TABLES[1]], days[TABLES[2]], QUICK, seed, root / "models")


def test_trains_a_model_better_than_the_log_and_the_same_again(tiny_lake: Path) -> None:
    first = trained(tiny_lake)
    measured = first.metrics
    assert measured["held_out_ess"] > 10
    assert measured["held_out_reward_snips"] > measured["held_out_reward_logged"] + 0.2
    assert measured["held_out_skip_snips"] < measured["held_out_skip_logged"] - 0.2
    assert measured["held_out_critic_r2"] > 0.5
    assert first.inputs["training.transitions"]["rows"] == 6000
    assert [path.name for path in (tiny_lake / "models").iterdir()] == [first.model_id]

    model = load_model(tiny_lake / "models" / first.model_id)
    catalogue = read_catalogue(model.catalogue_path)
    centroids = np.tile(catalogue.embedding[:10], (1, 6))
    states = np.concatenate([centroids, np.zeros((10, 7))], axis=1).astype(np.float32)
    nearest = (model.actor(states) @ catalogue.actions.T).argmax(axis=1)
    likeness = (catalogue.embedding[nearest] * catalogue.embedding[:10]).sum(axis=1)
    assert likeness.mean() > 0.7

    # The same rows in other files: the same id, the same weights, byte for byte.
    for table in ("gold/track_features", "gold/track_embeddings", "training/transitions"):
        (tiny_lake / table).rename(tiny_lake / f"{table}.before")
    write_lake(tiny_lake)
    again = trained(tiny_lake)
    assert (again.model_id, again.files) == (first.model_id, first.files)
    assert again.inputs["training.transitions"]["files_sha256"] != first.inputs["training.transitions"]["files_sha256"]


def test_what_does_not_fit_memory_is_streamed(tiny_lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "IN_MEMORY_BYTES", 1000)
    measured = trained(tiny_lake).metrics
    assert measured["held_out_reward_snips"] > measured["held_out_reward_logged"] + 0.2


def test_a_log_without_propensities_trains_and_says_so(lake_root: Path) -> None:
    write_lake(lake_root, with_propensity=False)
    assert trained(lake_root).metrics["validation_propensity_estimated"] == 1.0


def test_nothing_is_published_without_embeddings_of_the_same_length(tiny_lake: Path) -> None:
    import deltalake
    import pyarrow as pa

    path = str(tiny_lake / "gold" / "track_embeddings")
    table = pa.table(
        {
            "dt": pa.array([DAY], pa.date32()),
            "track_id": ["t000"],
            "embedding": pa.array([[1.0]], pa.list_(pa.float32())),
            "source": ["audio"],
            "neighbours": pa.array([[]], pa.list_(pa.string())),
            "similarities": pa.array([[]], pa.list_(pa.float32())),
        }
    )
    deltalake.write_deltalake(path, table, mode="overwrite")
    with pytest.raises(DataRefused, match="actions have 5 numbers where this night's embeddings make 2"):
        trained(tiny_lake)
    assert list((tiny_lake / "models").iterdir()) == []


def test_the_config_survives_the_manifest() -> None:
    changed = dataclasses.replace(QUICK, gamma=0.9)
    assert Config.from_json(changed.as_json()) == changed
