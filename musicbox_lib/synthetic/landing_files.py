"""Generated sessions as delivered files: the real log's columns in the official order, then user_id and propensity."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from musicbox_lib.contract.tables import table
from musicbox_lib.synthetic.listeners import Listeners
from musicbox_lib.synthetic.plays import Played
from musicbox_lib.synthetic.sessions import Plan
from musicbox_lib.synthetic.world import Bools, Ints, Seeks, World, generator, shares

DETAIL_STREAM = 5
_WORDS = pa.array(["False", "True"])


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Write a file that is there whole or not at all: under a hidden name first, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}.part")
    try:
        with hidden.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        hidden.replace(path)
    finally:
        hidden.unlink(missing_ok=True)


def gzip_member(content: bytes) -> bytes:
    """A gzip member without name or time: the same bytes for the same content. Members may follow each other."""
    return gzip.compress(content, compresslevel=5, mtime=0)


def csv_bytes(rows: pa.Table) -> bytes:
    """Rows as CSV lines, without a header and without quotes, as the real log is; raises for a value that would need
    them (`needed` quotes every string)."""
    buffer = io.BytesIO()
    options = pa.csv.WriteOptions(include_header=False, quoting_style="none")
    pa.csv.write_csv(rows, buffer, options)
    return buffer.getvalue()


def header(name: str) -> bytes:
    """The header line of a delivered file of that landing table."""
    return (",".join(table(name).column_names) + "\n").encode()


def write_tracks(path: Path, tracks: pa.Table) -> None:
    """The track table as one gzip file."""
    with whole_file(path) as file:
        file.write(gzip_member(header("landing.tracks") + csv_bytes(tracks)))


def write_day(path: Path, members: Iterable[bytes]) -> None:
    """A day's session log: the header, then the blocks' gzip members one after the other."""
    with whole_file(path) as file:
        file.write(gzip_member(header("landing.session_logs")))
        for member in members:
            file.write(member)


def as_rows(
    world: World,
    listeners: Listeners,
    plan: Plan,
    played: Played,
    track_ids: pa.StringArray,
    first_day: np.datetime64,
    seed: int,
) -> tuple[pa.Table, Ints]:
    """Every play of a block as delivered, in the declared order of landing.session_logs, and each row's day of
    delivery counted from 0. Adds what has no part in the truth: reasons, pauses, seeks."""
    random = generator(seed, DETAIL_STREAM, listeners.first)
    n, longest = plan.context.shape
    session, at = np.nonzero(np.arange(longest) < plan.length[:, None])
    grade = played.grade[session, at]
    first = at == 0
    end = _pick(world.end_share, grade + 1, random.random(len(grade)))
    start = np.concatenate([[0], end[:-1]])
    before_skipped = np.concatenate([[0], (grade[:-1] >= 2).astype(np.int64)])
    pause = np.where(first, -1, _pick(world.pause_share, before_skipped, random.random(len(grade))))
    opening = random.choice(np.arange(len(world.first_reasons)), n, p=shares(world.first_share))
    started = np.where(first, opening[session], len(world.first_reasons) + start)
    hour = plan.hour[session, at]
    day = first_day + (plan.start_day[session] + plan.days_on[session, at]).astype("timedelta64[D]")
    columns = {
        "session_id": _each(plan.ids, session),
        "session_position": at + 1,
        "session_length": plan.length[session],
        "track_id_clean": track_ids.take(pa.array(played.track[session, at])),
        "skip_1": _word(grade == 3),
        "skip_2": _word(grade >= 2),
        "skip_3": _word(grade >= 1),
        "not_skipped": _word(grade == 0),
        "context_switch": plan.switched[session, at].astype(np.int64),
        "no_pause_before_play": (pause == 0).astype(np.int64),
        "short_pause_before_play": (pause == 2).astype(np.int64),
        "long_pause_before_play": (pause >= 1).astype(np.int64),
        "hist_user_behavior_n_seekfwd": _seeks(world.seek_forward, len(grade), random),
        "hist_user_behavior_n_seekback": _seeks(world.seek_back, len(grade), random),
        "hist_user_behavior_is_shuffle": _word(plan.shuffle[session, at]),
        "hour_of_day": hour,
        "date": pa.array(day.astype("datetime64[D]")),
        "premium": _word(listeners.premium[plan.listener[session]]),
        "context_type": _each(world.contexts, plan.context[session, at]),
        "hist_user_behavior_reason_start": _each((*world.first_reasons, *world.start_after), started),
        "hist_user_behavior_reason_end": _each(world.end_reasons, end),
        "user_id": _each(listeners.ids, plan.listener[session]),
        "propensity": played.propensity[session, at],
    }
    names = table("landing.session_logs").column_names
    return pa.table({name: columns[name] for name in names}), plan.delivered[session]


def _each(names: Sequence[str], at: Ints) -> pa.StringArray:
    """The name at each place, (m,)."""
    return pa.array(names, pa.string()).take(pa.array(at))


def _word(flags: Bools) -> pa.StringArray:
    return _WORDS.take(pa.array(flags.astype(np.int8)))


def _pick(table_of_shares: tuple[tuple[float, ...], ...], row: Ints, uniforms: npt.NDArray[np.float64]) -> Ints:
    """A column of the row of shares that each element names, by inversion."""
    steps = np.array([np.cumsum(shares(part)) for part in table_of_shares])
    return np.asarray((uniforms[:, None] >= steps[row, :-1]).sum(axis=1), np.int64)


def _seeks(seeks: Seeks, n: int, random: np.random.Generator) -> Ints:
    some = random.random(n) < seeks.share
    return np.asarray(np.where(some, np.minimum(random.zipf(seeks.exponent, n), seeks.most), 0), np.int64)
