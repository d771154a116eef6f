"""The registry's edge: a model folder in, `models.registry` out. A JVM is started only where something is to do."""

from __future__ import annotations

import datetime as dt
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

from musicbox_lib import lake
from musicbox_lib.blocks.folds import HELD_OUT_FOLD
from musicbox_lib.errors import DataRefused, UsageError
from musicbox_lib.models import registry as decisions
from musicbox_lib.models.ddpg_model import read_manifest
from musicbox_lib.models.folder import MANIFEST, models_folder
from musicbox_lib.models.registry import Entry, registered
from musicbox_lib.policies.listed import of_model
from musicbox_lib.sessions import known_plays
from musicbox_lib.settings import settings
from musicbox_lib.training.comparison import Comparison, verdict

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger("musicbox.registry")
MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def register(
    run_date: dt.date, listening_events: lake.ReadPartition, registry: lake.WritePartition, model: str | None
) -> None:
    """Hold the day's model against the champion of that day and enter it; a model that is entered already changes
    nothing. Raises DataRefused for a model that is missing or not whole, UsageError for one of another day."""
    folder = _folder(run_date, model)
    new = Entry.of_manifest(read_manifest(folder))
    if new.dt != run_date:
        raise UsageError(f"{new.model_id} was trained for {new.dt}: give --run-date {new.dt}, or another --model.")
    entries = registered()
    if decisions.is_registered(entries, new):
        log.info("%s is registered already: nothing changes.", new.model_id)
        return
    from musicbox_lib.machine.spark import session

    champion = decisions.champion_of(entries, run_date)
    inputs = {"model": new.model_id, **known_plays.versions_of(listening_events)}
    spark = session("registry")
    comparison = None if champion is None else _compare(spark, listening_events, new, champion)
    promoted, reason = verdict(comparison, champion)
    log.info("%s %s", new.model_id, reason)
    if champion is not None:
        inputs["champion"] = champion.model_id
    rows = [entry.row() for entry in decisions.with_model(entries, new, promoted, reason)]
    lake.overwrite_rows("registry", rows, registry, inputs)


def _folder(run_date: dt.date, model: str | None) -> Path:
    if model is not None:
        # A word from outside that becomes a path.
        if not MODEL_ID.fullmatch(model):
            raise UsageError(f"{model!r} is not the name of a model: give one of `ls {models_folder()}`.")
        return models_folder() / model
    kinds = dict.fromkeys(policy.folder for policy in of_model())
    manifests = [path for kind in kinds for path in models_folder().glob(f"{kind}-{run_date}-*/{MANIFEST}")]
    newest = max(manifests, key=lambda path: (path.stat().st_mtime_ns, path), default=None)
    if newest is None:
        raise DataRefused(f"no model was trained for {run_date}: run the job trainer (make train RUN_DATE={run_date}).")
    return newest.parent


def _compare(spark: SparkSession, listening_events: lake.ReadPartition, new: Entry, champion: Entry) -> Comparison:
    from pyspark.sql import functions as F

    from musicbox_lib.models.champion import Champion
    from musicbox_lib.sessions.contexts import as_contexts, user_fold
    from musicbox_lib.training.comparison import MOST_PLAYS, compare

    sides = []
    for entry in (new, champion):
        folder = models_folder() / entry.model_id
        read_manifest(folder, entry.files)
        sides.append(Champion(entry.model_id, entry.dt, str(folder), tuple(sorted(entry.files.items()))))
    events = known_plays.read(spark, listening_events).where(user_fold(F.col("user_id")) == HELD_OUT_FOLD)
    return compare(as_contexts(events).limit(MOST_PLAYS), sides[0], sides[1], settings().seed)
