"""What a skip model must beat: the last answer again, always one answer, the track's own skip rate."""

from __future__ import annotations

import numpy as np

from musicbox_lib.blocks.folds import FOLDS
from musicbox_lib.features.quality import shrunk_rate
from musicbox_lib.skip_prediction.boosting import part_of
from musicbox_lib.skip_prediction.sessions import Answers, Bools, Floats, Sessions
from musicbox_lib.skip_prediction.tasks import Rows

CONSTANT = ("repeat_last", "always_skip", "never_skip")
"""These answer yes or no: no log loss (a sure answer that is wrong has none), no AUC, no calibration."""


def answers_of(name: str, sessions: Sessions, rows: Rows) -> Bools:
    """(n,) whether the baseline of that name answers skip; `repeat_last` takes the last label among the plays before,
    and not skipped where there is none: of the real log's first plays .38 were skipped."""
    s, h, _ = rows
    if name == "repeat_last":
        place = np.where(sessions.labelled, np.arange(1, sessions.labelled.shape[1] + 1), 0)
        latest = np.maximum.accumulate(place, axis=1)[s, np.maximum(h - 1, 0)]
        repeated: Bools = (h > 0) & (latest > 0) & (sessions.skips[s, np.maximum(latest - 1, 0)] > 0)
        return repeated
    return np.full(len(s), name == "always_skip")


def track_rates(sessions: Sessions, rows: Rows, answers: Answers) -> Floats:
    """(n,) the track's shrunk skip rate among users of the other parts."""
    s, _, i = rows
    rates = np.zeros_like(answers.n)
    for fold in range(FOLDS):
        own = tuple(int(other) for other in range(FOLDS) if part_of(np.array(other)) == part_of(np.array(fold)))
        known = answers.without(own)
        rates[:, fold] = shrunk_rate(known.skips[:, fold], known.n[:, fold])
    found: Floats = rates[sessions.tracks[s, i], sessions.folds[s]]
    return np.where(np.isfinite(found), found, 0.5)
