"""The prototype's skip rate: matches of slates against the rest of the session, counted by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from catalogues import candidates, likeliest, make_catalogue

from musicbox_lib.evaluation.legacy import Legacy, Rest, logged, matches


def rest(*sessions: list[tuple[str, int]]) -> Rest:
    return Rest.of(
        pa.array([[track for track, _ in plays] for plays in sessions], pa.list_(pa.string())),
        pa.array([[skip for _, skip in plays] for plays in sessions], pa.list_(pa.int32())),
    )


def test_recommended_tracks_are_matched_with_the_rest_of_their_session() -> None:
    """Session 1: t001 (skipped first, heard later: the first answer counts) and t002 match. Session 2: t003 matches
    without a label; a track that the catalogue does not know matches nothing, nor does an empty place."""
    later = rest([("t001", 1), ("t002", 0), ("t001", 0)], [("unknown", 1), ("t003", -1)])
    counts = matches(likeliest([[1, 2, 3, 4], [3, -1, 0, -1]]), later, make_catalogue(5))
    assert counts.tolist() == [[3, 2, 2, 1], [2, 1, 0, 0]]


def test_equal_candidates_share_the_last_places() -> None:
    """t000 is sure of its place; t001 to t004 share the other two, a half each. t001 (skipped) and t002 occur."""
    found = candidates([[0, 1, 2, 3, 4]], [[0.6, 0.1, 0.1, 0.1, 0.1]])
    assert matches(found, rest([("t001", 1), ("t002", 0)]), make_catalogue(5)).tolist() == [[3, 1.0, 1.0, 0.5]]


def test_rates_leave_out_what_is_not_there() -> None:
    counted = Legacy(3, 2, 2, 1) + Legacy(2, 1, 0, 0)
    assert counted.skip_rate == pytest.approx(0.5)
    assert counted.match_rate == pytest.approx(3 / 5)
    assert (Legacy().skip_rate, Legacy().match_rate) == (None, None)


def test_the_log_recommends_its_own_next_three() -> None:
    assert logged(rest([("t001", 1), ("t002", 0), ("t003", -1), ("t004", 1)], [("t001", 0)])).tolist() == [
        [3, 3, 2, 1],
        [1, 1, 1, 0],
    ]


def test_no_sessions_give_no_counts() -> None:
    assert matches(likeliest(np.zeros((0, 3))), rest(), make_catalogue(2)).shape == (0, 4)
