"""Measures of variety against hand-computed values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from catalogues import make_catalogue

from musicbox_lib.reports.variety import Tally, Tracks, entropy, gini, in_tail, measures, surprise


def tracks(plays: list[int] | None = None) -> Tracks:
    """Four tracks in the plane: two alike, one across, one opposite."""
    plane = np.array([[1, 0], [1, 0], [0, 1], [-1, 0]], dtype=np.float32)
    return Tracks.of(make_catalogue(4, embedding=plane, plays=plays), None)


def slates(*rows: tuple[int, int, int]) -> np.ndarray[tuple[int, int], np.dtype[np.int32]]:
    return np.array(rows, dtype=np.int32)


def test_distance_within_a_slate() -> None:
    """Cosines 1, 0, 0 -> 1 - 1/3; 0, -1 and 0 -> 1 + 1/3; a slate of two alike -> 0; of one: not measured."""
    found = measures(Tally.of(slates((0, 1, 2), (0, 2, 3), (0, 1, -1), (2, -1, -1)), tracks()), tracks())
    assert found["n_slates"] == 4
    assert found["diversity_ild"] == pytest.approx((2 / 3 + 4 / 3 + 0) / 3)
    assert found["ild_space"] == "embedding"
    assert found["legacy_diversity"] is None


def test_a_pair_without_a_vector_is_left_out() -> None:
    audio = np.array([[2, 0], [0, 3], [np.nan, np.nan], [np.nan, np.nan]], dtype=np.float32)
    on = Tracks.of(replace(make_catalogue(4), audio=audio), None)
    assert on.space == "audio"
    assert measures(Tally.of(slates((0, 1, 2)), on), on)["diversity_ild"] == pytest.approx(1.0)
    assert measures(Tally.of(slates((0, 2, 3)), on), on)["diversity_ild"] is None


def test_exposure_measures() -> None:
    """Slots: track 0 three times, 1 twice, 2 once, 3 never. Distinct 3 of 4 tracks, 3 of 6 slots.

    Gini: (-3 x 0 - 1 x 1 + 1 x 2 + 3 x 3) / (4 x 6) = 10 / 24. Entropy of 1/2, 1/3, 1/6: 1.4591 bits.
    Plays 8, 4, 2, 2 of 16: surprise 1, 2, 3, 3; novelty (3 + 4 + 3) / 6. Tail: 3 of 4 tracks, all but track 0.
    """
    on = tracks([8, 4, 2, 2])
    found = measures(Tally.of(slates((0, 1, 2), (0, 1, -1), (0, -1, -1)), on), on)
    assert found["catalogue_coverage"] == 0.75
    assert found["aggregate_diversity"] == 0.5
    assert found["gini"] == pytest.approx(10 / 24)
    assert found["entropy"] == pytest.approx(1.4591, abs=1e-4)
    assert found["novelty"] == pytest.approx(10 / 6)
    assert found["tail_share"] == 0.5
    assert found["repetition"] is None


def test_limits() -> None:
    assert gini(np.array([5, 5, 5])) == pytest.approx(0)
    assert gini(np.array([0, 0, 9])) == pytest.approx(2 / 3)
    assert entropy(np.array([4, 4, 4, 4, 0])) == pytest.approx(2)
    assert surprise(np.array([1, 0])).tolist() == [1, 1]
    assert in_tail(np.array([9, 1, 1, 1, 1])).tolist() == [False, True, True, True, True]


def test_repetition_counts_only_users_who_had_a_slate() -> None:
    """User 1 has two of three again; user 2 had none yesterday; user 3 has none of two again."""
    today, before = slates((0, 1, 2), (0, 1, 2), (2, 3, -1)), slates((1, 2, 3), (-1, -1, -1), (0, -1, -1))
    assert measures(Tally.of(today, tracks(), before), tracks())["repetition"] == pytest.approx(2 / 5)


def test_tallies_of_blocks_add_up() -> None:
    rows = slates((0, 1, 2), (0, 2, 3), (3, 1, -1))
    whole, parts = Tally.of(rows, tracks()), Tally.of(rows[:1], tracks()) + Tally.of(rows[1:], tracks())
    assert measures(parts, tracks()) == pytest.approx(measures(whole, tracks()))


def test_no_slates_measure_nothing() -> None:
    found = measures(Tally.of(np.zeros((0, 3), dtype=np.int32), tracks()), tracks())
    assert (found["n_slates"], found["gini"], found["diversity_ild"], found["tail_share"]) == (0, None, None, None)
