"""`models.baselines`: everything that the champion is compared with, fitted on the same days, in one folder."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musicbox_lib import lake
from musicbox_lib.blocks.catalogue_file import read_catalogue, write_catalogue
from musicbox_lib.contract.tables import table
from musicbox_lib.contract.typed import select_declared
from musicbox_lib.errors import DataRefused
from musicbox_lib.machine.tensorflow import quiet_tensorflow
from musicbox_lib.models.fitted_baselines import BaselinesManifest, policies_of, save_arrays
from musicbox_lib.models.folder import CATALOGUE, publish
from musicbox_lib.policies.fit_inputs import FitInputs
from musicbox_lib.policies.listed import FITTED_FOLDER, of_plays
from musicbox_lib.policies.training_plays import sampled_plays
from musicbox_lib.training.baseline_values import measured

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from musicbox_lib.policies.base import FittedPolicy

log = logging.getLogger("musicbox.baselines")

MOST_TRAINING = 100_000
"""Plays that the skip models learn from: 2,500 users have some 135,000. The LSTM takes 40 s for them on two busy cores,
and the same for any number of users beyond."""
MOST_VALIDATION = 20_000
"""Plays of the validation fold that temperatures are chosen by: a standard error near .02 for a greedy policy."""


def baselines(
    events: DataFrame,
    track_features: DataFrame,
    track_embeddings: DataFrame,
    run_date: dt.date,
    inputs: Mapping[str, int],
    seed: int,
    models: Path,
) -> list[dict[str, Any]]:
    """Fit every policy that needs plays on the plays `events` of the training folds, publish them as
    `models/baselines-D-<8 hex>` and give the rows of `models.baselines`. The same plays, tracks and seed give the same
    folder, byte for byte.

    `inputs` are the versions of the tables. Raises DataRefused where no training user has a labelled play, UsageError
    where MUSICBOX_POLICIES names what is no policy.
    """
    policies = of_plays()
    events, features, embeddings = (
        select_declared(frame, table(name))
        for frame, name in (
            (events, "silver.listening_events"),
            (track_features, "gold.track_features"),
            (track_embeddings, "gold.track_embeddings"),
        )
    )
    models.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".making-", dir=models))
    try:
        write_catalogue(features.toPandas(), embeddings.toPandas(), made / CATALOGUE)
        catalogue = read_catalogue(made / CATALOGUE)
        with _timed("plays"):
            training, validation = sampled_plays(
                events, catalogue, most_training=MOST_TRAINING, most_validation=MOST_VALIDATION, seed=seed
            )
        if not len(training):
            raise DataRefused(f"no user of the training folds has a labelled play up to {run_date}: deliver more.")
        fit(policies, FitInputs(catalogue, seed, events, training), made)
        with _timed("validation"):
            temperatures, metrics = measured(policies_of(made, catalogue, {}, policies), validation, catalogue)
        manifest = BaselinesManifest(
            dt=run_date.isoformat(),
            seed=seed,
            inputs=dict(inputs),
            temperatures=temperatures,
            metrics=metrics,
            code_version=lake.code_version(),
        ).written(made)
        folder = f"{FITTED_FOLDER}-{run_date}-{_fingerprint(manifest)}"
        publish(made, models / folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    log.info("%s from %d plays, validated on %d", folder, len(training), len(validation))
    return [
        {
            "dt": run_date,
            "policy": policy,
            "folder": folder,
            "files": list(manifest.files.items()),
            "metrics": list(found.items()),
            "inputs": list(inputs.items()),
            "code_version": manifest.code_version,
        }
        for policy, found in metrics.items()
    ]


def fit(policies: Sequence[type[FittedPolicy]], inputs: FitInputs, folder: Path) -> None:
    """Fit one policy after the other and save its arrays."""
    with _timed("tensorflow"), quiet_tensorflow():
        import tensorflow as tf

        tf.constant(0)  # starts it
    try:
        for policy in policies:
            with _timed(policy.name):
                save_arrays(folder, policy, policy.fit(inputs))
    finally:
        inputs.release()


def _fingerprint(manifest: BaselinesManifest) -> str:
    """8 hex digits of the content: files and temperatures."""
    content = json.dumps([manifest.files, manifest.temperatures], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:8]


@contextmanager
def _timed(what: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    log.info("%s after %.1f s", what, time.monotonic() - started)
