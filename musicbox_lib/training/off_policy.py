"""What a model in training would earn, judged by plays that another policy chose. Numpy only.

Self-normalised importance sampling (SNIPS) over logged plays of users that the fit never saw: weight = chance that the
model plays the logged track / propensity with which it was played.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from musicbox_lib.ddpg.config import Serving
from musicbox_lib.evaluation.estimators import weighable

Floats = npt.NDArray[np.float32]
MAX_WEIGHT = 50.0
"""Bound of a weight. One play in a thousand at the log's smallest propensity (.1 / 2,000 tracks) would otherwise
outweigh all others; the bound costs a little bias towards the log, the same for every step compared."""
BLOCK = 4_000_000
"""Scores held at a time (32 MB)."""


@dataclass(frozen=True)
class Logged:
    """Logged plays to judge by: n rows whose propensity is a chance over the whole catalogue."""

    states: Floats
    """(n, S)"""
    tracks: npt.NDArray[np.int64]
    """(n,) positions in the catalogue."""
    rewards: Floats
    """(n,)"""
    skips: Floats
    """(n,) skip_2, 0 or 1."""
    propensities: npt.NDArray[np.float64]
    """(n,)"""
    users: npt.NDArray[np.int64]
    """(n,) codes."""
    estimated: float
    """Share of rows whose log has no propensity, so that the track's share of all plays stands in for it. Such a
    value orders models of one night; it is no estimate of what they would earn."""

    def __len__(self) -> int:
        return len(self.tracks)


@dataclass(frozen=True)
class Value:
    """A self-normalised mean with its standard error over users and its effective sample size."""

    mean: float
    error: float
    ess: float


def logged_plays(
    rows: dict[str, npt.NDArray[Any]], positions: npt.NDArray[np.int32], play_share: npt.NDArray[np.float64]
) -> Logged:
    """The usable plays among transition rows (`positions` (n,): their tracks in the catalogue, -1 unknown).

    Left out: unknown tracks, unlabelled plays, and plays of uniform sessions, whose propensity is a chance within a
    drawn pool and not over the catalogue (`evaluation.estimators.weighable`).
    """
    propensity = rows["propensity"].astype(np.float64)
    labels = rows["skip_grade"].astype(np.float64)
    share = play_share[positions.clip(min=0)]
    given = np.isfinite(propensity) & (propensity > 0)
    usable = (positions >= 0) & np.isfinite(labels) & (share > 0) & (weighable(propensity) | ~given)
    users = np.unique(rows["user_id"][usable], return_inverse=True)[1]
    return Logged(
        states=rows["o_tm1"][usable],
        tracks=positions[usable].astype(np.int64),
        rewards=rows["r_t"][usable].astype(np.float32),
        skips=(labels[usable] >= 2).astype(np.float32),
        propensities=np.where(given, propensity, share)[usable],
        users=users.astype(np.int64),
        estimated=float(1 - given[usable].mean()) if usable.any() else 0.0,
    )


def chances_by_temperature(
    scores: npt.NDArray[np.float64], tracks: npt.NDArray[np.int64], temperatures: tuple[float, ...]
) -> npt.NDArray[np.float64]:
    """(n, T) chance of each row's logged candidate (`tracks` (n,) columns, -1: not among them) under the softmax of
    score / temperature over its (n, C) candidates."""
    at = np.take_along_axis(scores, tracks.clip(min=0)[:, None], axis=1)[:, 0]
    peak = scores.max(axis=1)
    chances = np.empty((len(scores), len(temperatures)))
    for place, temperature in enumerate(temperatures):
        total = np.exp((scores - peak[:, None]) / temperature).sum(axis=1)
        chances[:, place] = np.where(tracks >= 0, np.exp((at - peak) / temperature) / total, 0.0)
    return chances


def catalogue_chances(queries: Floats, actions: Floats, tracks: npt.NDArray[np.int64], temperature: float) -> Floats:
    """(n,) chance of each logged track when the actor alone chooses among all K: queries (n, A), actions (K, A)."""
    chances = np.empty(len(queries))
    step = max(1, BLOCK // len(actions))
    for at in range(0, len(queries), step):
        rows = slice(at, at + step)
        scores = (queries[rows] @ actions.T).astype(np.float64)
        chances[rows] = chances_by_temperature(scores, tracks[rows], (temperature,))[:, 0]
    return chances.astype(np.float32)


def self_normalised(chances: npt.NDArray[Any], logged: Logged, outcomes: npt.NDArray[Any]) -> Value:
    """SNIPS of `outcomes` (n,) under a policy that plays the logged tracks with `chances` (n,); weights are bounded
    by MAX_WEIGHT. A log without a usable row gives mean nan and ess 0."""
    weights = np.minimum(chances.astype(np.float64) / logged.propensities, MAX_WEIGHT)
    total = weights.sum()
    if total <= 0:
        return Value(float("nan"), float("nan"), 0.0)
    mean = float((weights * outcomes).sum() / total)
    by_user = np.bincount(logged.users, weights=weights * (outcomes - mean))
    return Value(mean, float(np.sqrt((by_user**2).sum()) / total), float(total**2 / (weights**2).sum()))


TEMPERATURES = (0.02, 0.03, 0.05, 0.08, 0.12, 0.2)
"""Offered to the choice: inner products of near tracks differ by .02 to .3."""
RERANK_WEIGHTS = (0.0, 0.3, 1.0)
"""Offered to the choice: Q spans about 1, as an inner product does; 0 is the actor alone."""
MIN_ESS = 50.0
"""A setting backed by fewer effective plays than that is not chosen."""


def choose_serving(
    scores_of: dict[float, tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]], logged: Logged, base: Serving
) -> tuple[Serving, Value]:
    """The temperature and the critic's weight of the largest lower bound (value less one standard error) of the
    reward on `logged`, which must be the validation fold.

    `scores_of`: by critic's weight, the candidates' scores (n, C) and the logged track's column in them (-1: none).
    Keeps `base` where no setting has MIN_ESS.
    """
    best: tuple[float, Serving, Value] | None = None
    for weight, (scores, columns) in scores_of.items():
        chances = chances_by_temperature(scores, columns, TEMPERATURES)
        for place, temperature in enumerate(TEMPERATURES):
            value = self_normalised(chances[:, place], logged, logged.rewards)
            bound = value.mean - value.error
            if value.ess >= MIN_ESS and (best is None or bound > best[0]):
                best = (bound, Serving(base.k, temperature, base.explore, weight > 0, weight), value)
    return (base, Value(float("nan"), float("nan"), 0.0)) if best is None else best[1:]
