"""The last sessions of a night -> three tracks for each of their users."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from musicbox_lib.blocks.candidates import SOURCES, Policy
from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.blocks.slates import Spread, draw_slates
from musicbox_lib.contract.tables import table
from musicbox_lib.contract.typed import contract
from musicbox_lib.scoring.reasons import REASONS, reasons
from musicbox_lib.scoring.serving import Serving

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SLOTS = 3
ROWS = 1024
"""Contexts worked off at a time: with 200 candidates of 32 coordinates they take 26 MB."""
SCHEMA = pa.schema(
    {
        "dt": pa.date32(),
        "user_id": pa.string(),
        "rank": pa.int32(),
        "track_id": pa.string(),
        "score": pa.float64(),
        "propensity": pa.float64(),
        "source": pa.string(),
        "reason_code": pa.string(),
        "because_track_id": pa.string(),
        "model_id": pa.string(),
    }
)


def slate_seed(seed: int, day: dt.date) -> int:
    """The seed of one night's draws: another night draws anew, the same night the same."""
    return seed * 1_000_000 + day.toordinal()


@contract(takes={"last_sessions": "gold.last_sessions"}, gives="scores.top3_recommendations")
def top3_recommendations(last_sessions: DataFrame, serving: Serving, seed: int) -> DataFrame:
    """A slate of three for every row of `last_sessions`, drawn by the serving policy with its exact chances.

    A user with fewer than three unheard tracks to draw from gets fewer rows: `audit.refuse_faults` tells.
    """

    def score(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        policy, catalogue = serving.load()
        spread = Spread.of(catalogue)
        for batch in batches:
            for first in range(0, batch.num_rows, ROWS):
                block = batch.slice(first, ROWS)
                yield recommend_block(block, policy, catalogue, spread, serving.model_id, seed)

    return last_sessions.mapInArrow(score, table("scores.top3_recommendations").ddl)


def recommend_block(
    last_sessions: Any, policy: Policy, catalogue: Catalogue, spread: Spread, model_id: str, seed: int
) -> pa.RecordBatch:
    """Slates of an Arrow batch of contexts, as rows of scores.top3_recommendations in the order of the batch."""
    contexts = ContextBlock.of(last_sessions, catalogue)
    slates = draw_slates(policy.propose(contexts), contexts.keys, seed, SLOTS, spread)
    codes, because = reasons(slates, contexts, catalogue)
    drawn = (slates.tracks >= 0).ravel()
    users, ranks = np.divmod(np.flatnonzero(drawn), SLOTS)
    rows = pa.array(users)
    columns = [
        last_sessions.column("dt").take(rows),
        last_sessions.column("user_id").take(rows),
        pa.array(ranks + 1, pa.int32()),
        _names(catalogue.track_ids, slates.tracks.ravel()[drawn]),
        pa.array(slates.score.ravel()[drawn]),
        pa.array(slates.propensity.ravel()[drawn]),
        _names(np.array(SOURCES), slates.source.ravel()[drawn]),
        _names(np.array(REASONS), codes.ravel()[drawn]),
        _names(catalogue.track_ids, because.ravel()[drawn]),
        pa.array(np.full(len(users), model_id, dtype=object), pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _names(names: Any, positions: Any) -> pa.Array:
    """The names at those positions, null at -1."""
    values = names[np.maximum(positions, 0)].astype(object) if len(names) else np.full(len(positions), "", object)
    return pa.array(values, pa.string(), mask=np.asarray(positions) < 0)
