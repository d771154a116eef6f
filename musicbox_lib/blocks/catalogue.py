"""All tracks of one night as arrays: what contexts, policies and states refer to by position. No Spark here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

NEIGHBOURS = 50
"""Neighbours kept of a track."""
FOLDS = 10
"""Folds of users: the length of quality_by_fold."""
OUT_OF_TRAINING = 9
"""The element of quality_by_fold that leaves nobody of the training folds out: what serving uses."""


@dataclass(frozen=True)
class Catalogue:
    """K tracks sorted by track_id, with E coordinates and A audio columns each."""

    track_ids: NDArray[np.str_]
    """(K,) sorted by code point, as Spark sorts them."""
    embedding: NDArray[np.float32]
    """(K, E) unit norm; zeros where nothing is known of a track."""
    quality_by_fold: NDArray[np.float32]
    """(K, 10) the track's effect on the reward without the users of each fold."""
    plays: NDArray[np.int64]
    """(K,)"""
    play_share: NDArray[np.float64]
    """(K,)"""
    audio: NDArray[np.float32] | None
    """(K, A) scaled; NaN rows for tracks without audio; None where no track has any."""
    artists: NDArray[np.int32]
    """(K,) codes by order of the artists' names, -1 where unknown."""
    neighbours: NDArray[np.int32]
    """(K, 50) positions, nearest first, -1 pads."""
    similarities: NDArray[np.float32]
    """(K, 50) cosine similarities of the neighbours, 0 at pads."""

    def __len__(self) -> int:
        return len(self.track_ids)

    @property
    def quality(self) -> NDArray[np.float32]:
        """(K,) the effect as all training folds show it."""
        quality: NDArray[np.float32] = self.quality_by_fold[:, OUT_OF_TRAINING]
        return quality

    @property
    def actions(self) -> NDArray[np.float32]:
        """(K, E + 1) what an action is matched with: embedding, then quality."""
        return np.concatenate([self.embedding, self.quality[:, None]], axis=1)

    @classmethod
    def of(cls, track_features: pd.DataFrame, track_embeddings: pd.DataFrame) -> Catalogue:
        """The catalogue of one night's `gold.track_features` and `gold.track_embeddings`: the tracks that both
        have. Raises ValueError where a track comes twice."""
        both = track_features.merge(
            track_embeddings[["track_id", "embedding", "neighbours", "similarities"]],
            on="track_id",
            validate="one_to_one",
        ).sort_values("track_id", ignore_index=True)
        track_ids = both["track_id"].to_numpy(dtype=np.str_)
        neighbours, similarities = _neighbours(both, track_ids)
        return cls(
            track_ids=track_ids,
            embedding=_matrix(both["embedding"]),
            quality_by_fold=_matrix(both["quality_by_fold"]).reshape(-1, FOLDS),
            plays=both["plays"].to_numpy(dtype=np.int64),
            play_share=both["play_share"].fillna(0.0).to_numpy(dtype=np.float64),
            audio=_matrix_or_none(both["audio"]),
            artists=_codes(both["artist"]),
            neighbours=neighbours,
            similarities=similarities,
        )

    def positions(self, track_ids: Any) -> NDArray[np.int32]:
        """Positions of track ids (an Arrow array, a numpy array or a list of strings); -1 for the unknown."""
        asked = (
            track_ids if isinstance(track_ids, pa.Array) else pa.array(np.asarray(track_ids, dtype=object), pa.string())
        )
        # Plays repeat few tracks: only the distinct ids are looked up.
        coded = asked.dictionary_encode()
        names = coded.dictionary.to_numpy(zero_copy_only=False).astype(np.str_)
        known = np.full(len(names) + 1, -1, dtype=np.int32)  # the last stands for null
        if len(self) and len(names):
            found = np.minimum(np.searchsorted(self.track_ids, names), len(self) - 1)
            known[:-1] = np.where(self.track_ids[found] == names, found, -1)
        codes = coded.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)
        return np.asarray(known[codes])


def _matrix(lists: pd.Series[Any]) -> NDArray[np.float32]:
    if not len(lists):
        return np.zeros((0, 0), dtype=np.float32)
    return np.stack([np.asarray(row, dtype=np.float32) for row in lists])


def _matrix_or_none(lists: pd.Series[Any]) -> NDArray[np.float32] | None:
    given = lists[lists.notna()]
    if not len(given):
        return None
    rows = _matrix(given)
    block = np.full((len(lists), rows.shape[1]), np.nan, dtype=np.float32)
    block[lists.notna().to_numpy()] = rows
    return block


def _codes(names: pd.Series[Any]) -> NDArray[np.int32]:
    codes, _ = pd.factorize(names, sort=True)
    return codes.astype(np.int32)


def _neighbours(both: pd.DataFrame, track_ids: NDArray[np.str_]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    positions = np.full((len(both), NEIGHBOURS), -1, dtype=np.int32)
    similarities = np.zeros((len(both), NEIGHBOURS), dtype=np.float32)
    lengths = np.array([0 if row is None else len(row) for row in both["neighbours"]], dtype=np.int64)
    if lengths.sum():
        names = np.concatenate([row for row in both["neighbours"] if row is not None and len(row)]).astype(np.str_)
        values = np.concatenate([row for row in both["similarities"] if row is not None and len(row)])
        rows = np.repeat(np.arange(len(both)), lengths)
        columns = np.arange(len(names)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        found = np.minimum(np.searchsorted(track_ids, names), len(track_ids) - 1)
        kept = (track_ids[found] == names) & (columns < NEIGHBOURS)
        positions[rows[kept], columns[kept]] = found[kept]
        similarities[rows[kept], columns[kept]] = values[kept]
    return positions, similarities
