"""Ranking measures against places counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from catalogues import candidates, likeliest

from musicbox_lib.blocks.draws import keys_of
from musicbox_lib.evaluation.rank_measures import measures_of, rank_differences, rank_measures, rank_sums_of


def test_a_track_is_ranked_by_its_chance() -> None:
    """Places 1, 4 and 25 of 30: hits at 3: 1, 0, 0; at 20: 1, 1, 0; NDCG 1, 1 / log2(5), 0; reciprocal 1, 1/4, 1/25."""
    found = measures_of(likeliest([np.arange(30)] * 3), np.array([0, 3, 24], dtype=np.int32))
    assert found == pytest.approx(np.array([[1, 1, 1, 1], [0, 1, 1 / np.log2(5), 0.25], [0, 0, 0, 0.04]]), abs=1e-12)


def test_no_candidate_has_no_rank() -> None:
    """A track that is no candidate, one that the catalogue does not know, a candidate without a chance."""
    found = candidates([[0, 1, -1]] * 3, [[1.0, 0.0, 0.0]] * 3)
    assert measures_of(found, np.array([5, -1, 1], dtype=np.int32)).tolist() == [[0, 0, 0, 0]] * 3


def test_equal_chances_share_their_places() -> None:
    """One ahead, four equal: the four hold places 2 to 5, two of which are in the first three."""
    found = candidates([[7, 3, 9, 1, 5]], [[0.6, 0.1, 0.1, 0.1, 0.1]])
    [measured] = measures_of(found, np.array([9], dtype=np.int32))
    places = np.arange(2, 6)
    assert measured == pytest.approx([0.5, 1.0, (1 / np.log2(1 + places)).mean(), (1 / places).mean()])


def test_sums_give_means_with_intervals_and_paired_differences() -> None:
    """600 plays of 200 users: one policy always first, the other first in every second play, else nowhere."""
    first, second = np.ones((600, 4)), np.tile([[1.0] * 4, [0.0] * 4], (300, 1))
    keys = np.repeat(keys_of([f"u{number}" for number in range(200)]), 3)
    ours, theirs = rank_sums_of([first, second], keys, seed=1, draws=400)
    assert (ours.plays, ours.users) == (600, 200)
    assert {name: one.value for name, one in rank_measures(theirs).items()} == dict.fromkeys(
        ("hit_rate_3", "hit_rate_20", "ndcg_20", "mrr"), 0.5
    )
    gap = rank_differences(ours, theirs)["mrr"]
    assert gap.value == pytest.approx(0.5)
    assert 0.4 < gap.lo < 0.5 < gap.hi < 0.6
    halves = [
        rank_sums_of([second[rows]], keys[rows], seed=1, draws=400)[0] for rows in (slice(0, 300), slice(300, 600))
    ]
    added = halves[0] + halves[1]
    assert np.allclose(added.drawn, theirs.drawn)
