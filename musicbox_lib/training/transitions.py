"""`training.transitions`: what the learner reads, one row per labelled play."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import functions as F

from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock, Moment
from musicbox_lib.blocks.grades import REWARDS
from musicbox_lib.blocks.state import encode_states
from musicbox_lib.contract.tables import table
from musicbox_lib.contract.typed import contract
from musicbox_lib.sessions.contexts import as_contexts, in_order

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

OF_THE_NEXT = ("context_type", "hour_of_day", "is_shuffle", "premium")
"""What is known of the next play before it is made, and not yet before this one."""


@contract(
    takes={
        "events": "silver.listening_events",
        "track_features": "gold.track_features",
        "track_embeddings": "gold.track_embeddings",
    },
    gives="training.transitions",
)
def transitions(
    events: DataFrame, track_features: DataFrame, track_embeddings: DataFrame, run_date: dt.date
) -> DataFrame:
    """One row per labelled play of a track of the catalogue. An unlabelled play is no transition but stays in the
    contexts of the plays after it. The catalogue, not the plays, comes to one process and is sent to every task."""
    spark = events.sparkSession
    catalogue = Catalogue.of(track_features.toPandas(), track_embeddings.toPandas())
    sent = spark.sparkContext.broadcast(catalogue)
    declared = table("training.transitions")

    def encode(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield encoded(batch, sent.value, run_date)

    return (
        events.transform(as_contexts)
        .transform(with_next_play)
        .where(F.col("skip_grade").isNotNull())
        .mapInArrow(encode, declared.ddl.replace(" NOT NULL", ""))
    )


def with_next_play(contexts: DataFrame) -> DataFrame:
    """Add `goes_on`, whether the session has another play, and what is known before that: `next_context_type`,
    `next_hour_of_day`, `next_is_shuffle`, `next_premium` (of another session's play where it does not go on)."""
    following = {f"next_{name}": F.lead(name).over(in_order()) for name in OF_THE_NEXT}
    goes_on = F.coalesce(F.lead("session_id").over(in_order()) == F.col("session_id"), F.lit(False))
    return contexts.withColumns({"goes_on": goes_on, **following})


def encoded(batch: pa.RecordBatch, catalogue: Catalogue, run_date: dt.date) -> pa.RecordBatch:
    """The transitions of a batch of contexts with their plays; plays of tracks that the catalogue does not know are
    left out. The state before the next play is made of this play's context and answer, so nothing is shuffled."""
    tracks = catalogue.positions(batch.column("track_id"))
    known = tracks >= 0
    batch, tracks = batch.filter(pa.array(known)), tracks[known]
    block = ContextBlock.of(batch, catalogue)
    grades = _numpy(batch, "skip_grade").astype(np.int8)
    goes_on = _numpy(batch, "goes_on").astype(np.bool_)
    following = {name: batch.column(batch.schema.get_field_index(name)) for name in batch.schema.names}
    after = block.after(tracks, grades, Moment.of(following, prefix="next_"))
    o_tm1 = encode_states(block, catalogue)
    o_t = np.zeros_like(o_tm1)
    o_t[goes_on] = encode_states(after.take(goes_on), catalogue)
    quality = catalogue.quality_by_fold[tracks, block.fold]
    columns = {
        "dt": pa.array([run_date] * len(block), pa.date32()),
        "o_tm1": _lists(o_tm1),
        "a_tm1": _lists(np.concatenate([catalogue.embedding[tracks], quality[:, None]], axis=1)),
        "r_t": pa.array(np.array(REWARDS, dtype=np.float32)[grades]),
        "d_t": pa.array(goes_on.astype(np.float32)),
        "o_t": _lists(o_t),
    }
    names = table("training.transitions").column_names
    return pa.RecordBatch.from_arrays(
        [columns[name] if name in columns else batch.column(batch.schema.get_field_index(name)) for name in names],
        names=list(names),
    )


def _numpy(batch: pa.RecordBatch, name: str) -> NDArray[Any]:
    return np.asarray(batch.column(batch.schema.get_field_index(name)).to_numpy(zero_copy_only=False))


def _lists(block: NDArray[np.float32]) -> pa.Array:
    """Every list of one length: what the reader turns into a matrix."""
    offsets = np.arange(len(block) + 1, dtype=np.int32) * block.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(block.astype(np.float32, copy=False).ravel()))
