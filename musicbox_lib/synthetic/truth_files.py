"""The folder of a world's truth: `world.json`, `tracks.parquet`, and per block of listeners `users/part-00000.parquet`
and `sessions/part-00000.parquet`. Only the evaluation may open it."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from musicbox_lib.synthetic.listeners import Listeners
from musicbox_lib.synthetic.plays import Played
from musicbox_lib.synthetic.sessions import Plan
from musicbox_lib.synthetic.tracks import Tracks
from musicbox_lib.synthetic.world import Bools, Floats, Ints, World


def write_world(folder: Path, world: World, tracks: Tracks, context_level: Floats, about: dict[str, Any]) -> None:
    """Write what all listeners share. `about` says how the world was made: seed, listeners, tracks, days."""
    folder.mkdir(parents=True, exist_ok=True)
    first = dt.date.fromisoformat(about["from_date"])
    content = {
        "generated": True,
        **about,
        "drift_date": _date(first, world.drift_day(about["days"])) if world.drift_share else None,
        "cold_date": _date(first, world.cold_day(about["days"])) if world.cold_share else None,
        "context_level": [float(level) for level in context_level],
        "world": world.as_dict(),
    }
    (folder / "world.json").write_text(json.dumps(content, indent=1) + "\n")
    columns = {
        "track_id": list(tracks.ids),
        "cluster": tracks.cluster,
        "artist": tracks.artist,
        "quality": tracks.quality,
        "popularity": tracks.popularity,
        "released": tracks.released,
        "logged": tracks.logged,
        "place": _lists(tracks.place),
    }
    pq.write_table(pa.table(columns), folder / "tracks.parquet")


def _date(first: dt.date, day: int) -> str:
    return (first + dt.timedelta(days=day)).isoformat()


def read_tracks(folder: Path) -> Tracks:
    """The tracks that `write_world` wrote, without the clusters' centres."""
    rows = pq.read_table(folder / "tracks.parquet")
    place = matrix(rows["place"]).astype(np.float32)
    return Tracks(
        ids=tuple(rows["track_id"].to_pylist()),
        place=place,
        quality=rows["quality"].to_numpy(),
        cluster=rows["cluster"].to_numpy(),
        artist=rows["artist"].to_numpy(),
        popularity=rows["popularity"].to_numpy(),
        released=rows["released"].to_numpy(),
        logged=rows["logged"].to_numpy(zero_copy_only=False),
        centres=np.zeros((0, place.shape[1])),
    )


def write_block(
    folder: Path, block: int, listeners: Listeners, plan: Plan, played: Played, first_day: np.datetime64
) -> None:
    """Write one block of listeners and their sessions. `context`, `hour`, `shuffle`, `streak` and `fatigue` are those
    at the session's end; the lists have one element per play."""
    users = {
        "user_id": listeners.ids,
        "level": listeners.level,
        "novelty": listeners.novelty,
        "premium": listeners.premium,
        "taste": _lists(listeners.taste),
        "drifts": listeners.drifts,
        "later_taste": _lists(listeners.later_taste),
    }
    n, longest = plan.context.shape
    last = plan.length - 1
    every = np.arange(n)
    within = np.arange(longest) < plan.length[:, None]
    sessions = {
        "session_id": plan.ids,
        "user_id": pa.array(listeners.ids).take(pa.array(plan.listener)),
        "dt": _days(first_day, plan.delivered),
        "started": _days(first_day, plan.start_day),
        "order": plan.order,
        "context": plan.context[every, last],
        "hour": plan.hour[every, last],
        "shuffle": plan.shuffle[every, last],
        "premium": listeners.premium[plan.listener],
        "length": plan.length,
        "uniform": plan.uniform,
        "level": plan.level,
        "mood": _lists(plan.mood),
        "streak": played.streak,
        "fatigue": _lists(played.fatigue),
        "tracks": _by_play(played.track.astype(np.int32), within),
        "grades": _by_play(played.grade.astype(np.int8), within),
        "contexts": _by_play(plan.context.astype(np.int8), within),
        "hours": _by_play(plan.hour.astype(np.int8), within),
        "skip_chances": _by_play(played.skip_chance, within),
    }
    for name, columns in (("users", users), ("sessions", sessions)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), folder / name / f"part-{block:05d}.parquet")


def _days(first: np.datetime64, day: Ints) -> npt.NDArray[np.datetime64]:
    return (first + day.astype("timedelta64[D]")).astype("datetime64[D]")


def _lists(rows: Floats | npt.NDArray[np.float32]) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.astype(np.float64).ravel()), rows.shape[1])


def _by_play(values: npt.NDArray[Any], within: Bools) -> pa.ListArray:
    offsets = np.concatenate([[0], np.cumsum(within.sum(axis=1))]).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, values[within])


def matrix(column: pa.ChunkedArray) -> Floats:
    """A column of lists of one length as (rows, length)."""
    values = column.combine_chunks()
    return np.asarray(values.flatten().to_numpy().reshape(len(values), -1), np.float64)


def by_position(column: pa.ChunkedArray, length: Ints, longest: int) -> Ints:
    """A column of lists with one element per play as (rows, longest), -1 beyond the row's length."""
    filled = np.full((len(length), longest), -1, np.int64)
    filled[np.arange(longest) < length[:, None]] = column.combine_chunks().flatten().to_numpy()
    return filled
