"""A model's own catalogue as a file, `catalogue.parquet` in its folder: the night's tables it was trained against, in
the tables' own columns, so that any reader of Parquet understands it (docs/decisions/0004)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.errors import DataRefused

SCHEMA = pa.schema(
    {
        "track_id": pa.string(),
        "plays": pa.int64(),
        "play_share": pa.float64(),
        "quality_by_fold": pa.list_(pa.float32()),
        "audio": pa.list_(pa.float32()),
        "artist": pa.string(),
        "embedding": pa.list_(pa.float32()),
        "neighbours": pa.list_(pa.string()),
        "similarities": pa.list_(pa.float32()),
    }
)
"""Columns of gold.track_features, then of gold.track_embeddings, joined by track_id."""
LEARNED = ["embedding", "neighbours", "similarities"]
"""Those that come from gold.track_embeddings."""


def write_catalogue(track_features: pd.DataFrame, track_embeddings: pd.DataFrame, path: Path) -> None:
    """Write one night's tracks, those that both tables have, sorted by track_id: the same tables give the same file."""
    known = track_features[[name for name in SCHEMA.names if name not in LEARNED]]
    both = known.merge(track_embeddings[["track_id", *LEARNED]], on="track_id", validate="one_to_one")
    both = both.sort_values("track_id", ignore_index=True)[SCHEMA.names]
    pq.write_table(pa.Table.from_pandas(both, schema=SCHEMA, preserve_index=False), path, store_schema=False)


def read_catalogue(path: Path) -> Catalogue:
    """The catalogue of a model folder; raises DataRefused for a file that is missing or has other columns."""
    try:
        tracks = pq.read_table(path, columns=SCHEMA.names).to_pandas()
        return Catalogue.of(tracks.drop(columns=LEARNED), tracks)
    except (OSError, pa.ArrowInvalid, KeyError) as broken:
        raise DataRefused(f"{path} is not a catalogue ({broken}): train the model again.") from None
