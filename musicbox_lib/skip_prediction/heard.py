"""What the plays before say, for every place of a session at once: running sums over (S, 20) arrays, no loop over rows.

Index h of the second axis always describes the plays before h (the first h plays), so it can look at nothing else."""

from __future__ import annotations

import numpy as np

from musicbox_lib.skip_prediction.listed import DECAYS, FADING, LAGS, LAST, SHARES
from musicbox_lib.skip_prediction.sessions import ENDS, PLAYS, STARTS, Answers, Bools, Floats, Sessions

TRACK_PRIOR = 3.0
"""Plays at no effect that a track starts with. The real log has 25,795 tracks in 67,185 plays, most heard once or
twice: with 1, 3 and 10 the first three parts' log loss was .5806, .5806 and .5804."""
FAR = 30.0
"""Plays to or since a track that is not there: more than any session has."""
Columns = dict[str, Floats]


def shifted(values: Floats, lag: int) -> Floats:
    """(S, 20) the value `lag` plays before, after for a negative lag; NaN beyond either end."""
    moved = np.full(values.shape, np.nan)
    if lag > 0:
        moved[:, lag:] = values[:, :-lag]
    else:
        moved[:, :lag] = values[:, -lag:]
    return moved


def sum_before(values: Floats) -> Floats:
    """(S, 20) sums of the plays before; NaN counts as 0."""
    total = np.cumsum(np.nan_to_num(values), axis=1)
    return np.concatenate([np.zeros((len(values), 1)), total[:, :-1]], axis=1)


def mean_before(values: Floats) -> Floats:
    """(S, 20) means of the plays before that have a value; NaN where none has."""
    return _ratio(sum_before(values), sum_before(np.isfinite(values).astype(np.float64)))


def fading_before(values: Floats, decay: float) -> Floats:
    """(S, 20) means of the plays before, each weighing `decay` of the one after it; NaN where none has a value."""
    above, below = np.zeros((2, *values.shape))
    known = np.isfinite(values)
    for h in range(1, PLAYS):
        above[:, h] = decay * above[:, h - 1] + np.where(known[:, h - 1], values[:, h - 1], 0.0)
        below[:, h] = decay * below[:, h - 1] + known[:, h - 1]
    return _ratio(above, below)


def heard_before(sessions: Sessions) -> Columns:
    """The columns of `listed.HEARD` but those of tracks, each (S, 20) by the number of plays before."""
    skip = np.where(sessions.labelled, sessions["skip_2"], np.nan)
    said = _measured(sessions)
    found = {f"{name}_lag{lag}": shifted(said[name], lag) for name, lags in LAGS.items() for lag in range(1, lags + 1)}
    found |= {f"{name}_lag1": shifted(sessions[name], 1) for name in LAST}
    found |= {f"{name}_share": mean_before(said[name]) for name in SHARES}
    found |= {f"{name}_fading{decay}": fading_before(said[name], decay) for name in FADING for decay in DECAYS}
    found["answer_changes"] = mean_before(np.where(_both(skip), skip != shifted(skip, 1), np.nan))
    found["answer_run"] = _run(skip)
    context = sessions["context_type"]
    found["context_changes"] = sum_before(np.where(_both(context), context != shifted(context, 1), 0.0))
    found["new_share"] = mean_before(np.where(sessions.played, is_new(sessions), np.nan))
    return found


def track_columns(sessions: Sessions, answers: Answers) -> Columns:
    """The columns of `listed.TRACK` and the tracks' part of `listed.HEARD`, (S, 20), from `Answers.without`."""
    fold = sessions.folds[:, None]
    n, above = answers.n[sessions.tracks, fold], answers.above[sessions.tracks, fold]
    plays = np.where(sessions.played, np.log1p(n), np.nan)
    effect = np.where(sessions.played, above / (n + TRACK_PRIOR), np.nan)
    skip = np.where(sessions.labelled, sessions["skip_2"], np.nan)
    return {
        "track_plays": plays,
        "track_effect": effect,
        "track_plays_before": shifted(plays, 1),
        "track_effect_before": shifted(effect, 1),
        "track_plays_share": mean_before(plays),
        "track_effect_share": mean_before(effect),
        "above_tracks": mean_before(skip - effect),
    }


def is_new(sessions: Sessions) -> Bools:
    """(S, 20) whether the session had not had the play's track before."""
    new: Bools = sessions.played & ~sessions.earlier.any(axis=2)
    return new


def since_track(sessions: Sessions) -> Floats:
    """(S, 20) plays since the session last had the play's track; 30 where it had not, NaN beyond the end."""
    last = last_of(sessions.earlier)
    return np.where(sessions.played, np.where(last >= 0, np.arange(PLAYS) - last, FAR), np.nan)


def last_of(which: Bools) -> Floats:
    """(S, 20) the last position j with which[s, i, j]; -1 where there is none."""
    place = np.arange(PLAYS, dtype=np.int8)
    last: Floats = np.where(which, place, np.int8(-1)).max(axis=2).astype(np.float64)
    return last


def repeat_columns(sessions: Sessions, answered: Bools) -> Columns:
    """The columns of `listed.REPEATS`, (S, 20), where only the plays of `answered` (S, 20, 20: j's answer is known at
    i) have an answer."""
    heard = sessions.earlier & answered
    count = heard.sum(axis=2).astype(np.float64)
    labelled = (heard & sessions.labelled[:, None, :]).sum(axis=2)
    last = last_of(heard)
    there, at = last >= 0, np.maximum(last, 0).astype(np.int64)
    since = since_track(sessions)
    return {
        "session_position": np.broadcast_to(np.arange(1.0, PLAYS + 1), count.shape),
        "repeats": count,
        "repeats_skipped": _ratio(np.einsum("sij,sj->si", heard.astype(np.float64), sessions.skips), labelled),
        "repeat_ago": np.where(there, np.arange(PLAYS) - last, np.nan),
        "repeat_grade": np.where(there, np.take_along_axis(sessions["skip_grade"], at, axis=1), np.nan),
        "repeat_reason_end": np.where(there, np.take_along_axis(sessions["reason_end"], at, axis=1), np.nan),
        "since_track": since,
        "since_track_before": shifted(since, 1),
    }


def chosen_columns(sessions: Sessions) -> Columns:
    """The columns of `listed.CHOSEN`, (S, 20)."""
    context, shuffle = sessions["context_type"], sessions["is_shuffle"]
    return {
        "context_type_own": context,
        "is_shuffle_own": shuffle,
        "premium_own": sessions["premium"],
        "same_context": np.where(_both(context), context == shifted(context, 1), np.nan),
        "same_shuffle": np.where(_both(shuffle), shuffle == shifted(shuffle, 1), np.nan),
    }


def _measured(sessions: Sessions) -> Columns:
    played = sessions.played
    grade, end, start = sessions["skip_grade"], sessions["reason_end"], sessions["reason_start"]
    own = {name: sessions[name] for name in (*LAGS, *SHARES) if name in sessions.columns}
    own |= {name: np.minimum(sessions[name], 3.0) for name in ("n_seekfwd", "n_seekback")}
    own |= {f"ended_{word}": np.where(played, end == ENDS.index(word), np.nan) for word in ENDS}
    own |= {f"started_{word}": np.where(played, start == STARTS.index(word), np.nan) for word in STARTS}
    own["skip_3_only"] = np.where(np.isfinite(grade), grade == 1, np.nan)
    own["unlabelled"] = np.where(played, ~np.isfinite(grade), np.nan)
    return own


def _run(skip: Floats) -> Floats:
    run = np.zeros(skip.shape)
    for h in range(1, PLAYS):
        goes_on = (skip[:, h - 1] == skip[:, h - 2]) if h > 1 else np.zeros(len(skip), dtype=np.bool_)
        run[:, h] = np.where(np.isfinite(skip[:, h - 1]), np.where(goes_on, np.abs(run[:, h - 1]), 0) + 1, 0)
        run[:, h] *= np.where(skip[:, h - 1] == 0, -1.0, 1.0)
    return run


def _both(values: Floats) -> Bools:
    both: Bools = np.isfinite(values) & np.isfinite(shifted(values, 1))
    return both


def _ratio(above: Floats, below: Floats) -> Floats:
    ratio: Floats = np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
    return ratio
