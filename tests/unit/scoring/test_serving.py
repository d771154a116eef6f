"""A real model folder is served: loaded, proposed from, drawn."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
from catalogues import make_contexts
from small_night import DAY, context_rows, write

from musicbox_lib.blocks.catalogue_file import write_catalogue
from musicbox_lib.blocks.slates import Spread
from musicbox_lib.blocks.state import encode_states, state_dim
from musicbox_lib.ddpg.config import Config, Serving
from musicbox_lib.ddpg.networks import build_actor, build_critic
from musicbox_lib.lake import ReadPartition
from musicbox_lib.models.champion import champion_as_of
from musicbox_lib.models.ddpg_model import Manifest, save_model
from musicbox_lib.models.folder import CATALOGUE
from musicbox_lib.scoring.top3_recommendations import recommend_block
from musicbox_lib.testing.policies import assert_candidates

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

COORDINATES = 4
TRACKS = 30


def save_tiny_model(folder: Path) -> dict[str, str]:
    """An untrained model of the real architecture over 30 tracks; gives sha256 by file name."""
    rng = np.random.default_rng(0)
    units = rng.normal(size=(TRACKS, COORDINATES)).astype(np.float32)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    names = [f"t{at:03d}" for at in range(TRACKS)]
    features = pd.DataFrame({"track_id": names, "plays": range(TRACKS), "play_share": 1 / TRACKS, "artist": None})
    features["quality_by_fold"] = pd.Series([np.zeros(10, np.float32)] * TRACKS)
    features["audio"] = None
    embeddings = pd.DataFrame({"track_id": names, "embedding": list(units), "neighbours": None, "similarities": None})
    folder.mkdir(parents=True)
    write_catalogue(features, embeddings, folder / CATALOGUE)
    config = Config(actor_units=(8,), critic_units=(8,))
    sizes = (state_dim(COORDINATES), COORDINATES + 1)
    serving = Serving(k=10, rerank=True, rerank_weight=0.5)
    manifest = Manifest("m1", str(DAY), 1, sizes[0], COORDINATES, 1.0, config, serving, {}, {}, [], "test")
    critics = (build_critic(*sizes, config, seed=2), build_critic(*sizes, config, seed=3))
    return save_model(folder, manifest, build_actor(*sizes, config, seed=1), critics).files


def test_a_registered_model_serves_with_its_own_catalogue(spark: SparkSession, lake_root: Path) -> None:
    files = save_tiny_model(lake_root / "models" / "m1")
    write("models.registry", [{"model_id": "m1", "dt": DAY, "status": "champion", "promoted": True, "files": files}])
    champion = champion_as_of(ReadPartition.parse("models.registry"), DAY)
    assert champion is not None
    assert (champion.model_id, champion.size) == ("m1", TRACKS)
    policy, catalogue = champion.load()
    assert policy is champion.load()[0], "loaded once per process"
    contexts = make_contexts([[(1, 0), (2, 3)], []], [2, 0])
    candidates = policy.propose(contexts)
    assert_candidates(candidates, contexts)

    rows = context_rows({f"u{i}": [(i, 0), (i + 1, 3)] for i in range(20)}, in_session=2)
    batch = pa.Table.from_pylist(rows).to_batches()[0]
    spread = Spread.of(catalogue)
    whole = recommend_block(batch, policy, catalogue, spread, "m1", 7).to_pandas()
    assert len(whole) == 60
    parts = [
        recommend_block(batch.slice(at, 3), policy, catalogue, spread, "m1", 7).to_pandas() for at in range(0, 20, 3)
    ]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole, atol=1e-3)


def test_the_actors_product_scores_the_tracks(tmp_path: Path) -> None:
    from musicbox_lib.blocks.catalogue_file import read_catalogue
    from musicbox_lib.models.ddpg_model import load_model
    from musicbox_lib.policies.ddpg_w import DdpgW

    save_tiny_model(tmp_path / "m")
    model = load_model(tmp_path / "m")
    plain = dataclasses.replace(model, manifest=dataclasses.replace(model.manifest, serving=Serving(k=200)))
    catalogue = read_catalogue(model.catalogue_path)
    contexts = make_contexts([[(1, 0), (2, 3)]], [2])
    products = model.actor(encode_states(contexts, catalogue)) @ catalogue.actions.T
    candidates = DdpgW(plain, catalogue).propose(contexts)
    held = candidates.tracks[0] >= 0
    np.testing.assert_allclose(candidates.scores[0, held], products[0, candidates.tracks[0, held]], atol=1e-4)
    assert held.sum() == TRACKS - 2
