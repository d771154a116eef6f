"""The trainer's edge: the lake's partitions in, a published model folder out."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from musicbox_lib import lake
from musicbox_lib.blocks.catalogue_file import read_catalogue, write_catalogue
from musicbox_lib.blocks.folds import HELD_OUT_FOLD, TRAINING_FOLDS, VALIDATION_FOLD
from musicbox_lib.ddpg.config import Config
from musicbox_lib.errors import DataRefused
from musicbox_lib.models.ddpg_model import Manifest, save_model
from musicbox_lib.models.folder import CATALOGUE, publish, sha256_of
from musicbox_lib.policies.ddpg_w import DdpgW
from musicbox_lib.training import reader
from musicbox_lib.training.off_policy import Logged, logged_plays
from musicbox_lib.training.trainer import quality_scale, train, with_scaled_quality

if TYPE_CHECKING:
    import tensorflow as tf

    from musicbox_lib.blocks.catalogue import Catalogue

log = logging.getLogger("musicbox.trainer")

JUDGING_ROWS = 50_000
"""Rows of each judging fold that are kept: 50,000 already put the standard error of a value near .01."""
COLUMNS = (
    *("session_id", "session_position", "user_id", "fold", "track_id"),
    *reader.LEARNER_COLUMNS,
    *("skip_grade", "propensity"),
)


def train_model(
    transitions: lake.ReadPartition,
    track_features: lake.ReadPartition,
    track_embeddings: lake.ReadPartition,
    config: Config,
    seed: int,
    models: Path,
) -> Manifest:
    """Train on one day's partitions and publish `models/<model_id>`; gives its manifest.

    The id is made of the day and a hash of config, seed, inputs and code, so the same training gives the same model in
    the same place. Raises DataRefused for missing or short inputs, or when no training user is among them.
    """
    from keras.utils import set_random_seed
    from tensorflow.config.experimental import enable_op_determinism

    set_random_seed(seed)
    enable_op_determinism()
    started = time.monotonic()
    day = transitions.run_date.isoformat()
    snapshots = {p.table.name: reader.snapshot_of(p) for p in (transitions, track_features, track_embeddings)}
    of_transitions = snapshots[transitions.table.name]
    models.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".making-", dir=models))
    try:
        features, embeddings = (reader.read_frame(snapshots[p.table.name]) for p in (track_features, track_embeddings))
        write_catalogue(features, embeddings, made / CATALOGUE)
        catalogue = read_catalogue(made / CATALOGUE)
        scale = quality_scale(catalogue.quality, catalogue.plays, config)
        state_size, action_size = reader.sizes(of_transitions)
        _refuse_mismatch(action_size, catalogue, of_transitions)
        whole = reader.fits_memory(of_transitions, state_size, action_size)
        folds = range(10) if whole else (VALIDATION_FOLD, HELD_OUT_FOLD)
        rows = reader.read_rows(of_transitions, COLUMNS, ("session_id", "session_position"), folds, seed)
        log.info("%s: %d transitions, %d tracks, state of %d", day, of_transitions.rows, len(catalogue), state_size)
        batches = _batches(rows if whole else None, of_transitions, (state_size, action_size), config, seed)
        trained = train(
            _scaled(batches, scale),
            with_scaled_quality(catalogue.actions, scale),
            _judging(rows, VALIDATION_FOLD, catalogue, seed),
            _judging(rows, HELD_OUT_FOLD, catalogue, seed),
            config,
            seed,
        )
        digits = _fingerprint(rows, None if whole else of_transitions, made / CATALOGUE, config, seed)
        manifest = Manifest(
            model_id=f"{DdpgW.folder}-{day}-{digits}",
            dt=day,
            seed=seed,
            state_size=state_size,
            embedding_size=int(catalogue.embedding.shape[1]),
            quality_scale=scale,
            config=config,
            serving=trained.serving,
            inputs={name: snapshot.record for name, snapshot in snapshots.items()},
            metrics=trained.metrics,
            curve=trained.curve,
            code_version=lake.code_version(),
        )
        manifest = save_model(made, manifest, trained.learner.actor, trained.learner.critics)
        publish(made, models / manifest.model_id)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    log.info("model %s in %s after %.0f s", manifest.model_id, models, time.monotonic() - started)
    return manifest


def _batches(
    rows: reader.Rows | None, snapshot: reader.Snapshot, sizes: tuple[int, int], config: Config, seed: int
) -> tf.data.Dataset:
    """The training folds' rows in batches: of `rows` in memory, or streamed each epoch where they are None."""
    if rows is not None:
        return reader.memory_batches(_training_rows(rows, snapshot), config.batch_size, seed)
    log.info("they are streamed each epoch: more than %d bytes", reader.IN_MEMORY_BYTES)
    return reader.streamed_batches(snapshot, TRAINING_FOLDS, *sizes, config.batch_size, seed)


def _training_rows(rows: reader.Rows, snapshot: reader.Snapshot) -> reader.Rows:
    training = rows["fold"] < TRAINING_FOLDS
    if not training.any():
        raise DataRefused(f"{snapshot.partition} has no user of the training folds: deliver more sessions.")
    return {name: rows[name][training] for name in reader.LEARNER_COLUMNS}


def _scaled(batches: tf.data.Dataset, scale: float) -> Iterator[tuple[Any, ...]]:
    """The batches with the action's quality as the networks have it."""
    for o_tm1, a_tm1, r_t, d_t, o_t in batches:
        yield o_tm1, a_tm1 * ([1.0] * (a_tm1.shape[1] - 1) + [scale]), r_t, d_t, o_t


def _judging(rows: reader.Rows, fold: int, catalogue: Catalogue, seed: int) -> Logged:
    places = np.flatnonzero(rows["fold"] == fold)
    if len(places) > JUDGING_ROWS:
        places = np.sort(np.random.default_rng(seed).choice(places, JUDGING_ROWS, replace=False))
    kept = {name: rows[name][places] for name in COLUMNS}
    return logged_plays(kept, catalogue.positions(kept["track_id"]), catalogue.play_share)


def _refuse_mismatch(action_size: int, catalogue: Catalogue, snapshot: reader.Snapshot) -> None:
    embedding = catalogue.embedding.shape[1]
    if action_size != embedding + 1:
        raise DataRefused(
            f"{snapshot.partition}: actions have {action_size} numbers where this night's embeddings make "
            f"{embedding + 1}: run the job transitions again."
        )


def _fingerprint(
    rows: reader.Rows, streamed: reader.Snapshot | None, catalogue: Path, config: Config, seed: int
) -> str:
    """8 hex digits of everything that makes the weights: config, seed, code and the inputs by content (rows are in a
    fixed order), so that a partition written again with the same rows gives the same model. Rows that were streamed
    count by their file list."""
    digest = hashlib.sha256(json.dumps([config.as_json(), seed, streamed and streamed.files_sha256]).encode())
    for name in COLUMNS:
        values = rows[name]
        digest.update(np.ascontiguousarray(values.astype("U") if values.dtype == object else values).data)
    digest.update(sha256_of(catalogue).encode())
    package = Path(__file__).resolve().parent.parent
    rooms = ("blocks", "ddpg", "training")
    for source in sorted(path for room in rooms for path in (package / room).glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:8]
