"""The state: the same moment gives the same numbers, and each number is what it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from catalogues import make_catalogue

from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock, Moment
from musicbox_lib.blocks.state import COUNT_PRIOR, DECAY, ROWS, SCALARS, encode_states, state_dim

AXES = np.eye(4, dtype=np.float32)


@pytest.fixture
def catalogue() -> Catalogue:
    return make_catalogue(4, embedding=AXES)


def contexts(**changes: Any) -> pd.DataFrame:
    row: dict[str, Any] = {
        "user_id": "ada",
        "fold": 9,
        "track_ids": ["t000", "t001", "t002"],
        "skip_grades": [0, 3, 1],
        "n_in_session": 2,
        "user_plays": 3,
        "user_skips": 1,
        "context_type": "radio",
        "hour_of_day": 6,
        "is_shuffle": True,
        "premium": False,
    }
    return pd.DataFrame([row | changes])


def parts(state: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(6, 4) centroids and the scalars of one state."""
    return state[:24].reshape(6, 4), state[24:]


def test_a_state_is_as_long_as_it_says(catalogue: Catalogue) -> None:
    states = encode_states(ContextBlock.of(contexts(), catalogue), catalogue)
    assert states.shape == (1, state_dim(4)) == (1, 24 + SCALARS)
    assert states.dtype == np.float32


def test_liked_and_skipped_centroids_by_hand(catalogue: Catalogue) -> None:
    centroids, scalars = parts(encode_states(ContextBlock.of(contexts(), catalogue), catalogue)[0])
    # Plays t000 (grade 0), t001 (grade 3), t002 (grade 1): liked 1, 0, .6; skipped 0, 1, .4.
    liked, skipped = np.array([1, 0, 0.6, 0]), np.array([0, 1, 0.4, 0])
    in_session = np.array([0, 1, 1, 0])
    for row, weights in enumerate([liked, skipped, liked * in_session, skipped * in_session, liked, skipped]):
        assert centroids[row] == pytest.approx(weights / (weights.sum() + COUNT_PRIOR))
        assert scalars[row] == pytest.approx(weights.sum() / (weights.sum() + COUNT_PRIOR))
    level = 0.0
    for skipped_2 in (0, 1, 0):
        level = DECAY * level + (1 - DECAY) * (skipped_2 - 0.5)
    assert scalars[6] == pytest.approx(level)
    assert scalars[7:11].tolist() == [0, 1, 0, 0]
    assert scalars[11:14] == pytest.approx([0, np.exp(-2), 0.1])
    assert scalars[14:20].tolist() == [0, 0, 0, 1, 0, 0]
    assert scalars[20:24] == pytest.approx([1, 0, 1, 0], abs=1e-6)


def test_an_unlabelled_play_counts_half_on_either_side(catalogue: Catalogue) -> None:
    changed = contexts(track_ids=["t003"], skip_grades=[-1], n_in_session=1)
    centroids, scalars = parts(encode_states(ContextBlock.of(changed, catalogue), catalogue)[0])
    assert centroids[:, 3] == pytest.approx([0.5 / 2.5] * 6)
    assert scalars[6] == 0 and scalars[7:11].tolist() == [0, 0, 0, 0]


def test_a_new_user_has_a_state_of_the_moment_alone(catalogue: Catalogue) -> None:
    new = contexts(track_ids=[], skip_grades=[], n_in_session=0, user_plays=0, user_skips=0, hour_of_day=None)
    state = encode_states(ContextBlock.of(new, catalogue), catalogue)[0]
    centroids, scalars = parts(state)
    assert not centroids.any() and not scalars[:11].any()
    assert scalars[11:14].tolist() == [1, 1, 0]
    assert scalars[20:22].tolist() == [0, 0]
    assert np.isfinite(state).all()


def test_a_track_that_the_catalogue_does_not_know_changes_no_centroid(catalogue: Catalogue) -> None:
    block = ContextBlock.of(contexts(track_ids=["t000", "elsewhere", "t002"]), catalogue)
    assert block.tracks[0, -3:].tolist() == [0, -1, 2]
    centroids, _ = parts(encode_states(block, catalogue)[0])
    assert not centroids[:, 1].any()


def test_arrow_slices_pandas_and_long_histories_give_the_same_block(catalogue: Catalogue) -> None:
    long = contexts(
        track_ids=[f"t00{i % 4}" for i in range(70)], skip_grades=[i % 4 for i in range(70)], n_in_session=70
    )
    frame = pd.concat([contexts(), long, contexts(premium=None)], ignore_index=True)
    whole = ContextBlock.of(frame, catalogue)
    part = ContextBlock.of(pa.Table.from_pandas(frame).slice(1, 2), catalogue)
    assert np.array_equal(whole.tracks[1:], part.tracks) and np.array_equal(whole.grades[1:], part.grades)
    assert whole.n_in_session.tolist() == [2, 64, 2]
    assert whole.tracks[1].tolist() == [i % 4 for i in range(6, 70)]
    assert not whole.premium[2]


def test_rows_do_not_depend_on_the_block_they_are_in(catalogue: Catalogue) -> None:
    frame = pd.concat([contexts(user_plays=i, n_in_session=i % 4) for i in range(7)] * 300, ignore_index=True)
    assert len(frame) > ROWS
    states = encode_states(ContextBlock.of(frame, catalogue), catalogue)
    for row in (0, 1_999, 2_000, 2_099):
        alone = encode_states(ContextBlock.of(frame[row : row + 1], catalogue), catalogue)
        assert np.array_equal(states[row], alone[0])


def test_a_context_moved_on_is_the_context_of_the_next_play(catalogue: Catalogue) -> None:
    now = ContextBlock.of(contexts(), catalogue)
    then = contexts(
        track_ids=["t000", "t001", "t002", "t003"],
        skip_grades=[0, 3, 1, 2],
        n_in_session=3,
        user_plays=4,
        user_skips=2,
        hour_of_day=7,
        context_type="charts",
        is_shuffle=False,
        premium=True,
    )
    expected = ContextBlock.of(then, catalogue)
    moment = Moment(expected.context, expected.hour, expected.shuffle, expected.premium)
    moved = now.after(np.array([3], dtype=np.int32), np.array([2], dtype=np.int8), moment)
    for name, value in vars(expected).items():
        assert np.array_equal(getattr(moved, name), value), name


def test_positions_of_unknown_null_and_empty(catalogue: Catalogue) -> None:
    assert catalogue.positions(pa.array(["t003", None, "t0", "t000", "u"])).tolist() == [3, -1, -1, 0, -1]
    assert catalogue.positions([]).tolist() == []
