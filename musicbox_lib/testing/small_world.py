"""A catalogue, contexts and plays small enough for a test, with every odd case that a night has."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from musicbox_lib.blocks.catalogue import FOLDS, NEIGHBOURS, Catalogue
from musicbox_lib.blocks.contexts import CONTEXT_TYPES, HISTORY, ContextBlock
from musicbox_lib.blocks.grades import UNLABELLED
from musicbox_lib.ddpg.config import Serving
from musicbox_lib.policies.fit_inputs import FitInputs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from musicbox_lib.policies.training_plays import Plays

Floats = NDArray[np.float32]
TRACKS, EMBEDDING, AUDIO = 40, 8, 3
USERS = 60


def small_catalogue(seed: int = 1) -> Catalogue:
    """Tracks t00 to t39 with embeddings, audio, artists and neighbours. Track 0 has no artist, track 1 no audio, track
    2 no embedding and no neighbours, track 3 no play."""
    rng = np.random.default_rng(seed)
    embedding = rng.normal(size=(TRACKS, EMBEDDING)).astype(np.float32)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    embedding[2] = 0
    audio = rng.normal(size=(TRACKS, AUDIO)).astype(np.float32)
    audio[1] = np.nan
    plays = rng.integers(1, 60, TRACKS)
    plays[3] = 0
    cosines = embedding @ embedding.T
    np.fill_diagonal(cosines, -1.0)
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :15].astype(np.int32)
    neighbours = np.full((TRACKS, NEIGHBOURS), -1, dtype=np.int32)
    similarities = np.zeros((TRACKS, NEIGHBOURS), dtype=np.float32)
    near = np.take_along_axis(cosines, nearest, axis=1)
    neighbours[:, :15], similarities[:, :15] = np.where(near > 0, nearest, -1), np.maximum(near, 0)
    return Catalogue(
        track_ids=np.array([f"t{number:02d}" for number in range(TRACKS)]),
        embedding=embedding,
        quality_by_fold=rng.normal(scale=0.1, size=(TRACKS, FOLDS)).astype(np.float32),
        plays=plays.astype(np.int64),
        play_share=plays / plays.sum(),
        audio=audio,
        artists=np.array([-1, *(number // 4 for number in range(TRACKS - 1))], dtype=np.int32),
        neighbours=neighbours,
        similarities=similarities,
    )


def small_contexts(users: int = USERS, seed: int = 2) -> ContextBlock:
    """Contexts over that catalogue with 0 to 64 plays of every grade. User 0 has no history, user 1 plays of tracks
    that the catalogue does not know, user 2 nothing but skips, user 3 nothing but unlabelled plays, user 4 no running
    session; user 5 has heard all tracks but three in it; every sixth context is of an unknown kind and hour."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, HISTORY + 1, users)
    lengths[:6] = [0, 10, 10, 10, 10, TRACKS - 3]
    in_history = np.arange(HISTORY) >= HISTORY - lengths[:, None]
    tracks = np.where(in_history, rng.integers(0, TRACKS, (users, HISTORY)), -1).astype(np.int32)
    grades = np.where(in_history, rng.integers(-1, 4, (users, HISTORY)), UNLABELLED).astype(np.int8)
    tracks[1] = -1
    grades[2], grades[3] = np.where(in_history[2], 3, UNLABELLED), UNLABELLED
    tracks[5, HISTORY - TRACKS + 3 :] = np.arange(TRACKS - 3)
    n_in_session = np.minimum(rng.integers(0, 21, users), lengths).astype(np.int32)
    n_in_session[4:6] = 0, TRACKS - 3
    unknown = np.arange(users) % 6 == 0
    return ContextBlock(
        keys=np.array([f"u{number:03d}" for number in range(users)]),
        tracks=tracks,
        grades=grades,
        in_session=np.arange(HISTORY) >= HISTORY - n_in_session[:, None],
        n_in_session=n_in_session,
        context=np.where(unknown, -1, rng.integers(0, len(CONTEXT_TYPES), users)).astype(np.int8),
        hour=np.where(unknown, -1, rng.integers(0, 24, users)).astype(np.int8),
        shuffle=rng.random(users) < 0.3,
        premium=rng.random(users) < 0.7,
        user_plays=(lengths + rng.integers(0, 50, users)).astype(np.int64),
        user_skips=(lengths // 2).astype(np.int64),
        fold=rng.integers(0, 8, users).astype(np.int8),
    )


@dataclass(frozen=True)
class SmallModel:
    """A `base.ActorCritic` without training: one random layer each."""

    serving: Serving = field(default_factory=lambda: Serving(k=20, rerank=True, rerank_weight=0.3))
    seed: int = 6

    def actor(self, states: Floats) -> Floats:
        """(n, S) -> (n, E + 1)"""
        queries: Floats = np.tanh(states @ self._layer(states.shape[1], EMBEDDING + 1))
        return queries

    def critic(self, states: Floats, actions: Floats) -> Floats:
        """(n, S) and (n, C, E + 1) -> (n, C)"""
        wanted = states @ self._layer(states.shape[1], actions.shape[2])
        values: Floats = (actions @ wanted[:, :, None])[:, :, 0]
        return values

    def _layer(self, rows: int, columns: int) -> Floats:
        return np.random.default_rng(self.seed).normal(scale=0.1, size=(rows, columns)).astype(np.float32)


def small_inputs(spark: SparkSession | None = None, seed: int = 3) -> FitInputs:
    """What a policy is fitted on: the catalogue and a sample of plays; with a Spark session every play too. A policy
    that counts in Spark needs one."""
    catalogue = small_catalogue()
    events = None if spark is None else small_events(spark, catalogue)
    return FitInputs(catalogue, seed, events, small_sample())


def small_sample(plays: int = 1_500, seed: int = 4) -> Plays:
    """Labelled plays of training users with the contexts before them."""
    from musicbox_lib.policies.training_plays import Plays

    rng = np.random.default_rng(seed)
    tracks = rng.integers(0, TRACKS, plays).astype(np.int32)
    grades = rng.integers(0, 4, plays).astype(np.int8)
    return Plays(small_contexts(plays, seed), tracks, grades, rng.uniform(0.005, 0.1, plays))


def small_events(spark: SparkSession, catalogue: Catalogue, users: int = USERS, seed: int = 5) -> DataFrame:
    """Rows as of silver.listening_events, with the columns that fits read: three sessions of ten plays a user."""
    rng = np.random.default_rng(seed)
    day = dt.date(2026, 11, 1)
    rows = [
        (f"u{user:03d}", f"s{user:03d}-{session}", position, str(catalogue.track_ids[rng.integers(0, TRACKS)]),
         day + dt.timedelta(days=session), int(rng.integers(0, 24)), CONTEXT_TYPES[rng.integers(0, len(CONTEXT_TYPES))],
         None if rng.random() < 0.1 else int(rng.integers(0, 4)))
        for user in range(users) for session in range(3) for position in range(1, 11)
    ]  # fmt: skip
    return spark.createDataFrame(
        rows,
        "user_id string, session_id string, session_position int, track_id string, session_date date, "
        "session_hour int, context_type string, skip_grade tinyint",
    )
