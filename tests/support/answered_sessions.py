"""Sessions with known answers, for tests of skip prediction, without Spark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from musicbox_lib.settings import settings
from musicbox_lib.skip_prediction.sessions import FLAGS, NUMBERS, WORDS, Answers, Sessions

PLAIN: Mapping[str, Any] = {
    **dict.fromkeys(("skip_1", "is_shuffle"), False),
    **dict.fromkeys(NUMBERS, 0),
    **dict.fromkeys(FLAGS[1:4], False),
    **{"premium": True, "hour_of_day": 9, "context_type": "catalog", "reason_start": "trackdone"},
    "reason_end": "trackdone",
}


def play_rows(session: str, user: str, tracks: Sequence[str], skips: Sequence[bool | None]) -> list[dict[str, Any]]:
    """The silver rows of one session: skip_2 as given, a skip ended by the forward button, a session of its length."""
    return [
        {
            **PLAIN,
            "session_id": session,
            "user_id": user,
            "session_position": place,
            "session_length": len(tracks),
            "track_id": track,
            "skip_2": skip,
            "skip_3": skip,
            "not_skipped": None if skip is None else not skip,
            "skip_grade": None if skip is None else 2 * int(skip),
            "reason_end": "fwdbtn" if skip else "trackdone",
        }
        for place, (track, skip) in enumerate(zip(tracks, skips, strict=True), start=1)
    ]


def random_rows(sessions: int, seed: int, tracks: int = 30) -> list[dict[str, Any]]:
    """Sessions of 10 to 20 plays, two of each user, every behaviour drawn."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for number in range(sessions):
        length = int(rng.integers(10, 21))
        ids = [f"t{track:02d}" for track in rng.integers(0, tracks, length)]
        made = play_rows(f"s{number:03d}", f"u{number // 2:03d}", ids, [bool(x) for x in rng.random(length) < 0.5])
        rows += [row | drawn_behaviour(rng) for row in made]
    return rows


def drawn_behaviour(rng: np.random.Generator) -> dict[str, Any]:
    """Every column that a play's listener decides, drawn anew; a play without a grade is false in all four flags, as
    in the real log."""
    grade = int(rng.integers(-1, 4))
    return {
        **{"skip_1": grade == 3, "skip_2": grade >= 2, "skip_3": grade >= 1, "not_skipped": grade == 0},
        "skip_grade": None if grade < 0 else grade,
        "is_shuffle": bool(rng.random() < 0.5),
        "premium": bool(rng.random() < 0.5),
        **{name: int(rng.integers(0, 3)) for name in NUMBERS if name != "skip_grade"},
        **{name: str(rng.choice(words)) for name, words in WORDS.items()},
    }


def block_of(rows: Sequence[Mapping[str, Any]], fold_of_user: Mapping[str, int]) -> Sessions:
    """The rows as a block, users in the folds that the test says."""
    return Sessions.of(pa.Table.from_pylist([{**row, "fold": fold_of_user[row["user_id"]]} for row in rows]))


def answers_of_rows(rows: Sequence[Mapping[str, Any]], fold_of_user: Mapping[str, int], block: Sessions) -> Answers:
    """How tracks were answered in those rows, counted in pandas and not by `answers_by_fold`."""
    plays = pd.DataFrame(rows).dropna(subset=["skip_2"])
    plays["fold"] = plays["user_id"].map(fold_of_user)
    plays["skip"] = plays["skip_2"].astype(float)
    plays["above"] = plays["skip"] - plays.groupby("session_id")["skip"].transform("mean")
    sums = plays.groupby(["track_id", "fold"], as_index=False).agg(
        n=("skip", "size"), skips=("skip", "sum"), above=("above", "sum")
    )
    sums["n"] = sums["n"].astype(float)
    return Answers.of(pa.Table.from_pandas(sums, preserve_index=False), block.track_ids)


def real_log() -> Sessions:
    """The real log as one block; every session in fold 0, so nothing can be fitted on it."""
    plays = pd.read_csv(settings().mssd_log)
    plays.columns = plays.columns.str.replace("hist_user_behavior_", "").str.replace("track_id_clean", "track_id")
    flags = [plays[name] for name in ("skip_1", "skip_2", "skip_3", "not_skipped")]
    plays["skip_grade"] = np.select(flags, [3.0, 2.0, 1.0, 0.0], np.nan)
    plays["fold"] = 0
    return Sessions.of(pa.Table.from_pandas(plays.assign(user_id=plays["session_id"]), preserve_index=False))
