"""Steps that the policies share on their way from tracks to candidates with chances. Tracks are catalogue positions,
-1 pads a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from musicbox_lib.blocks.contexts import ContextBlock

Int32Array = npt.NDArray[np.int32]
FloatArray = npt.NDArray[np.float64]
Scores = npt.NDArray[Any]

LIMIT = 200
"""Candidates that a policy weighs at most: 50 to 200 measured alike (docs/method.md#serving)."""


def drop_heard(tracks: Int32Array, contexts: ContextBlock) -> Int32Array:
    """The candidates `(n, C)` with -1 in place of tracks heard in the context's session."""
    heard = np.where(contexts.in_session, contexts.tracks, -1)
    span = np.int64(max(int(tracks.max(initial=0)), int(heard.max(initial=0))) + 1)
    rows = np.arange(len(tracks), dtype=np.int64)[:, None] * span
    return np.where((tracks < 0) | np.isin(rows + tracks, (rows + heard)[heard >= 0]), -1, tracks).astype(np.int32)


def first_of_equals(tracks: Int32Array) -> Int32Array:
    """The candidates `(n, C)` with -1 in place of a track that stands further left in the row already."""
    order = np.argsort(tracks, axis=1, kind="stable")
    ordered = np.take_along_axis(tracks, order, axis=1)
    ordered[:, 1:][ordered[:, 1:] == ordered[:, :-1]] = -1
    distinct = np.empty_like(ordered)
    np.put_along_axis(distinct, order, ordered, axis=1)
    return distinct


def highest(scores: Scores, limit: int) -> npt.NDArray[np.int64]:
    """The columns of each row's `limit` greatest scores (n, min(limit, C)), in column order; of equal scores at the
    edge, which one stays is the same on every run."""
    if limit >= scores.shape[1]:
        return np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    return np.sort(np.argpartition(-scores, limit - 1, axis=1)[:, :limit], axis=1)


def soften(tracks: Int32Array, scores: Scores, temperature: float, explore: float) -> FloatArray:
    """Chances `(n, C)`: the softmax of score / temperature over a row's candidates, but for a share `explore` that is
    even over them. A row without a candidate is all 0. Scores count to 5 decimals, so that the last bits of a matrix
    product, which depend on how many rows it has, do not reach the chances."""
    held = tracks >= 0
    logits = np.where(held, np.round(scores.astype(np.float64), 5) / temperature, -np.inf)
    peak = logits.max(axis=1, keepdims=True, initial=-np.inf)
    weights = np.exp(logits - np.where(np.isfinite(peak), peak, 0.0))
    total = weights.sum(axis=1, keepdims=True)
    count = held.sum(axis=1, keepdims=True)
    softmax = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    even = np.divide(held, count, out=np.zeros_like(weights), where=count > 0)
    chances: FloatArray = (1 - explore) * softmax + explore * even
    return chances
