"""Frames of a table from sparse rows: what a case does not say takes a plain value."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from musicbox_lib.contract.tables import table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

DAY = dt.date(2026, 11, 5)
PLAIN: dict[str, dict[str, Any]] = {
    "silver.listening_events": {
        "dt": DAY,
        "user_id": "ada",
        "context_type": "catalog",
        "hour_of_day": 12,
        "is_shuffle": False,
        "premium": True,
        "session_hour": 12,
    },
    "bronze.tracks": {"dt": DAY, "file": "tracks.csv", "raw_line": "the line as it came", "is_parsed": True},
    "silver.known_tracks": {"dt": DAY, "file": "tracks.csv", "line": 2},
    "gold.track_features": {
        "dt": DAY,
        "plays": 1,
        "play_share": 0.1,
        "quality_by_fold": [0.0] * 10,
    },
    "gold.track_embeddings": {"dt": DAY, "source": "sessions"},
}


def frame(spark: SparkSession, name: str, rows: Iterable[Mapping[str, Any]]) -> DataFrame:
    """The rows as a frame of that table; keys that are no column (such as `why`) are left out."""
    from pyspark.sql.pandas.types import to_arrow_schema
    from pyspark.sql.types import StructType

    found = table(name)
    declared: Any = StructType.fromDDL(found.ddl)
    full = [_complete(name, row) for row in rows]
    schema = to_arrow_schema(declared)
    columns = [pa.array([row.get(field.name) for row in full], type=field.type) for field in schema]
    made: Any = pa.Table.from_arrays(columns, schema=schema)
    return spark.createDataFrame(made, schema=declared)


def _complete(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    full = PLAIN[name] | dict(row)
    if name == "silver.listening_events":
        grade = full.get("skip_grade")
        labels = dict.fromkeys(("skip_1", "skip_2", "skip_3", "not_skipped"))
        if grade is not None:
            labels = {"skip_1": grade == 3, "skip_2": grade >= 2, "skip_3": grade >= 1, "not_skipped": grade == 0}
        full = {"session_date": full["dt"]} | labels | full
    for day in ("dt", "session_date"):
        if isinstance(full.get(day), str):
            full[day] = dt.date.fromisoformat(full[day])
    return full


def each(found: pd.DataFrame) -> Iterator[Any]:
    """The rows of a pandas frame, columns by attribute."""
    return iter(found.itertuples())


def session(
    user: str, name: str, tracks: Iterable[str], grades: Iterable[int | None], **more: Any
) -> list[dict[str, Any]]:
    """The plays of one session, from place 1."""
    return [
        {
            "user_id": user,
            "session_id": name,
            "session_position": place,
            "track_id": track,
            "skip_grade": grade,
            **more,
        }
        for place, (track, grade) in enumerate(zip(tracks, grades, strict=True), start=1)
    ]


def listeners(n_users: int, n_tracks: int, seed: int, sessions: int = 3, length: int = 12) -> list[dict[str, Any]]:
    """Plays of users who each keep to one half of the tracks and like them; days 1 to 5 of November in turn."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for user in range(n_users):
        half = user % 2
        for number in range(sessions):
            own = rng.random(length) < 0.85
            picks = rng.integers(0, n_tracks // 2, length) * 2 + np.where(own, half, 1 - half)
            grades: list[int | None] = [int(x) for x in np.where(rng.random(length) < 0.75, 0, 3)]
            day = DAY - dt.timedelta(days=4 - (user + number) % 5)
            ids = [f"t{pick:03d}" for pick in picks]
            rows += session(f"u{user:03d}", f"s{user:03d}-{number}", ids, grades, dt=day)
    return rows
