"""The judge judged: logs of generated worlds whose truth is known, through the bench that measures it in full."""

from __future__ import annotations

import numpy as np
import pytest

from bench import judge
from bench.generated_log import GeneratedLog


@pytest.fixture(scope="module")
def log() -> GeneratedLog:
    return judge.generated("default", 60, seed=3)


def test_contexts_of_a_generated_log_hold_what_came_before(log: GeneratedLog) -> None:
    [(start, contexts, skip)] = log.blocks(len(log))
    assert (start, len(contexts), skip.shape) == (0, len(log), (len(log), judge.TRACKS))
    row = int(np.flatnonzero((contexts.n_in_session == 5) & (contexts.tracks[:, -9] >= 0))[0])
    assert contexts.tracks[row, -9:].tolist() == log.track[row - 9 : row].tolist()
    assert contexts.grades[row, -9:].tolist() == log.grade[row - 9 : row].tolist()
    assert len(set(log.session[row - 5 : row + 1].tolist())) == 1
    assert log.session[row - 6] != log.session[row]
    first = log.user == log.user[row]
    assert contexts.user_plays[row] == (log.grade[:row][first[:row]] >= 0).sum()


def test_the_truth_beside_each_play_is_what_its_answers_were_drawn_from(log: GeneratedLog) -> None:
    """4,000 plays: the mean of skip_2 and of being labelled lie within four standard errors of their chances."""
    skip = np.take_along_axis(log.skip, log.track[:, None], axis=1)[:, 0].astype(np.float64)
    error = np.sqrt((skip * (1 - skip)).sum()) / len(log)
    assert log.skip_2.mean() == pytest.approx(skip.mean(), abs=4 * error)
    labelled = log.label_chances(skip)
    assert (log.grade >= 0).mean() == pytest.approx(labelled.mean(), abs=4 * np.sqrt(0.02 / len(log)))
    assert 0.97 < labelled.mean() < 0.99


def test_a_hole_in_the_support_gets_no_number() -> None:
    found = judge.support(2, seed=5)["in_the_hole"]
    assert set(found.evidence()) <= {"no_support", "low_ess"}
    assert found.held("dr") == (0, 0)


@pytest.mark.slow
def test_intervals_hold_the_truth_in_93_to_97_of_100_logs() -> None:
    """200 logs and three policies; .93 to .97 over all of them. One policy's 200 have a deviation of 1.5 %."""
    found = judge.coverage(200)
    for measure in judge.MEASURES:
        held, given = (sum(counts) for counts in zip(*(one.held(measure) for one in found.values()), strict=True))
        assert given == 600
        assert 0.93 <= held / given <= 0.97, f"{measure}: {held} of {given}"
        for name, one in found.items():
            assert one.held(measure)[0] / 200 == pytest.approx(0.95, abs=0.046), f"{name}, {measure}"
            assert abs(one.bias(measure)) < 0.008, f"{name}, {measure}"


@pytest.mark.slow
def test_where_nobody_can_be_better_hardly_anybody_claims_to_be() -> None:
    """40 null worlds and three policies: at most one in twenty claims an improvement."""
    claims = judge.null_claims(40)
    claimed, given = (sum(counts) for counts in zip(*claims.values(), strict=True))
    assert given == 120
    assert claimed / given <= 0.05, claims
