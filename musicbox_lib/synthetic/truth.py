"""What the generator knows: the chance of a skip of any track, for any listener, at the end of any day.

Only the evaluation may open it. `truth_files` says what the folder holds; `truth_plays` answers for the plays of the
log itself.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from musicbox_lib.errors import DataRefused
from musicbox_lib.synthetic.moments import Moments, candidates, logging_chances, skip_chances
from musicbox_lib.synthetic.response import Levels
from musicbox_lib.synthetic.truth_files import by_position, matrix, read_tracks
from musicbox_lib.synthetic.world import Floats, Ints, from_dict

# Cells of one block of listeners x tracks: 16 MB of floats.
BLOCK_CELLS = 2_000_000
_SESSION_COLUMNS = ("context", "hour", "length", "mood", "level", "streak", "fatigue", "tracks")
Names = npt.NDArray[Any]


class Truth:
    """A truth folder, opened. Every answer is about the *next play that continues a listener's last session
    delivered up to a run date*: its mood, level, last context and hour; position, streak, fatigue and tracks heard
    as they stand at its end; the tracks that are there on the run date."""

    def __init__(self, folder: Path) -> None:
        """Raises DataRefused where the folder holds no truth."""
        if not (folder / "world.json").is_file():
            raise DataRefused(f"{folder} holds no truth: name the folder that `musicbox generate --truth` wrote.")
        about = json.loads((folder / "world.json").read_text())
        self.folder = folder
        self.world = from_dict(about["world"], str(folder / "world.json"))
        self.context_level = np.asarray(about["context_level"])
        self.from_date = dt.date.fromisoformat(about["from_date"])
        self.drift_date = _date(about["drift_date"])
        """The first day of the new tastes, where some drift."""
        self.cold_date = _date(about["cold_date"])
        """The day on which the cold tracks come, where there are any."""
        self.tracks = read_tracks(folder)
        self._ids = pa.array(self.tracks.ids)
        self._users = pq.read_table(folder / "users", columns=["user_id", "level", "novelty", "premium"]).sort_by(
            "user_id"
        )
        self._known = self._users["user_id"].to_numpy(zero_copy_only=False).astype("U")
        self._last: tuple[dt.date, pa.Table] | None = None

    def skip_probability(self, user_ids: Sequence[str] | Names, track_ids: Names, run_date: dt.date) -> Floats:
        """True P(skip_2) of each track (n, m) as that listener's next play. Raises DataRefused for a listener with
        no session up to the run date, or a track that the world does not have."""
        positions = self.positions(np.asarray(track_ids))
        return self._at(user_ids, positions, run_date, self._skip)

    def propensities(self, user_ids: Sequence[str] | Names, track_ids: Names, run_date: dt.date) -> Floats:
        """The logging policy's chance of each track (n, m) as that listener's next play; 0 for a track that it never
        plays. Raises as `skip_probability` does."""
        positions = self.positions(np.asarray(track_ids))
        return self._at(user_ids, positions, run_date, self._logging)

    def policy_value(
        self, user_ids: Sequence[str] | Names, run_date: dt.date, track_ids: Names, probabilities: Floats
    ) -> Floats:
        """Expected skip, (n,), of one play drawn from a policy's chances `probabilities` over its candidates
        `track_ids`, both (n, C); '' pads. Raises DataRefused where a row's chances do not sum to 1 or a padding has
        one, and as `skip_probability` does."""
        asked = np.asarray(track_ids)
        padding = asked == ""
        chances = np.asarray(probabilities, np.float64)
        negative = (chances < 0) | (padding & (chances != 0))
        odd = np.flatnonzero((np.abs(chances.sum(axis=1) - 1) > 1e-6) | negative.any(axis=1))
        if len(odd):
            raise DataRefused(
                f"the chances of row {odd[0]} are none over its tracks: they must be at least 0, sum to 1 and be 0 for "
                "padding."
            )
        positions = self.positions(np.where(padding, self.tracks.ids[0], asked))
        return np.asarray((self._at(user_ids, positions, run_date, self._skip) * chances).sum(axis=1), np.float64)

    def oracle_slate(self, user_ids: Sequence[str] | Names, run_date: dt.date, slots: int = 3) -> Names:
        """The `slots` tracks (n, slots) least likely to be skipped among those that the session has not heard."""
        return self._ranked(user_ids, run_date, slots, 1)

    def anti_oracle_slate(self, user_ids: Sequence[str] | Names, run_date: dt.date, slots: int = 3) -> Names:
        """The `slots` tracks (n, slots) most likely to be skipped among those that the session has not heard."""
        return self._ranked(user_ids, run_date, slots, -1)

    def oracle_value(self, user_ids: Sequence[str] | Names, run_date: dt.date, slots: int = 3) -> Floats:
        """Expected skip of the oracle's slate, (n,)."""
        values = []
        for part in self._blocks(self._next(user_ids, run_date)):
            chances = np.where(candidates(self.tracks, part), self._skip(part), np.inf)
            values.append(np.partition(chances, slots - 1, axis=1)[:, :slots].mean(axis=1))
        return np.concatenate(values)

    def slate_value(self, user_ids: Sequence[str] | Names, track_ids: Names, run_date: dt.date) -> Floats:
        """Expected skip of each listener's slate (n, slots) -> (n,): the mean over its tracks."""
        return np.asarray(self.skip_probability(user_ids, track_ids, run_date).mean(axis=1), np.float64)

    def logging_value(self, user_ids: Sequence[str] | Names, run_date: dt.date) -> Floats:
        """Expected skip, (n,), of one more play chosen by the logging policy in the session's last context."""
        parts = self._blocks(self._next(user_ids, run_date))
        return np.concatenate([(self._logging(part) * self._skip(part)).sum(axis=1) for part in parts])

    def random_value(self, user_ids: Sequence[str] | Names, run_date: dt.date) -> Floats:
        """Expected skip, (n,), of a track drawn evenly from those that the session has not heard."""
        values = []
        for part in self._blocks(self._next(user_ids, run_date)):
            among = candidates(self.tracks, part)
            values.append((self._skip(part) * among).sum(axis=1) / among.sum(axis=1))
        return np.concatenate(values)

    def popularity_slate(
        self, user_ids: Sequence[str] | Names, run_date: dt.date, plays: dict[str, int], slots: int = 3
    ) -> Names:
        """The `slots` most played tracks (n, slots) that the session has not heard; ties by track_id."""
        ids = np.asarray(self.tracks.ids)
        counts = np.array([plays.get(track, 0) for track in self.tracks.ids])
        everyone = self._next(user_ids, run_date)
        there = self.tracks.playable[everyone.stage[0]] if len(everyone) else np.ones(len(ids), bool)
        ranked = np.lexsort((ids, -counts))
        # Only the session's own tracks can be struck out: so many places more suffice.
        ranked = ranked[there[ranked]][: slots + self.world.longest]
        slates = []
        for part in self._blocks(everyone):
            first = np.argsort(~candidates(self.tracks, part)[:, ranked], axis=1, kind="stable")[:, :slots]
            slates.append(ranked[first])
        return np.asarray(ids[np.concatenate(slates)])

    def positions(self, track_ids: Names) -> Ints:
        """The place of each track in `tracks`, in the ids' shape. Raises DataRefused for one that is not there."""
        found = pc.index_in(pa.array(track_ids.ravel().tolist(), pa.string()), self._ids)
        if found.null_count:
            unknown = track_ids.ravel()[found.is_null().to_numpy(zero_copy_only=False)][0]
            raise DataRefused(
                f"track {unknown} is not of the world in {self.folder}: evaluate a lake that was generated with this "
                "truth."
            )
        return np.asarray(found.to_numpy().astype(np.int64).reshape(track_ids.shape), np.int64)

    def stage(self, days: npt.NDArray[np.datetime64]) -> Ints:
        """How far the catalogue has come on each day, (n,) -> (n,)."""
        return self.tracks.stage((days - np.datetime64(self.from_date, "D")).astype(np.int64))

    def listeners(self, user_ids: Sequence[str] | Names) -> pa.Table:
        """Rows (level, novelty, premium) of those listeners. Raises DataRefused for one that is not of the world."""
        asked = np.asarray(user_ids, dtype="U")
        return self._users.take(pa.array(_find(self._known, asked, f"is not a listener of {self.folder}")))

    def _skip(self, moments: Moments) -> Floats:
        return skip_chances(self.world, self.tracks, moments)

    def _logging(self, moments: Moments) -> Floats:
        return logging_chances(self.world, self.tracks, moments)

    def _ranked(self, user_ids: Sequence[str] | Names, run_date: dt.date, slots: int, sign: int) -> Names:
        slates = []
        for part in self._blocks(self._next(user_ids, run_date)):
            chances = np.where(candidates(self.tracks, part), sign * self._skip(part), np.inf)
            slates.append(np.argsort(chances, axis=1, kind="stable")[:, :slots])
        return np.asarray(np.asarray(self.tracks.ids)[np.concatenate(slates)])

    def _at(
        self,
        user_ids: Sequence[str] | Names,
        positions: Ints,
        run_date: dt.date,
        of_every_track: Callable[[Moments], Floats],
    ) -> Floats:
        if len(positions) != len(user_ids):
            raise DataRefused(f"{len(user_ids)} listeners but {len(positions)} rows of tracks.")
        found, start = np.zeros(positions.shape), 0
        for part in self._blocks(self._next(user_ids, run_date)):
            rows = slice(start, start + len(part))
            found[rows] = np.take_along_axis(of_every_track(part), positions[rows], axis=1)
            start += len(part)
        return found

    def _last_sessions(self, run_date: dt.date) -> pa.Table:
        """Each listener's last session delivered up to the run date, sorted by user_id."""
        if self._last is None or self._last[0] != run_date:
            # A part holds whole listeners, so each part's last sessions are final and the rest need not be kept.
            parts = [self._last_of(part, run_date) for part in sorted((self.folder / "sessions").glob("*.parquet"))]
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

    def _next(self, user_ids: Sequence[str] | Names, run_date: dt.date) -> Moments:
        asked = np.asarray(user_ids, dtype="U")
        sessions = self._last_sessions(run_date)
        listed = sessions["user_id"].to_numpy(zero_copy_only=False).astype("U")
        rows = sessions.take(pa.array(_find(listed, asked, f"has no session up to {run_date} in {self.folder}")))
        users = self.listeners(asked)
        context, length = rows["context"].to_numpy(), rows["length"].to_numpy()
        levels = Levels.of(
            self.world,
            users["level"].to_numpy(),
            rows["level"].to_numpy(),
            self.context_level[context],
            rows["hour"].to_numpy(),
            users["premium"].to_numpy(zero_copy_only=False).astype(np.float64),
        )
        return Moments(
            mood=matrix(rows["mood"]),
            levels=levels.eta,
            position=length + 1,
            streak=rows["streak"].to_numpy(),
            novelty=users["novelty"].to_numpy(),
            fatigue=matrix(rows["fatigue"]),
            context=context,
            stage=self.stage(np.full(len(asked), run_date, "datetime64[D]")),
            heard=by_position(rows["tracks"], length, self.world.longest),
        )

    def _blocks(self, everyone: Moments) -> Iterator[Moments]:
        """Blocks of listeners whose (n, K) arrays stay small."""
        size = max(1, BLOCK_CELLS // self.tracks.size)
        for start in range(0, len(everyone), size):
            yield everyone.take(slice(start, start + size))


def _date(word: str | None) -> dt.date | None:
    return None if word is None else dt.date.fromisoformat(word)


def _find(known: Names, asked: Names, complaint: str) -> Ints:
    at = np.searchsorted(known, asked)
    at_most = np.minimum(at, max(len(known) - 1, 0))
    missing = asked if not len(known) else asked[known[at_most] != asked]
    if len(missing):
        raise DataRefused(f"user {missing[0]} {complaint}: evaluate a lake that was generated with this truth.")
    return at_most
