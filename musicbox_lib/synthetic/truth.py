"""What the generator knows: the chance of a skip of any track, for any listener, at the end of any day.

Only the evaluation may open it. A folder: `world.json`, `tracks.parquet`, and per block of listeners
`users/part-00000.parquet` and `sessions/part-00000.parquet`.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from musicbox_lib.errors import DataRefused
from musicbox_lib.synthetic.listeners import Listeners
from musicbox_lib.synthetic.policy import affinities, policy_probabilities
from musicbox_lib.synthetic.response import Levels, probability, skip_logit
from musicbox_lib.synthetic.sessions import Plan, Played
from musicbox_lib.synthetic.tracks import Tracks, heard_mask
from musicbox_lib.synthetic.world import Bools, Floats, Ints, World, from_dict

_BLOCK_CELLS = 2_000_000
_SESSION_COLUMNS = ("context", "hour", "length", "mood", "level", "streak", "fatigue", "tracks")
Names = npt.NDArray[Any]


def _lists(rows: Floats | npt.NDArray[np.float32]) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.astype(np.float64).ravel()), rows.shape[1])


def write_world(folder: Path, world: World, tracks: Tracks, context_level: Floats, about: dict[str, Any]) -> None:
    """Write what all listeners share. `about` says how the world was made: seed, listeners, tracks, days."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "generated": True,
        **about,
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
        "place": _lists(tracks.place),
    }
    pq.write_table(pa.table(columns), folder / "tracks.parquet")


def write_block(
    folder: Path, block: int, listeners: Listeners, plan: Plan, played: Played, first_day: np.datetime64
) -> None:
    """Write one block of listeners and their sessions."""
    users = {
        "user_id": listeners.ids,
        "level": listeners.level,
        "novelty": listeners.novelty,
        "premium": listeners.premium,
        "taste": _lists(listeners.taste),
    }
    n, longest = plan.context.shape
    last = plan.length - 1
    every = np.arange(n)
    within = np.arange(longest) < plan.length[:, None]
    offsets = np.concatenate([[0], np.cumsum(plan.length)]).astype(np.int32)
    sessions = {
        "session_id": plan.ids,
        "user_id": [listeners.ids[i] for i in plan.listener],
        "dt": (first_day + plan.delivered.astype("timedelta64[D]")).astype("datetime64[D]"),
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
        "tracks": pa.ListArray.from_arrays(offsets, played.track[within].astype(np.int32)),
        "skip_chances": pa.ListArray.from_arrays(offsets, played.skip_chance[within]),
    }
    for name, columns in (("users", users), ("sessions", sessions)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), folder / name / f"part-{block:05d}.parquet")


@dataclass(frozen=True)
class _Next:
    """Everything but the track about the play after each listener's last session; (n,) or (n, …)."""

    mood: Floats
    levels: Floats
    position: Ints
    streak: Floats
    novelty: Floats
    fatigue: Floats
    context: Ints
    heard: Ints
    """Tracks of the session, (n, longest), -1 pads."""

    def part(self, rows: slice) -> _Next:
        return _Next(*(getattr(self, name)[rows] for name in _Next.__dataclass_fields__))


class Truth:
    """A truth folder, opened. Every answer is about the *next play that continues a listener's last session
    delivered up to a run date*: its mood, level, last context and hour; position, streak, fatigue and tracks heard
    as they stand at its end."""

    def __init__(self, folder: Path) -> None:
        """Raises DataRefused where the folder holds no truth."""
        if not (folder / "world.json").is_file():
            raise DataRefused(f"{folder} holds no truth: name the folder that `musicbox generate --truth` wrote.")
        about = json.loads((folder / "world.json").read_text())
        self._folder = folder
        self.world = from_dict(about["world"], str(folder / "world.json"))
        self.context_level = np.asarray(about["context_level"])
        rows = pq.read_table(folder / "tracks.parquet")
        self.tracks = Tracks(
            ids=tuple(rows["track_id"].to_pylist()),
            place=_matrix(rows["place"]).astype(np.float32),
            quality=rows["quality"].to_numpy(),
            cluster=rows["cluster"].to_numpy(),
            artist=rows["artist"].to_numpy(),
            popularity=rows["popularity"].to_numpy(),
            centres=np.zeros((0, self.world.dimension)),
        )
        self._position_of = {track: i for i, track in enumerate(self.tracks.ids)}
        self._users = pq.read_table(folder / "users", columns=["user_id", "level", "novelty", "premium"]).sort_by(
            "user_id"
        )
        self._known = self._users["user_id"].to_numpy(zero_copy_only=False).astype("U")
        self._last: tuple[dt.date, pa.Table] | None = None

    def skip_probability(self, user_ids: Sequence[str] | Names, track_ids: Names, run_date: dt.date) -> Floats:
        """True P(skip_2) of each track (n, m) as that listener's next play. Raises DataRefused for a listener with
        no session up to the run date, or a track that the world does not have."""
        positions = self._positions(np.asarray(track_ids))
        if len(positions) != len(user_ids):
            raise DataRefused(f"{len(user_ids)} listeners but {len(positions)} rows of tracks.")
        context = self._next(user_ids, run_date)
        blocks = [self._chances(part, positions[rows]) for rows, part in self._blocks(context)]
        return np.concatenate(blocks) if blocks else np.zeros(positions.shape)

    def oracle_slate(self, user_ids: Sequence[str] | Names, run_date: dt.date, slots: int = 3) -> Names:
        """The `slots` tracks (n, slots) least likely to be skipped among those that the session has not heard."""
        ids = np.asarray(self.tracks.ids)
        slates = []
        for _, part in self._blocks(self._next(user_ids, run_date)):
            chances = np.where(self._heard(part), np.inf, self._all_chances(part))
            slates.append(np.argsort(chances, axis=1, kind="stable")[:, :slots])
        return np.asarray(ids[np.concatenate(slates)])

    def oracle_value(self, user_ids: Sequence[str] | Names, run_date: dt.date, slots: int = 3) -> Floats:
        """Expected skip of the oracle's slate, (n,)."""
        values = []
        for _, part in self._blocks(self._next(user_ids, run_date)):
            chances = np.where(self._heard(part), np.inf, self._all_chances(part))
            values.append(np.partition(chances, slots - 1, axis=1)[:, :slots].mean(axis=1))
        return np.concatenate(values)

    def slate_value(self, user_ids: Sequence[str] | Names, track_ids: Names, run_date: dt.date) -> Floats:
        """Expected skip of each listener's slate (n, slots) -> (n,): the mean over its tracks."""
        return np.asarray(self.skip_probability(user_ids, track_ids, run_date).mean(axis=1), np.float64)

    def logging_value(self, user_ids: Sequence[str] | Names, run_date: dt.date) -> Floats:
        """Expected skip, (n,), of one more play chosen by the logging policy in the session's last context."""
        values = []
        for _, part in self._blocks(self._next(user_ids, run_date)):
            affinity = affinities(part.mood, self.tracks)
            chances = policy_probabilities(self.world, self.tracks, affinity, part.context)
            values.append((chances * self._all_chances(part)).sum(axis=1))
        return np.concatenate(values)

    def random_value(self, user_ids: Sequence[str] | Names, run_date: dt.date) -> Floats:
        """Expected skip, (n,), of a track drawn evenly from those that the session has not heard."""
        values = []
        for _, part in self._blocks(self._next(user_ids, run_date)):
            unheard = ~self._heard(part)
            values.append((self._all_chances(part) * unheard).sum(axis=1) / unheard.sum(axis=1))
        return np.concatenate(values)

    def popularity_slate(
        self, user_ids: Sequence[str] | Names, run_date: dt.date, plays: dict[str, int], slots: int = 3
    ) -> Names:
        """The `slots` most played tracks (n, slots) that the session has not heard; ties by track_id."""
        ids = np.asarray(self.tracks.ids)
        counts = np.array([plays.get(track, 0) for track in self.tracks.ids])
        ranked = np.lexsort((ids, -counts))
        # Only the session's own tracks can be struck out: so many places more suffice.
        ranked = ranked[: slots + self.world.longest]
        slates = []
        for _, part in self._blocks(self._next(user_ids, run_date)):
            first = np.argsort(self._heard(part)[:, ranked], axis=1, kind="stable")[:, :slots]
            slates.append(ranked[first])
        return np.asarray(ids[np.concatenate(slates)])

    def _positions(self, track_ids: Names) -> Ints:
        try:
            flat = [self._position_of[track] for track in track_ids.ravel()]
        except KeyError as unknown:
            raise DataRefused(
                f"track {unknown.args[0]} is not of the world in {self._folder}: "
                "evaluate a lake that was generated with this truth."
            ) from None
        return np.array(flat, np.int64).reshape(track_ids.shape)

    def _last_sessions(self, run_date: dt.date) -> pa.Table:
        """Each listener's last session delivered up to the run date, sorted by user_id."""
        if self._last is None or self._last[0] != run_date:
            # A part holds whole listeners, so each part's last sessions are final and the rest need not be kept.
            parts = [self._last_of(part, run_date) for part in sorted((self._folder / "sessions").glob("*.parquet"))]
            self._last = run_date, pa.concat_tables(parts).sort_by("user_id")
        return self._last[1]

    @staticmethod
    def _last_of(part: Path, run_date: dt.date) -> pa.Table:
        known = pc.field("dt") <= pa.scalar(run_date, pa.date32())
        rows = pq.read_table(part, columns=["user_id", "order", *_SESSION_COLUMNS], filters=known)
        users = rows["user_id"].to_numpy(zero_copy_only=False).astype("U")
        by = np.lexsort((rows["order"].to_numpy(), users))
        is_last = np.append(users[by][1:] != users[by][:-1], True) if len(by) else np.zeros(0, bool)
        return rows.take(pa.array(by[is_last]))

    def _next(self, user_ids: Sequence[str] | Names, run_date: dt.date) -> _Next:
        asked = np.asarray(user_ids, dtype="U")
        sessions = self._last_sessions(run_date)
        listed = sessions["user_id"].to_numpy(zero_copy_only=False).astype("U")
        rows = sessions.take(pa.array(_find(listed, asked, f"has no session up to {run_date} in {self._folder}")))
        users = self._users.take(pa.array(_find(self._known, asked, f"is not a listener of {self._folder}")))
        context, hour = rows["context"].to_numpy(), rows["hour"].to_numpy()
        levels = Levels.of(
            self.world,
            users["level"].to_numpy(),
            rows["level"].to_numpy(),
            self.context_level[context],
            hour,
            users["premium"].to_numpy(zero_copy_only=False).astype(np.float64),
        )
        heard = np.full((len(asked), self.world.longest), -1, np.int64)
        length = rows["length"].to_numpy()
        heard[np.arange(self.world.longest) < length[:, None]] = rows["tracks"].combine_chunks().flatten().to_numpy()
        return _Next(
            mood=_matrix(rows["mood"]),
            levels=levels.eta,
            position=length + 1,
            streak=rows["streak"].to_numpy(),
            novelty=users["novelty"].to_numpy(),
            fatigue=_matrix(rows["fatigue"]),
            context=context,
            heard=heard,
        )

    def _blocks(self, everyone: _Next) -> Iterator[tuple[slice, _Next]]:
        """Blocks of listeners whose (n, K) arrays stay small."""
        size = max(1, _BLOCK_CELLS // self.tracks.size)
        for start in range(0, len(everyone.levels), size):
            rows = slice(start, start + size)
            yield rows, everyone.part(rows)

    def _heard(self, part: _Next) -> Bools:
        return heard_mask(part.heard, self.tracks.size)

    def _all_chances(self, part: _Next) -> Floats:
        everything = np.broadcast_to(np.arange(self.tracks.size), (len(part.levels), self.tracks.size))
        return self._chances(part, everything)

    def _chances(self, part: _Next, positions: Ints) -> Floats:
        tracks = self.tracks
        affinity = np.take_along_axis(affinities(part.mood, tracks), positions, axis=1).astype(np.float64)
        logit = skip_logit(
            self.world,
            part.levels[:, None],
            part.position[:, None],
            part.streak[:, None],
            part.novelty[:, None],
            affinity=affinity,
            quality=tracks.quality[positions],
            novelty=tracks.novelty[positions],
            fatigue=np.take_along_axis(part.fatigue, tracks.cluster[positions], axis=1),
            repeat=np.take_along_axis(self._heard(part), positions, axis=1).astype(np.float64),
        )
        return probability(logit)


def _matrix(column: pa.ChunkedArray) -> Floats:
    values = column.combine_chunks()
    return np.asarray(values.flatten().to_numpy().reshape(len(values), -1), np.float64)


def _find(known: Names, asked: Names, complaint: str) -> Ints:
    at = np.searchsorted(known, asked)
    at_most = np.minimum(at, max(len(known) - 1, 0))
    missing = asked if not len(known) else asked[known[at_most] != asked]
    if len(missing):
        raise DataRefused(f"user {missing[0]} {complaint}: evaluate a lake that was generated with this truth.")
    return at_most
