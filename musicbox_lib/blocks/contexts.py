"""What every policy sees: a block of contexts as arrays. Numpy and Arrow only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.grades import UNLABELLED

HISTORY = 64
"""Plays kept of a user: three to four sessions of at most 20, and 64 x 40 floats gather in 10 kB."""
CONTEXT_TYPES = ("user_collection", "catalog", "editorial_playlist", "radio", "personalized_playlist", "charts")
"""Where a play can be started, in the order of their codes."""


@dataclass(frozen=True)
class Moment:
    """What is known of n plays before they are made, beside the history: as in ContextBlock."""

    context: NDArray[np.int8]
    hour: NDArray[np.int8]
    shuffle: NDArray[np.bool_]
    premium: NDArray[np.bool_]

    @classmethod
    def of(cls, columns: Mapping[str, Any], prefix: str = "") -> Moment:
        """From Arrow columns `context_type`, `hour_of_day`, `is_shuffle`, `premium`, each with the prefix."""
        context = columns[f"{prefix}context_type"].fill_null("")
        return cls(
            context=_numbers(pc.index_in(context, value_set=pa.array(CONTEXT_TYPES)), np.int8, -1),
            hour=_numbers(columns[f"{prefix}hour_of_day"], np.int8, -1),
            shuffle=_numbers(columns[f"{prefix}is_shuffle"], np.bool_, False),
            premium=_numbers(columns[f"{prefix}premium"], np.bool_, False),
        )


@dataclass(frozen=True)
class ContextBlock:
    """A batch of n contexts as arrays. Histories are right-aligned: column 63 is the newest play.

    `tracks` holds positions in a catalogue; -1 where there is no play or the catalogue does not know its track
    (such a track can never be a candidate either, so nothing needs dropping)."""

    keys: NDArray[Any]
    """(n,) user ids."""
    tracks: NDArray[np.int32]
    """(n, 64)"""
    grades: NDArray[np.int8]
    """(n, 64) 0 not skipped .. 3 skip_1, -1 unlabelled or no play."""
    in_session: NDArray[np.bool_]
    """(n, 64) plays of the session that goes on."""
    n_in_session: NDArray[np.int32]
    """(n,) at most 64."""
    context: NDArray[np.int8]
    """(n,) position in CONTEXT_TYPES, -1 where unknown."""
    hour: NDArray[np.int8]
    """(n,) 0 to 23, -1 where unknown."""
    shuffle: NDArray[np.bool_]
    """(n,)"""
    premium: NDArray[np.bool_]
    """(n,)"""
    user_plays: NDArray[np.int64]
    """(n,) labelled plays so far."""
    user_skips: NDArray[np.int64]
    """(n,) how many of them were skip_2."""
    fold: NDArray[np.int8]
    """(n,) the user's fold, 0 to 9."""

    def __len__(self) -> int:
        return len(self.n_in_session)

    def take(self, rows: slice | NDArray[Any]) -> ContextBlock:
        """The block of those rows: a slice, a mask or positions."""
        return ContextBlock(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @classmethod
    def of(cls, contexts: Any, catalogue: Catalogue) -> ContextBlock:
        """The block of an Arrow record batch, an Arrow table or a pandas frame with the context columns of
        `gold.last_sessions` (`user_id` to `premium`); others are ignored. `track_ids` may also hold positions in
        the catalogue already. No Python per row."""
        columns = _columns(contexts)
        n = len(columns["user_id"])
        tracks, lengths = _right_aligned(columns["track_ids"], n, catalogue.positions, np.int32)
        grades, _ = _right_aligned(columns["skip_grades"], n, _plain, np.int8)
        n_in_session = np.minimum(_numbers(columns["n_in_session"], np.int32, 0), np.minimum(lengths, HISTORY))
        return cls(
            keys=columns["user_id"].to_numpy(zero_copy_only=False).astype(np.str_),
            tracks=tracks,
            grades=grades,
            in_session=np.arange(HISTORY) >= HISTORY - n_in_session[:, None],
            n_in_session=n_in_session,
            user_plays=_numbers(columns["user_plays"], np.int64, 0),
            user_skips=_numbers(columns["user_skips"], np.int64, 0),
            fold=_numbers(columns["fold"], np.int8, -1),
            **vars(Moment.of(columns)),
        )

    def after(self, tracks: NDArray[np.int32], grades: NDArray[np.int8], moment: Moment) -> ContextBlock:
        """The contexts one play later in the same session: `tracks` and `grades` (n,) are what was played and how
        it was answered, `moment` what is known of the play that comes then."""
        n_in_session = np.minimum(self.n_in_session + 1, HISTORY).astype(np.int32)
        return ContextBlock(
            keys=self.keys,
            tracks=np.concatenate([self.tracks[:, 1:], tracks[:, None]], axis=1, dtype=np.int32),
            grades=np.concatenate([self.grades[:, 1:], grades[:, None]], axis=1, dtype=np.int8),
            in_session=np.arange(HISTORY) >= HISTORY - n_in_session[:, None],
            n_in_session=n_in_session,
            user_plays=self.user_plays + (grades != UNLABELLED),
            user_skips=self.user_skips + (grades >= 2),
            fold=self.fold,
            **vars(moment),
        )


_TYPES = {
    "user_id": pa.string(),
    "fold": pa.int32(),
    "track_ids": pa.list_(pa.string()),
    "skip_grades": pa.list_(pa.int8()),
    "n_in_session": pa.int32(),
    "user_plays": pa.int64(),
    "user_skips": pa.int64(),
    "context_type": pa.string(),
    "hour_of_day": pa.int32(),
    "is_shuffle": pa.bool_(),
    "premium": pa.bool_(),
}
CONTEXT_COLUMNS = tuple(_TYPES)
"""What a policy reads of a context, in `gold.last_sessions` and of every play."""


def _columns(contexts: Any) -> dict[str, Any]:
    if not isinstance(contexts, pa.RecordBatch | pa.Table):
        schema = pa.schema(list(_TYPES.items()))
        contexts = pa.Table.from_pandas(contexts[list(_TYPES)], schema=schema, preserve_index=False)
    columns = {}
    for name, kind in _TYPES.items():
        column = contexts.column(contexts.schema.get_field_index(name))
        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        if isinstance(column, pa.ChunkedArray):  # pyarrow 14 keeps an empty chunked array chunked
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], type=column.type)
        columns[name] = column if column.type == kind else column.cast(kind)
    return columns


def _plain(values: Any) -> NDArray[Any]:
    return np.asarray(values.fill_null(UNLABELLED).to_numpy(zero_copy_only=False))


def _numbers(column: Any, kind: Any, missing: Any) -> NDArray[Any]:
    return np.asarray(column.fill_null(missing).to_numpy(zero_copy_only=False)).astype(kind)


def _right_aligned(lists: Any, n: int, of_values: Any, kind: Any) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Lists as (n, 64), newest at the right, -1 before; and their lengths."""
    lengths = _numbers(pc.list_value_length(lists), np.int32, 0)
    values = of_values(lists.flatten())
    block = np.full((n, HISTORY), UNLABELLED, dtype=kind)
    rows = np.repeat(np.arange(n), lengths)
    ends = np.cumsum(lengths)
    columns = HISTORY - (np.repeat(ends, lengths) - np.arange(len(values)))
    kept = columns >= 0
    block[rows[kept], columns[kept]] = values[kept]
    return block, lengths
