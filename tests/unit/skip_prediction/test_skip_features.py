"""Skip models see nothing that gives the label away: by name, and by trying."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from answered_sessions import answers_of_rows, block_of, drawn_behaviour, play_rows, random_rows

from musicbox_lib.errors import DataRefused
from musicbox_lib.skip_prediction.boosting import fitted
from musicbox_lib.skip_prediction.listed import LEAKS, NEXT_PLAY, SECOND_HALF, Features, require_listed
from musicbox_lib.skip_prediction.sessions import Answers
from musicbox_lib.skip_prediction.tasks import NextPlay, SecondHalf, Task

ROWS = random_rows(60, seed=7001)
FOLDS = {f"u{number:03d}": number % 10 for number in range(30)}
OWN = 3
"""The fold whose sessions are changed."""
Row = dict[str, Any]


def features_of(task: type[SecondHalf] | type[NextPlay], rows: list[Row]) -> dict[int, tuple[Any, Features]]:
    """The judged rows of fold 3's sessions and their columns: in their own part's model and in another's training."""
    block = block_of(rows, FOLDS)
    made: Task = task(block)
    answers = answers_of_rows(rows, FOLDS, block)
    judged = made.judged_rows(block.folds == OWN)
    return {out[0]: (judged, made.features(judged, answers.without(out))) for out in ((2, 3), (6, 7))}


def changed(rows: list[Row], first: int | None, seed: int = 1) -> list[Row]:
    """Fold 3's sessions with every label and behaviour drawn anew from place `first`, or from the second half on."""
    rng = np.random.default_rng(seed)
    out = []
    for row in rows:
        start = row["session_length"] // 2 + 1 if first is None else first
        own = FOLDS[row["user_id"]] == OWN and row["session_position"] >= start
        out.append(row | (drawn_behaviour(rng) if own else {}))
    return out


@pytest.mark.parametrize("name", sorted(LEAKS))
@pytest.mark.parametrize("listed", [SECOND_HALF, NEXT_PLAY], ids=["second_half", "next_play"])
def test_a_planted_leak_is_refused(name: str, listed: dict[str, str]) -> None:
    with pytest.raises(DataRefused, match=rf"^skip_prediction: column {name} is a leak, it .*: take it out\.$"):
        require_listed([*listed, name], listed)


def test_a_leak_of_a_later_play_and_an_unknown_column_are_refused() -> None:
    with pytest.raises(DataRefused, match="column reason_end_next is a leak"):
        require_listed(["reason_end_next"], SECOND_HALF)
    with pytest.raises(DataRefused, match="column mood is not on the list"):
        require_listed(["mood"], SECOND_HALF)
    # What is to come is for the challenge alone.
    require_listed(["until_track"], SECOND_HALF)
    with pytest.raises(DataRefused, match="column until_track is not on the list"):
        require_listed(["until_track"], NEXT_PLAY)


def test_no_model_is_fitted_on_a_planted_leak() -> None:
    block = block_of(ROWS, FOLDS)
    task = NextPlay(block)
    s, h, i = task.judged_rows(np.ones(len(block), dtype=np.bool_))
    clean = task.features((s, h, i), answers_of_rows(ROWS, FOLDS, block).without(()))
    leak = block["reason_end"][s, i].astype(np.float32)[:, None]
    planted = Features((*clean.names, "reason_end"), np.concatenate([clean.values, leak], axis=1))
    with pytest.raises(DataRefused, match="column reason_end is a leak"):
        fitted(task, planted, block.skips[s, i], seed=1)


@pytest.mark.parametrize("task", [SecondHalf, NextPlay])
def test_the_columns_are_the_listed_ones(task: type[SecondHalf] | type[NextPlay]) -> None:
    (_, found), _ = features_of(task, ROWS).values()
    assert found.names == tuple(task.listed)
    assert found.values.dtype == np.float32
    # Every column says something somewhere, or it would not be there.
    constant = [name for name, column in zip(found.names, found.values.T, strict=True) if np.unique(column).size < 2]
    assert constant == []


def test_second_halves_could_be_anything_and_their_columns_stay() -> None:
    before, after = features_of(SecondHalf, ROWS), features_of(SecondHalf, changed(ROWS, None))
    for out in before:
        np.testing.assert_array_equal(before[out][1].values, after[out][1].values)
    # The same change one play sooner is seen.
    moved = features_of(SecondHalf, changed(ROWS, 5))
    assert (before[2][1].values != moved[2][1].values).any()


@pytest.mark.parametrize("place", [1, 2, 7, 10])
def test_a_play_and_what_follows_could_be_anything_and_its_columns_stay(place: int) -> None:
    """All but what is chosen with the play: its track, context, shuffle, premium. Later tracks change too."""
    chosen = {"track_id", "context_type", "is_shuffle", "premium"}
    rows = []
    for old, new in zip(ROWS, changed(ROWS, place), strict=True):
        own = FOLDS[old["user_id"]] == OWN
        if own and old["session_position"] == place:
            new |= {name: old[name] for name in chosen}
        if own and old["session_position"] > place:
            new["track_id"] = "t00"
        rows.append(new)
    before, after = features_of(NextPlay, ROWS), features_of(NextPlay, rows)
    for out in before:
        at = before[out][0][2] == place - 1
        assert at.sum() == 6
        np.testing.assert_array_equal(before[out][1].values[at], after[out][1].values[at])
        assert (before[out][1].values[~at] != after[out][1].values[~at]).any()


def test_no_track_column_knows_an_answer_of_its_own_fold() -> None:
    tracks = [name for name in SECOND_HALF if name.startswith("track_")]
    before, after = features_of(SecondHalf, ROWS), features_of(SecondHalf, changed(ROWS, 1))
    chosen = [before[2][1].names.index(name) for name in tracks]
    for out in before:
        np.testing.assert_array_equal(before[out][1].values[:, chosen], after[out][1].values[:, chosen])
    # Answers of another fold do move them, unless the model leaves that fold out.
    other = [row | (drawn_behaviour(np.random.default_rng(2)) if FOLDS[row["user_id"]] == 7 else {}) for row in ROWS]
    moved = features_of(SecondHalf, other)
    assert (before[2][1].values[:, chosen] != moved[2][1].values[:, chosen]).any()
    np.testing.assert_array_equal(before[6][1].values[:, chosen], moved[6][1].values[:, chosen])


def test_the_answers_without_folds_by_hand() -> None:
    n = np.arange(10.0)[None]
    left = Answers(n, 10 * n, -n).without((8, 9))
    # 0 + ... + 7 = 28, less the row's own fold; folds 8 and 9 are out already.
    assert left.n.tolist() == [[28 - fold if fold < 8 else 28 for fold in range(10)]]
    assert left.skips.tolist() == (10 * left.n).tolist()
    assert left.above.tolist() == (-left.n).tolist()


def test_columns_of_a_session_by_hand() -> None:
    rows = play_rows("s", "u000", ["a", "b", "a", "c", "a", "b"], [True, False, False, True, True, True])
    block = block_of(rows, {"u000": 0})
    task = SecondHalf(block)
    n = np.zeros((3, 10))
    n[0, 1], n[1, 2] = 9.0, 4.0
    found = task.features(task.judged_rows(np.ones(1, dtype=np.bool_)), Answers(n, n, n / 2).without(()))
    column = {name: values.tolist() for name, values in zip(found.names, found.values.T, strict=True)}
    # The first half is a skip of a, b heard, a heard; asked are c, a, b.
    assert column["skip_2_share"] == pytest.approx([1 / 3] * 3)
    assert column["skip_2_fading0.5"] == pytest.approx([0.25 / 1.75] * 3)
    assert column["answer_run"] == [-2.0] * 3
    assert column["answer_changes"] == [0.5] * 3
    assert column["repeats"] == [0.0, 2.0, 1.0]
    assert column["repeats_skipped"][1:] == [0.5, 0.0]
    assert np.isnan(column["repeats_skipped"][0])
    assert column["since_track"] == [30.0, 2.0, 4.0]
    assert column["plays_left"] == [3.0, 2.0, 1.0]
    assert column["new_share_ahead"] == pytest.approx([1 / 3] * 3)
    assert column["track_plays"] == pytest.approx([0.0, np.log1p(9), np.log1p(4)])
    # 4.5 above their sessions in 9 plays, and 3 plays of prior.
    assert column["track_effect"] == pytest.approx([0.0, 4.5 / 12, 2 / 7])
