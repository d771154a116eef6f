"""Hand-made catalogues and contexts for the tests of policies and scoring."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from musicbox_lib.blocks.candidates import Candidates
from musicbox_lib.blocks.catalogue import FOLDS, NEIGHBOURS, Catalogue
from musicbox_lib.blocks.contexts import HISTORY, ContextBlock


def make_catalogue(
    size: int,
    near: dict[int, list[tuple[int, float]]] | None = None,
    plays: list[int] | None = None,
    artists: list[int] | None = None,
    embedding: npt.NDArray[np.float32] | None = None,
) -> Catalogue:
    """`size` tracks t000, t001, ...; `near` gives a track's neighbours with similarities."""
    neighbours = np.full((size, NEIGHBOURS), -1, dtype=np.int32)
    similarities = np.zeros((size, NEIGHBOURS), dtype=np.float32)
    for track, pairs in (near or {}).items():
        for column, (other, similarity) in enumerate(pairs):
            neighbours[track, column], similarities[track, column] = other, similarity
    if embedding is None:
        embedding = np.random.default_rng(1).normal(size=(size, 8)).astype(np.float32)
        embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    counts = np.array(plays if plays is not None else [10] * size, dtype=np.int64)
    return Catalogue(
        track_ids=np.array([f"t{at:03d}" for at in range(size)]),
        embedding=embedding,
        quality_by_fold=np.zeros((size, FOLDS), dtype=np.float32),
        plays=counts,
        play_share=counts / max(counts.sum(), 1),
        audio=None,
        artists=np.array(artists if artists is not None else [-1] * size, dtype=np.int32),
        neighbours=neighbours,
        similarities=similarities,
    )


def make_contexts(histories: list[list[tuple[int, int]]], in_session: list[int], names: Any = None) -> ContextBlock:
    """A block of users u0, u1, ... with (track, grade) plays, newest last; the last `in_session` of each are the
    session's."""
    n = len(histories)
    tracks = np.full((n, HISTORY), -1, dtype=np.int32)
    grades = np.full((n, HISTORY), -1, dtype=np.int8)
    for row, plays in enumerate(histories):
        for column, (track, grade) in enumerate(reversed(plays)):
            tracks[row, HISTORY - 1 - column], grades[row, HISTORY - 1 - column] = track, grade
    lengths = np.array(in_session, dtype=np.int32)
    return ContextBlock(
        keys=np.array([f"u{row}" for row in range(n)] if names is None else names),
        tracks=tracks,
        grades=grades,
        in_session=np.arange(HISTORY) >= HISTORY - lengths[:, None],
        n_in_session=lengths,
        context=np.zeros(n, dtype=np.int8),
        hour=np.full(n, 12, dtype=np.int8),
        shuffle=np.zeros(n, dtype=np.bool_),
        premium=np.ones(n, dtype=np.bool_),
        user_plays=np.array([len(plays) for plays in histories], dtype=np.int64),
        user_skips=np.zeros(n, dtype=np.int64),
        fold=np.zeros(n, dtype=np.int8),
    )


def candidates(tracks: Any, probabilities: Any) -> Candidates:
    """Candidates with those chances."""
    positions = np.asarray(tracks, dtype=np.int32)
    return Candidates(
        tracks=positions,
        scores=np.zeros(positions.shape, dtype=np.float32),
        probabilities=np.asarray(probabilities, dtype=np.float64),
        sources=np.zeros(positions.shape, dtype=np.int8),
    )


def likeliest(tracks: Any) -> Candidates:
    """Candidates, the likeliest first; -1 pads have no chance."""
    positions = np.asarray(tracks, dtype=np.int32)
    weights = np.where(positions >= 0, np.arange(positions.shape[1], 0, -1.0), 0.0)
    return candidates(positions, weights / np.maximum(weights.sum(axis=1, keepdims=True), 1))
