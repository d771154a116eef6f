"""Ranking measures on the full catalogue: where a policy puts the track that was played next and not skipped.

A track's rank is its place by the policy's chance of playing it next, over every track of the catalogue: one that is no
candidate has no rank, and never are there a sampled few others to be ranked among (Krichene and Rendle, KDD'20, show
what that does). Equal chances share their places: a measure is the mean over all orders of the equal ones, so no order
of ids enters it. Everything is a sum over plays, added up by user and draw as the estimators are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from musicbox_lib.blocks.candidates import Candidates
from musicbox_lib.evaluation.estimators import Interval, drawn_sums, percentiles

Floats = npt.NDArray[np.float64]

DEPTHS = (3, 20)
"""A slate, and the longest session."""
MEASURES = ("hit_rate_3", "hit_rate_20", "ndcg_20", "mrr")
COLUMNS = 1 + len(MEASURES)


@dataclass(frozen=True)
class RankSums:
    """A policy's ranking sums over plays, additive over disjoint sets of users."""

    users: int
    totals: Floats
    """(5,) plays, then the measures of each play in the order of MEASURES."""
    drawn: Floats
    """(draws, 5) the same for each bootstrap draw."""

    @classmethod
    def zeros(cls, draws: int) -> RankSums:
        """The sums of no play."""
        return cls(0, np.zeros(COLUMNS), np.zeros((draws, COLUMNS)))

    def __add__(self, other: RankSums) -> RankSums:
        return RankSums(self.users + other.users, self.totals + other.totals, self.drawn + other.drawn)

    @property
    def plays(self) -> int:
        """Plays summed."""
        return int(self.totals[0])


def measures_of(candidates: Candidates, played: npt.NDArray[np.int32]) -> Floats:
    """(n, 4) hit at 3, hit at 20, NDCG at 20 and reciprocal rank of the track played next in each context, `played`
    (n,) positions (-1: unknown to the catalogue); 0 where it is no candidate. With one track to find, NDCG is
    1 / log2(1 + rank)."""
    chances = np.where(candidates.tracks >= 0, np.round(candidates.probabilities, 12), -1.0)
    same = (candidates.tracks == played[:, None]) & (played >= 0)[:, None]
    own = np.where(same, chances, 0.0).sum(axis=1)
    found = same.any(axis=1) & (own > 0)
    above = (chances > own[:, None]).sum(axis=1)
    equal = np.maximum((chances == own[:, None]).sum(axis=1), 1)
    last = above + equal
    ranks = np.arange(1, int(last.max(initial=1)) + 1)
    columns = [
        *((ranks <= depth).astype(np.float64) for depth in DEPTHS),
        np.where(ranks <= DEPTHS[-1], 1 / np.log2(1 + ranks), 0.0),
        1 / ranks,
    ]
    up_to = [np.concatenate([[0.0], np.cumsum(column)]) for column in columns]
    shared = np.column_stack([(sums[last] - sums[above]) / equal for sums in up_to])
    return np.where(found[:, None], shared, 0.0)


def rank_sums_of(policies: Sequence[Floats], keys: npt.NDArray[np.uint64], *, seed: int, draws: int) -> list[RankSums]:
    """Each policy's sums over the same n plays; a policy is what `measures_of` gave, `keys` (n,) whose play it is."""
    columns = [column for one in policies for column in (np.ones(len(keys)), *one.T)]
    users, totals, drawn = drawn_sums(columns, keys, seed=seed, draws=draws)
    return [
        RankSums(users, totals[at : at + COLUMNS], drawn[:, at : at + COLUMNS])
        for at in range(0, len(columns), COLUMNS)
    ]


def rank_measures(sums: RankSums) -> Mapping[str, Interval]:
    """Each measure's mean over plays with its interval; nothing where there is no play."""
    if not sums.plays:
        return {}
    means, drawn = _means(sums.totals), _means(sums.drawn)
    return {name: percentiles(means[at], drawn[:, at]) for at, name in enumerate(MEASURES)}


def rank_differences(policy: RankSums, versus: RankSums) -> Mapping[str, Interval]:
    """`policy` less `versus` for each measure with a paired interval; nothing where there is no play. Both sums must
    be of the same plays, seed and draws."""
    if not policy.plays or not versus.plays:
        return {}
    gaps, drawn = _means(policy.totals) - _means(versus.totals), _means(policy.drawn) - _means(versus.drawn)
    return {name: percentiles(gaps[at], drawn[:, at]) for at, name in enumerate(MEASURES)}


def _means(sums: Floats) -> Floats:
    """(…, 5) sums to (…, 4) means; not a number in a draw that took no user at all."""
    plays = sums[..., :1]
    means: Floats = np.divide(sums[..., 1:], plays, out=np.full_like(sums[..., 1:], np.nan), where=plays > 0)
    return means
