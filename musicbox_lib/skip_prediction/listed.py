"""Which columns a skip model may see, and which it must never: one list by name, one guard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from musicbox_lib.errors import DataRefused

Block = npt.NDArray[np.float32]

LAGS = {"skip_2": 5, "skip_grade": 4, "reason_end": 4}
"""How many of the last plays are given one by one. Beyond them the weighted means say the rest."""
LAST = (
    *("reason_start", "context_type", "hour_of_day", "is_shuffle", "premium", "context_switch"),
    *("no_pause_before_play", "long_pause_before_play", "n_seekfwd", "n_seekback"),
)
"""Columns of the last play before that are given as they are."""
SHARES = {
    "skip_2": "skipped",
    "skip_grade": "grade",
    "skip_1": "skipped very early",
    "skip_3_only": "left late",
    "not_skipped": "played to its end",
    "unlabelled": "without a label",
    "ended_trackdone": "ended by itself",
    "ended_fwdbtn": "ended by the forward button",
    "ended_backbtn": "ended by the back button",
    "started_clickrow": "started by a click",
    "started_appload": "started with the app",
    "started_playbtn": "started by the play button",
    "context_switch": "after a switch of context",
    "long_pause_before_play": "after a long pause",
    "short_pause_before_play": "after a short pause",
    "n_seekfwd": "seeks forward, at most 3 counted",
    "n_seekback": "seeks back, at most 3 counted",
}
FADING = ("skip_2", "skip_grade", "skip_1", "not_skipped", "ended_fwdbtn", "ended_trackdone")
DECAYS = (0.3, 0.5, 0.7, 0.85)
"""What a play weighs less than the one after it: memories of about 1.4, 2, 3.3 and 6.7 plays. The next answer agrees
with the last in .74 of plays of the real log, and with a longer memory a level is learned that the last one hides."""

HEARD: dict[str, str] = {
    **{
        f"{name}_lag{lag}": f"{name} of the play {lag} before; null where there is none"
        for name, lags in LAGS.items()
        for lag in range(1, lags + 1)
    },
    **{f"{name}_lag1": f"{name} of the last play before" for name in LAST},
    **{f"{name}_share": f"mean over the plays before: {said}" for name, said in SHARES.items()},
    **{f"{name}_fading{decay}": f"the same with weights {decay}^age" for name in FADING for decay in DECAYS},
    "answer_changes": "share of the plays before whose skip_2 is not that of the one before them",
    "answer_run": "how many plays before in a row have the last one's skip_2, negative where it is false",
    "context_changes": "how often context_type changed between the plays before",
    "new_share": "share of the plays before whose track the session had not heard yet",
    "track_plays_share": "mean over the plays before of track_plays",
    "track_effect_share": "mean over the plays before of track_effect",
    "above_tracks": "mean over the plays before of skip_2 less track_effect",
}
"""Of the plays before: of the session's first half in the challenge, of every earlier play in the next-play task."""
TRACK: dict[str, str] = {
    "track_plays": "log(1 + labelled plays of the track by users of other folds)",
    "track_effect": "skip_2 of those plays less their sessions' means, shrunk; 0 for a track nobody else played",
    "track_plays_before": "track_plays of the play before",
    "track_effect_before": "track_effect of the play before",
}
REPEATS: dict[str, str] = {
    "session_position": "the play's place, from 1",
    "repeats": "how often the answered plays before had this track",
    "repeats_skipped": "mean skip_2 of those; null where there are none",
    "repeat_ago": "plays since the last of those; null where there is none",
    "repeat_grade": "skip_grade of the last of those",
    "repeat_reason_end": "reason_end of the last of those",
    "since_track": "plays since the session last had this track; 30 where it had not",
    "since_track_before": "since_track of the play before",
}
AHEAD: dict[str, str] = {
    "session_length": "plays of the session",
    "is_longest": "whether that is 20, where the dataset cuts sessions",
    "n_answered": "plays of the first half",
    "place_in_half": "the play's place in the second half, from 0",
    "plays_left": "plays from this one to the session's end",
    "unanswered_repeats": "how often the second half had this track before",
    "later_repeats": "how often the session has this track later",
    "until_track": "plays until the session next has this track; 30 where it has not",
    "until_track_before": "until_track of the play before",
    "since_track_next": "since_track of the next play",
    "until_track_next": "until_track of the next play",
    "since_track_after_next": "since_track of the play after the next",
    "new_share_ahead": "share of the second half's plays whose track the session had not had",
    "track_plays_next": "track_plays of the next play",
    "track_effect_next": "track_effect of the next play",
    "track_plays_ahead": "mean of track_plays over the second half",
    "track_effect_ahead": "mean of track_effect over the second half",
}
"""The challenge gives the tracks and the number of the second half's plays at once, so what comes later is known."""
CHOSEN: dict[str, str] = {
    "context_type_own": "context_type of the play itself",
    "is_shuffle_own": "is_shuffle of the play itself",
    "premium_own": "premium of the play itself",
    "same_context": "whether context_type is that of the play before",
    "same_shuffle": "whether is_shuffle is that of the play before",
}
"""Known when the next play is chosen."""
SECOND_HALF: dict[str, str] = {**HEARD, **TRACK, **REPEATS, **AHEAD}
NEXT_PLAY: dict[str, str] = {**HEARD, **TRACK, **REPEATS, **CHOSEN}

LEAKS: dict[str, str] = {
    "reason_end": "all but states the play's own label",
    "reason_start_next": "repeats the play's own reason_end",
    "reason_start": "of a play that the challenge tells nothing of but its track",
    "hour_of_day": "is noted when the play ends: where it moved on, .02 of plays were skipped, elsewhere .54",
    "date": "is noted when the play ends",
    "n_seekfwd": "happens during the play",
    "n_seekback": "happens during the play",
    "no_pause_before_play": "of a play that the challenge tells nothing of but its track",
    "short_pause_before_play": "of a play that the challenge tells nothing of but its track",
    "long_pause_before_play": "of a play that the challenge tells nothing of but its track",
    "context_switch": "of a play that the challenge tells nothing of but its track",
    **dict.fromkeys(("skip_1", "skip_2", "skip_3", "not_skipped", "skip_grade"), "is the label, or a grade of it"),
}
"""Columns of the play itself, and with `_next` of a later one, that give its label away. Measured on the real log."""


@dataclass(frozen=True)
class Features:
    """Values (n, F) float32, NaN where unknown, with the name of each column."""

    names: tuple[str, ...]
    values: Block


def require_listed(names: Iterable[str], listed: Mapping[str, str]) -> None:
    """Raise DataRefused unless every column is on the list and none gives the label away."""
    for name in names:
        leak = name if name in LEAKS else name.removesuffix("_next")
        if leak in LEAKS:
            raise DataRefused(f"skip_prediction: column {name} is a leak, it {LEAKS[leak]}: take it out.")
        if name not in listed:
            raise DataRefused(
                f"skip_prediction: column {name} is not on the list of leak-free features: say there where it "
                "comes from, or take it out."
            )
