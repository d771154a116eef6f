"""The two tasks as rows of leak-free columns: the second half of a session, and the next play."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import numpy as np

from musicbox_lib.skip_prediction.heard import (
    FAR,
    Columns,
    chosen_columns,
    heard_before,
    is_new,
    last_of,
    repeat_columns,
    shifted,
    since_track,
    track_columns,
)
from musicbox_lib.skip_prediction.listed import HEARD, NEXT_PLAY, SECOND_HALF, Features, require_listed
from musicbox_lib.skip_prediction.sessions import PLAYS, Answers, Bools, Floats, Integers, Sessions

SPLITS = range(-4, 5)
"""A training session, whose answers are all known, is also learned from as if it had been split up to 4 plays sooner
or later than at its half: log loss on the first three parts fell from .590 to .579 (.581 with 3 plays), MAA of row by
row answers rose from .585 to .595."""
LONGEST_HALF = 10
"""Plays of the longest second half: a training split has no farther targets either."""
FEWEST_ANSWERED = 2
"""Plays that a training split needs before it."""
Rows = tuple[Integers, Integers, Integers]
"""Session, number of plays before, position of the play: (n,) each."""


class Task(Protocol):
    """What a model is asked: `name`, the list of its columns, rows to learn from and to judge, their columns."""

    name: str
    listed: Mapping[str, str]
    sessions: Sessions

    def training_rows(self, sessions: Bools) -> Rows:
        """Labelled rows of the chosen sessions (S,)."""

    def judged_rows(self, sessions: Bools) -> Rows:
        """The rows that count, labelled, in order of session and position."""

    def features(self, rows: Rows, answers: Answers) -> Features:
        """The columns of the rows; `answers` is `Answers.without` the part that the model never saw."""


class SecondHalf:
    """The challenge: skip_2 of the second half from the first half in full and the second half's tracks."""

    name = "second_half"
    listed: Mapping[str, str] = SECOND_HALF

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.heard = heard_before(sessions)
        self.tracks_ahead = _tracks_ahead(sessions)

    def training_rows(self, sessions: Bools) -> Rows:
        """Every play at most 10 after each of the splits."""
        found = [self._rows(sessions, self.sessions.halves + moved) for moved in SPLITS]
        s, h, i = (np.concatenate(part) for part in zip(*found, strict=True))
        return s, h, i

    def judged_rows(self, sessions: Bools) -> Rows:
        """The second halves."""
        return self._rows(sessions, self.sessions.halves)

    def _rows(self, sessions: Bools, split: Integers) -> Rows:
        whole = self.sessions
        at_half = split == whole.halves
        fits = sessions & (at_half | ((split >= FEWEST_ANSWERED) & (split < whole.lengths)))
        place = np.arange(PLAYS) - split[:, None]
        s, i = np.nonzero(whole.labelled & fits[:, None] & (place >= 0) & (place < LONGEST_HALF))
        return s, split[s], i

    def features(self, rows: Rows, answers: Answers) -> Features:
        """The columns of `listed.SECOND_HALF`."""
        return _gathered(self._columns(rows, answers), self.listed, len(rows[0]))

    def _columns(self, rows: Rows, answers: Answers) -> Iterator[tuple[str, Floats]]:
        s, h, i = rows
        tracks = track_columns(self.sessions, answers)
        for name, column in {**self.heard, **tracks}.items():
            yield name, column[s, h] if name in HEARD else column[s, i]
        for name, column in self.tracks_ahead.items():
            yield name, column[s, i]
        for name in ("track_plays", "track_effect"):
            yield f"{name}_next", shifted(tracks[name], -1)[s, i]
            yield f"{name}_ahead", _mean_from(tracks[name])[s, h]
        new = np.where(self.sessions.played, is_new(self.sessions), np.nan)
        yield "new_share_ahead", _mean_from(new)[s, h]
        yield from self._repeats(rows).items()
        length = self.sessions.lengths[s].astype(np.float64)
        yield "session_length", length
        yield "is_longest", (length == PLAYS).astype(np.float64)
        yield "n_answered", h.astype(np.float64)
        yield "place_in_half", (i - h).astype(np.float64)
        yield "plays_left", length - i

    def _repeats(self, rows: Rows) -> Columns:
        """The repeats of each split in turn, so that memory is one (S, 20, 20) block."""
        s, h, i = rows
        found: Columns = {}
        for moved in np.unique(h - self.sessions.halves[s]):
            here = h - self.sessions.halves[s] == moved
            answered = np.arange(PLAYS) < (self.sessions.halves + moved)[:, None]
            columns = repeat_columns(self.sessions, answered[:, None, :])
            unanswered = self.sessions.earlier & ~answered[:, None, :]
            columns["unanswered_repeats"] = unanswered.sum(axis=2).astype(np.float64)
            for name, column in columns.items():
                found.setdefault(name, np.zeros(len(s)))[here] = column[s[here], i[here]]
        return found


class NextPlay:
    """Every play, from all that was known before it."""

    name = "next_play"
    listed: Mapping[str, str] = NEXT_PLAY

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        always = np.ones((1, 1, PLAYS), dtype=np.bool_)
        self.fixed = {**heard_before(sessions), **repeat_columns(sessions, always), **chosen_columns(sessions)}

    def training_rows(self, sessions: Bools) -> Rows:
        """All plays."""
        s, i = np.nonzero(self.sessions.labelled & sessions[:, None])
        return s, i, i

    def judged_rows(self, sessions: Bools) -> Rows:
        """All plays."""
        return self.training_rows(sessions)

    def features(self, rows: Rows, answers: Answers) -> Features:
        """The columns of `listed.NEXT_PLAY`."""
        s, _, i = rows
        columns = {**self.fixed, **track_columns(self.sessions, answers)}
        return _gathered(((name, column[s, i]) for name, column in columns.items()), self.listed, len(s))


def _tracks_ahead(sessions: Sessions) -> Columns:
    later = np.swapaxes(sessions.earlier, 1, 2)
    # The next play of the track is the first of the later ones: the last in reversed order.
    first = PLAYS - 1 - last_of(later[:, :, ::-1])
    until = np.where(first < PLAYS, first - np.arange(PLAYS), FAR)
    until = np.where(sessions.played, until, np.nan)
    since = since_track(sessions)
    return {
        "later_repeats": later.sum(axis=2).astype(np.float64),
        "until_track": until,
        "until_track_before": shifted(until, 1),
        "until_track_next": shifted(until, -1),
        "since_track_next": shifted(since, -1),
        "since_track_after_next": shifted(since, -2),
    }


def _mean_from(values: Floats) -> Floats:
    """(S, 20) means from each place to the session's end."""
    backwards = values[:, ::-1]
    total = np.cumsum(np.nan_to_num(backwards), axis=1)[:, ::-1]
    n = np.cumsum(np.isfinite(backwards), axis=1)[:, ::-1]
    mean: Floats = total / np.maximum(n, 1)
    return mean


def _gathered(columns: Iterable[tuple[str, Floats]], listed: Mapping[str, str], n: int) -> Features:
    """The columns in the list's order, one by one into one block: a second copy as doubles would be thrice as much."""
    at = {name: place for place, name in enumerate(listed)}
    values = np.full((n, len(at)), np.nan, dtype=np.float32)
    for name, column in columns:
        require_listed([name], listed)
        values[:, at.pop(name)] = column
    if at:
        raise KeyError(f"no column {', '.join(at)}")
    return Features(tuple(listed), values)
