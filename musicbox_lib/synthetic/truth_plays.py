"""The truth of a whole log, play by play: what every track would have done in each play's place, and how likely the
logging policy was to play it. So an estimator can be judged without the noise of answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from musicbox_lib.synthetic.moments import Moments, logging_chances, skip_chances
from musicbox_lib.synthetic.response import Levels, next_fatigue, next_streak
from musicbox_lib.synthetic.truth import BLOCK_CELLS, Names, Truth
from musicbox_lib.synthetic.truth_files import by_position, matrix
from musicbox_lib.synthetic.world import Bools, Floats, Ints


@dataclass(frozen=True)
class PlayBlock:
    """n plays of the log; arrays are (n,) unless said otherwise."""

    session_id: Names
    position: Ints
    user_id: Names
    dt: npt.NDArray[np.datetime64]
    """Day of delivery."""
    track: Ints
    """What was played: its place in `Truth.tracks`."""
    grade: Ints
    """How it was answered, -1 for no label."""
    uniform: Bools
    """Whether the session showed a pool of tracks uniformly; its pool was drawn from `propensity` of its first play."""
    skip: Floats
    """P(skip_2) of every track as this very play, (n, K)."""
    propensity: Floats
    """The logging policy's chance of every track as this very play, (n, K)."""


def play_blocks(truth: Truth, from_date: dt.date = dt.date.min, until: dt.date = dt.date.max) -> Iterator[PlayBlock]:
    """Every play delivered between two days, both included, in blocks whose (n, K) arrays stay small. Rebuilt exactly
    from the truth's sessions: the streak, the fatigue and what was heard follow from the tracks and answers."""
    size = max(1, BLOCK_CELLS // truth.tracks.size)
    for path in sorted((truth.folder / "sessions").glob("*.parquet")):
        sessions = _sessions(path, from_date, until)
        if not sessions.num_rows:
            continue
        moments, session, at = _moments(truth, sessions)
        names = {name: sessions[name].to_numpy(zero_copy_only=False) for name in ("session_id", "user_id", "uniform")}
        day = sessions["dt"].to_numpy().astype("datetime64[D]")
        length = sessions["length"].to_numpy()
        track = by_position(sessions["tracks"], length, truth.world.longest)[session, at]
        grade = by_position(sessions["grades"], length, truth.world.longest)[session, at]
        for start in range(0, len(session), size):
            rows = np.arange(start, min(start + size, len(session)))
            part = moments.take(rows)
            of = session[rows]
            yield PlayBlock(
                session_id=names["session_id"][of].astype("U"),
                position=at[rows] + 1,
                user_id=names["user_id"][of].astype("U"),
                dt=day[of],
                track=track[rows],
                grade=grade[rows],
                uniform=names["uniform"][of].astype(bool),
                skip=skip_chances(truth.world, truth.tracks, part),
                propensity=logging_chances(truth.world, truth.tracks, part),
            )


def _sessions(path: Path, from_date: dt.date, until: dt.date) -> pa.Table:
    day = pc.field("dt")
    within = (day >= pa.scalar(from_date, pa.date32())) & (day <= pa.scalar(until, pa.date32()))
    return pq.read_table(path, filters=within)


def _moments(truth: Truth, sessions: pa.Table) -> tuple[Moments, Ints, Ints]:
    """The moment before each play, session by session, and its session's row and place (from 0) in it."""
    world, tracks = truth.world, truth.tracks
    n, longest = sessions.num_rows, world.longest
    length = sessions["length"].to_numpy()
    track, grade, context, hour = (
        by_position(sessions[name], length, longest) for name in ("tracks", "grades", "contexts", "hours")
    )
    session, at = np.nonzero(np.arange(longest) < length[:, None])
    streak, fatigue = np.zeros((n, longest)), np.zeros((n, longest, world.clusters))
    for t in range(1, longest):
        streak[:, t] = next_streak(world, streak[:, t - 1], (grade[:, t - 1] >= 2).astype(np.float64))
        fatigue[:, t] = next_fatigue(world, fatigue[:, t - 1], tracks.cluster[track[:, t - 1]])
    users = truth.listeners(sessions["user_id"].to_numpy(zero_copy_only=False))
    levels = Levels.of(
        world,
        users["level"].to_numpy()[session],
        sessions["level"].to_numpy()[session],
        truth.context_level[context[session, at]],
        hour[session, at],
        users["premium"].to_numpy(zero_copy_only=False)[session].astype(np.float64),
    )
    heard = np.where(np.arange(longest) < at[:, None], track[session], -1)
    started = sessions["started"].to_numpy().astype("datetime64[D]")
    moments = Moments(
        mood=matrix(sessions["mood"])[session],
        levels=levels.eta,
        position=at + 1,
        streak=streak[session, at],
        novelty=users["novelty"].to_numpy()[session],
        fatigue=fatigue[session, at],
        context=context[session, at],
        stage=truth.stage(started)[session],
        heard=heard,
    )
    return moments, session, at
