"""What a policy's skip rate would have been on somebody else's plays: IPS, SNIPS and doubly robust estimates.

A play with context x, track a and propensity p(a|x) gets the weight w = pi(a|x) / p(a|x); r is 1 where it was skipped.

    DM          mean of m(x) = sum over a of pi(a|x) q(x, a), q being a reward model (the direct method)
    IPS         sum(w r) / n
    SNIPS       sum(w r) / sum(w)
    DR          mean of m(x) + w (r - q(x, a))
    clipped DR  the same with min(w, 10): less noise, and a bias towards DM

Everything is a ratio of sums over users, so a night is worked off in blocks: each block gives its sums once as they are
and once for each bootstrap draw, and the sums are added up. A draw takes each user Poisson(1) times, by a hash of user,
seed and draw: the same draw means the same users for every policy, so differences are paired, and memory does not grow
with the users.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

import numpy as np
import numpy.typing as npt

from musicbox_lib.blocks.draws import uniforms

Floats = npt.NDArray[np.float64]
Evidence = Literal["ok", "low_ess", "no_support", "no_propensity", "no_liked_play", "no_history"]
Measure = Literal["dm", "ips", "snips", "dr", "dr_clipped"]

DRAWS = 2000
"""Bootstrap draws of an interval (docs/method.md#estimators)."""
MIN_ESS = 100.0
MIN_ESS_SHARE = 0.02
"""No number below (docs/method.md#evidence): a handful of plays would speak for the whole policy."""
CLIP = 10.0
"""Bound of a weight in the clipped estimate: no play counts for more than ten (Bottou et al., JMLR 2013, bound theirs
where the largest few plays begin)."""
SUPPORT_DEVIATIONS = 3.29
"""Weights have mean 1 where the log can play all that the policy plays. A mean so many standard errors below 1 (one
log in 2,000 by chance) says that part of the policy lies where the log never goes."""
UNIFORM_POOL = 50
"""Uniform sessions draw a pool of 50 tracks and play them with 1/50 each."""
_TAIL = 0.025
# Poisson(1) by inversion: 1 - cdf(9) is 1e-7, so more than 9 copies of a user do not come up in 2,000 draws of 5,000.
_POISSON_1 = np.cumsum(np.exp(-1.0) / np.cumprod([1.0, *range(1, 10)]))
# Users whose draws are held at once: 256 x 2,000 doubles are 4 MB.
_USERS_AT_ONCE = 256


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval."""

    value: float
    lo: float
    hi: float


@dataclass(frozen=True)
class Estimate:
    """What the plays say of a policy; no number but `n`, `n_users` and `ess` where `evidence` is not ok."""

    n: int
    n_users: int
    ess: float
    evidence: Evidence
    intervals: Mapping[Measure, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class Sums:
    """A policy's sums over plays, additive over disjoint sets of users."""

    users: int
    weight_squares: float
    totals: Floats
    """(7,) plays, skips, w, w r, m, m + w (r - q), m + min(w, 10) (r - q)."""
    drawn: Floats
    """(draws, 7) the same for each bootstrap draw."""

    @classmethod
    def zeros(cls, draws: int) -> Sums:
        """The sums of no play."""
        return cls(0, 0.0, np.zeros(COLUMNS), np.zeros((draws, COLUMNS)))

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.users + other.users,
            self.weight_squares + other.weight_squares,
            self.totals + other.totals,
            self.drawn + other.drawn,
        )

    @property
    def plays(self) -> int:
        """Plays summed."""
        return int(self.totals[_PLAYS])

    @property
    def ess(self) -> float:
        """Effective sample size sum(w)^2 / sum(w^2); 0 where no play has weight."""
        return float(self.totals[_WEIGHT] ** 2 / self.weight_squares) if self.weight_squares > 0 else 0.0

    @property
    def amount(self) -> Evidence:
        """ok, or no_propensity or low_ess: whether there are plays enough. For weights with a bound, whose mean may be
        below 1 with all support there is."""
        if not self.plays:
            return "no_propensity"
        return "ok" if self.ess >= MIN_ESS and self.ess / self.plays >= MIN_ESS_SHARE else "low_ess"

    @property
    def evidence(self) -> Evidence:
        """ok, or why the plays do not carry a number."""
        if self.amount != "ok":
            return self.amount
        means = _divided(self.drawn[:, _WEIGHT], self.drawn[:, _PLAYS])
        most = self.totals[_WEIGHT] / self.plays + SUPPORT_DEVIATIONS * float(np.nanstd(means))
        return "ok" if most >= 1 else "no_support"


_PLAYS, _SKIPS, _WEIGHT, _WEIGHTED_SKIPS, _PREDICTED, _DOUBLY_ROBUST, _CLIPPED = range(7)
COLUMNS = 7
RATIOS: Mapping[Measure, tuple[int, int]] = {
    "dm": (_PREDICTED, _PLAYS),
    "ips": (_WEIGHTED_SKIPS, _PLAYS),
    "snips": (_WEIGHTED_SKIPS, _WEIGHT),
    "dr": (_DOUBLY_ROBUST, _PLAYS),
    "dr_clipped": (_CLIPPED, _PLAYS),
}


def weighable(propensities: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which plays may be weighed for a policy over the whole catalogue: those with a propensity above 0 that is not
    exactly 1/50.

    In a uniform session 1/50 is the chance *given* a pool of 50 tracks that nobody recorded. The chance that the pool
    had the track at all is missing from it, so E[w r] would be sum of P(a in pool) pi(a) r(a): too small, and tilted
    to the tracks that pools hold. Which sessions are uniform is drawn apart from everything else, so leaving them out
    costs a tenth of the plays and no bias; no other session gives 1/50 to the last bit.
    """
    usable: npt.NDArray[np.bool_] = np.isfinite(propensities) & (propensities > 0) & (propensities != 1 / UNIFORM_POOL)
    return usable


def poisson_counts(keys: npt.NDArray[np.uint64], seed: int, draws: int) -> npt.NDArray[np.uint8]:
    """How often each user of `keys` (n,) stands in each draw: (n, draws), Poisson with mean 1."""
    chances = uniforms(keys, seed, np.arange(draws))
    return np.searchsorted(_POISSON_1, chances, side="right").astype(np.uint8)


def sums_of(
    policies: Sequence[tuple[Floats, Floats, Floats]],
    skips: Floats,
    keys: npt.NDArray[np.uint64],
    *,
    seed: int,
    draws: int = DRAWS,
) -> list[Sums]:
    """Each policy's sums over the same n plays. A policy is (w, m, q): weights, expected skip under the policy,
    the reward model's skip of the track played; `skips` 0 or 1; `keys` whose play it is; all (n,).

    Raises ValueError for a weight below 0 or a number that is not finite.
    """
    for weights, expected, at_played in policies:
        if not all(np.isfinite(values).all() for values in (weights, expected, at_played)) or (weights < 0).any():
            raise ValueError("weights, expectations and predictions must be finite, and weights not negative.")
    columns = [
        column
        for w, m, q in policies
        for column in (
            *(np.ones_like(skips), skips, w, w * skips),
            *(m, m + w * (skips - q), m + np.minimum(w, CLIP) * (skips - q)),
        )
    ]
    n_users, totals, drawn = drawn_sums(columns, keys, seed=seed, draws=draws)
    return [
        Sums(n_users, float(weights @ weights), totals[at : at + COLUMNS], drawn[:, at : at + COLUMNS])
        for at, (weights, _, _) in zip(range(0, len(columns), COLUMNS), policies, strict=True)
    ]


def drawn_sums(
    columns: Sequence[Floats], keys: npt.NDArray[np.uint64], *, seed: int, draws: int
) -> tuple[int, Floats, Floats]:
    """How many users the n rows belong to, the sums (columns,) of each column (n,), and the same for each draw of
    users (draws, columns). Rows of one user must all be there; different users' sums can be added."""
    users, owner = np.unique(keys, return_inverse=True)
    by_user = np.column_stack([np.bincount(owner, weights=column, minlength=len(users)) for column in columns])
    drawn = np.zeros((draws, len(columns)))
    for start in range(0, len(users), _USERS_AT_ONCE):
        block = slice(start, start + _USERS_AT_ONCE)
        drawn += poisson_counts(users[block], seed, draws).T.astype(np.float64) @ by_user[block]
    return len(users), by_user.sum(axis=0), drawn


def estimate(sums: Sums) -> Estimate:
    """What the sums say; a number only where they carry it."""
    if sums.evidence != "ok":
        return Estimate(sums.plays, sums.users, sums.ess, sums.evidence)
    intervals = {measure: percentiles(_ratio(sums.totals, measure), _ratio(sums.drawn, measure)) for measure in RATIOS}
    return Estimate(sums.plays, sums.users, sums.ess, "ok", intervals)


def difference(policy: Sums, versus: Sums, measure: Measure) -> Interval | None:
    """`policy` less `versus` with a paired interval; None where either has no evidence. Both sums must be of the same
    plays, seed and draws."""
    if policy.evidence != "ok" or versus.evidence != "ok":
        return None
    return paired(policy, versus, measure)


def paired(policy: Sums, versus: Sums, measure: Measure) -> Interval:
    """`policy` less `versus` with a paired interval, whatever the evidence."""
    return percentiles(
        _ratio(policy.totals, measure) - _ratio(versus.totals, measure),
        _ratio(policy.drawn, measure) - _ratio(versus.drawn, measure),
    )


def difference_from_log(policy: Sums, measure: Measure) -> Interval | None:
    """`policy` less the plays' own skip rate with a paired interval; None where the policy has no evidence."""
    if policy.evidence != "ok":
        return None
    return percentiles(
        _ratio(policy.totals, measure) - policy.totals[_SKIPS] / policy.totals[_PLAYS],
        _ratio(policy.drawn, measure) - _divided(policy.drawn[:, _SKIPS], policy.drawn[:, _PLAYS]),
    )


def percentiles(value: Floats, drawn: Floats) -> Interval:
    """The value with the 2.5 and 97.5 % points of its draws (draws,)."""
    lo, hi = np.nanquantile(drawn, [_TAIL, 1 - _TAIL])
    return Interval(float(value), float(lo), float(hi))


def _ratio(sums: Floats, measure: Measure) -> Floats:
    above, below = RATIOS[measure]
    return _divided(sums[..., above], sums[..., below])


def _divided(above: Floats, below: Floats) -> Floats:
    """The ratio; not a number in a draw that took no user at all."""
    return cast(Floats, np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0))


def clustered_wilson(
    n: float, hits: float, n_squares: float, n_hits: float, hits_squares: float, users: int
) -> Interval:
    """Share of hits with a Wilson interval whose n is the effective one: sums over users of plays, hits, plays^2,
    plays x hits and hits^2 are all it needs, so any number of users goes through one aggregation.

    The variance is that of a ratio of per-user sums, with users / (users - 1); n_eff = p (1 - p) / variance, never
    above n; Student's t with users - 1 degrees. One user alone, or none: the interval is 0 to 1.
    Where no user differs (p is 0 or 1), n_eff is the number of users.
    """
    from scipy.stats import t

    if n <= 0:
        raise ValueError("a share of no plays has no value.")
    share = hits / n
    if users < 2:
        return Interval(share, 0.0, 1.0)
    spread = max(hits_squares - 2 * share * n_hits + share**2 * n_squares, 0.0)
    variance = spread * users / (users - 1) / n**2
    effective = min(n, share * (1 - share) / variance) if variance > 0 else float(users)
    z = float(t.ppf(1 - _TAIL, users - 1))
    centre = (share + z**2 / (2 * effective)) / (1 + z**2 / effective)
    half = z / (1 + z**2 / effective) * np.sqrt(share * (1 - share) / effective + z**2 / (4 * effective**2))
    return Interval(share, max(0.0, float(centre - half)), min(1.0, float(centre + half)))
