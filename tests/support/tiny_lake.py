"""A tiny lake whose best answer is known, written without Spark."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np

DAY = dt.date(2026, 11, 5)
TRACKS, EMBEDDING, USERS, PLAYS, SCALARS = 60, 4, 200, 30, 7


def write_lake(root: Path, *, with_propensity: bool = True, seed: int = 7) -> None:
    """A user likes the tracks near a direction that stands, with some noise, in each centroid of the state. The log
    plays tracks evenly but for a pull of popularity."""
    import deltalake
    import pyarrow as pa

    rng = np.random.default_rng(seed)
    embedding = rng.normal(size=(TRACKS, EMBEDDING))
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    quality = rng.normal(scale=0.1, size=TRACKS)
    popularity = rng.dirichlet(np.full(TRACKS, 5.0))
    taste = rng.normal(size=(USERS, EMBEDDING))
    taste /= np.linalg.norm(taste, axis=1, keepdims=True)
    n = USERS * PLAYS
    user = np.repeat(np.arange(USERS), PLAYS)
    track = rng.choice(TRACKS, n, p=popularity)
    noise = rng.normal(scale=0.1, size=(n, 6, EMBEDDING))
    states = np.concatenate([(taste[user][:, None] + noise).reshape(n, -1), rng.normal(size=(n, SCALARS))], axis=1)
    liking = (taste[user] * embedding[track]).sum(axis=1) + quality[track] + rng.normal(scale=0.2, size=n)
    grade = np.digitize(-liking, [-0.5, -0.2, 0.1])
    goes_on = (np.arange(n) % 10 != 9).astype(np.float32)
    following = np.roll(states, -1, axis=0) * goes_on[:, None]
    ids = np.array([f"t{number:03d}" for number in range(TRACKS)])
    floats = pa.list_(pa.float32())

    def lists(matrix: np.ndarray[Any, Any]) -> Any:
        return pa.array(list(matrix.astype(np.float32)), floats)

    def write(name: str, columns: dict[str, Any]) -> None:
        table = pa.table({"dt": pa.array([DAY] * len(columns["track_id"]), pa.date32()), **columns})
        deltalake.write_deltalake(str(root / name.replace(".", "/")), table, partition_by=["dt"])

    plays = np.bincount(track, minlength=TRACKS)
    write(
        "gold.track_features",
        {
            "track_id": ids,
            "plays": plays,
            "play_share": plays / n,
            "quality_by_fold": lists(np.repeat(quality[:, None], 10, axis=1)),
            "audio": pa.nulls(TRACKS, floats),
            "artist": pa.nulls(TRACKS, pa.string()),
        },
    )
    write(
        "gold.track_embeddings",
        {
            "track_id": ids,
            "embedding": lists(embedding),
            "source": ["sessions"] * TRACKS,
            "neighbours": pa.array([[]] * TRACKS, pa.list_(pa.string())),
            "similarities": pa.array([[]] * TRACKS, floats),
        },
    )
    write(
        "training.transitions",
        {
            "user_id": [f"u{number}" for number in user],
            "fold": pa.array(user % 10, pa.int32()),
            "session_id": [f"s{number:05d}" for number in np.arange(n) // 10],
            "session_position": pa.array(np.arange(n) % 10 + 1, pa.int32()),
            "track_id": ids[track],
            "o_tm1": lists(states),
            "a_tm1": lists(np.concatenate([embedding[track], quality[track][:, None]], axis=1)),
            "r_t": pa.array(np.array([1.0, 0.6, 0.1, 0.0])[grade], pa.float32()),
            "d_t": pa.array(goes_on, pa.float32()),
            "o_t": lists(following),
            "skip_grade": pa.array(grade, pa.int8()),
            "propensity": pa.array(popularity[track] if with_propensity else [None] * n, pa.float64()),
        },
    )
