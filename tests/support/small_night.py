"""One small night in a test's lake, written without a JVM."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa

from musicbox_lib import lake
from musicbox_lib.contract import jobs
from musicbox_lib.contract.tables import table
from musicbox_lib.lake.layout import create

DAY = dt.date(2026, 11, 5)


def context_rows(histories: dict[str, list[tuple[int, int]]], in_session: int) -> list[dict[str, Any]]:
    """Rows of gold.last_sessions: user -> (track number, grade) plays."""
    return [
        {
            "dt": DAY,
            "user_id": user,
            "fold": 0,
            "session_id": f"s-{user}",
            "track_ids": [f"t{track:03d}" for track, _ in plays],
            "skip_grades": [grade for _, grade in plays],
            "n_in_session": min(in_session, len(plays)),
            "user_plays": len(plays),
            "user_skips": 0,
            "context_type": "catalog",
            "hour_of_day": 9,
            "is_shuffle": False,
            "premium": True,
            "session_dt": DAY,
        }
        for user, plays in histories.items()
    ]


def write(name: str, rows: list[dict[str, Any]]) -> None:
    """Append rows to a table of the lake that MUSICBOX_LAKE names."""
    import deltalake

    create(table(name))
    schema = pa.schema(deltalake.DeltaTable(lake.path_of(name)).schema().to_arrow())
    deltalake.write_deltalake(lake.path_of(name), pa.Table.from_pylist(rows, schema=schema), mode="append")


def read(name: str) -> list[dict[str, Any]]:
    """All rows of a table; none where it has not been written."""
    found = lake.snapshot(name)
    rows: list[dict[str, Any]] = [] if found is None else found.to_pyarrow_table().to_pylist()
    return rows


def write_tracks(size: int, neighbours: bool) -> None:
    """gold.track_features and gold.track_embeddings of DAY: tracks t000, t001, ..., each next to the five after it."""
    tracks = [f"t{at:03d}" for at in range(size)]
    features = {"dt": DAY, "plays": 3, "play_share": 0.2, "quality_by_fold": [0.0] * 10}
    write("gold.track_features", [{**features, "track_id": track, "title": f"Song {track}"} for track in tracks])
    rows: list[dict[str, Any]] = []
    for at, track in enumerate(tracks):
        row = {"dt": DAY, "track_id": track, "embedding": [1.0, 0.0], "source": "sessions"}
        if neighbours:
            after = [tracks[(at + step) % size] for step in range(1, 6)]
            row |= {"neighbours": after, "similarities": [0.9, 0.8, 0.7, 0.6, 0.5]}
        rows.append(row)
    write("gold.track_embeddings", rows)


def job_words() -> list[str]:
    """The words of jobs/top3_recommendations.py for DAY."""
    return jobs.job("top3_recommendations").words(day=str(DAY))
