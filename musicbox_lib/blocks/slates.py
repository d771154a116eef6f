"""Slates drawn without replacement, each track with the exact chance of standing at its rank given the ranks above.

The chance is what tomorrow's counterfactual skip rate divides by (docs/interfaces.md), so everything that bends the
draw (diversity, one track per artist) does it as a known function of the ranks above, inside the written number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from musicbox_lib.blocks.candidates import SOURCES, Candidates
from musicbox_lib.blocks.draws import keys_of, uniforms

if TYPE_CHECKING:
    from musicbox_lib.blocks.catalogue import Catalogue

# Maximal marginal relevance at lambda .1 (docs/method.md#serving): .1 of a score for a slate neighbour of cosine 1.
# Scores go through a softmax of temperature .05, so in log chance that is .1 / .05.
MMR_LAMBDA = 0.1
MMR_TEMPERATURE = 0.05


@dataclass(frozen=True)
class Spread:
    """What keeps a slate varied: unit vectors `(K, d)` (zero rows where a track has none), artists `(K,)` as codes
    (-1 unknown), and how much log chance a track loses at cosine 1 to a track ranked above it."""

    vectors: npt.NDArray[np.float32]
    artists: npt.NDArray[np.int32]
    penalty: float = MMR_LAMBDA / MMR_TEMPERATURE

    @classmethod
    def of(cls, catalogue: Catalogue) -> Spread:
        """Audio where the catalogue has any (tracks without it are near nothing), else embeddings."""
        vectors = catalogue.embedding if catalogue.audio is None else np.nan_to_num(catalogue.audio)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        units = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
        return cls(units.astype(np.float32), catalogue.artists)


@dataclass(frozen=True)
class Slates:
    """`tracks (n, slots) int32` positions (-1 where candidates ran out), `propensity`, `score` (n, slots) float64 and
    `source (n, slots) int8`; the last three mean nothing where the track is -1."""

    tracks: npt.NDArray[np.int32]
    propensity: npt.NDArray[np.float64]
    score: npt.NDArray[np.float64]
    source: npt.NDArray[np.int8]


def slot_chances(
    candidates: Candidates, above: npt.NDArray[np.int32], spread: Spread | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The chance of each candidate at the next rank, given the tracks ranked above (n, r); and the part of it that is
    exploring. Both (n, C); chances sum to 1 a row, or to 0 where no candidate is left.

    Chance = (1 - explore) x chosen + explore x even. Chosen: the policy's own probabilities without the tracks above,
    times exp(-penalty x greatest cosine to one of them), rescaled. Even: the same for each track not above. In both
    another track of an artist above has no chance, unless the row would be left with no track at all. The two are
    rescaled apart: rescaled together, a policy sure of its first track (.94) would draw the second half at random.
    """
    tracks = candidates.tracks
    held, free = tracks.clip(min=0), tracks >= 0
    count = np.maximum(free.sum(axis=1, keepdims=True), 1)
    chosen = np.maximum(candidates.probabilities - np.where(free, candidates.explore / count, 0.0), 0.0)
    for rank in range(above.shape[1]):
        free = free & (tracks != above[:, rank, None])
    if spread is not None and above.shape[1] > 0:
        known = above >= 0
        cosines = np.einsum("nrd,ncd->nrc", spread.vectors[above.clip(min=0)], spread.vectors[held])
        cosines = np.where(known[:, :, None], np.round(cosines.astype(np.float64), 5), 0.0)
        chosen = chosen * np.exp(-spread.penalty * np.maximum(cosines.max(axis=1), 0.0))
        artists = np.where(known, spread.artists[above.clip(min=0)], -1)
        own = spread.artists[held]
        others = free & ~((own[:, None, :] == artists[:, :, None]) & (own >= 0)[:, None, :]).any(axis=1)
        # Without this a candidate of chance 0 would count as another artist's track that is left.
        drawable = np.where(others, candidates.probabilities, 0.0).any(axis=1, keepdims=True)
        free = np.where(drawable, others, free)
    chosen, even = _shares(np.where(free, chosen, 0.0)), _shares(free.astype(np.float64))
    explore = np.where(chosen.any(axis=1, keepdims=True), candidates.explore, 1.0 if candidates.explore > 0 else 0.0)
    exploring = explore * even
    return (1 - explore) * chosen + exploring, exploring


def _shares(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    totals = weights.sum(axis=1, keepdims=True)
    shares: npt.NDArray[np.float64] = np.divide(weights, totals, out=np.zeros_like(weights), where=totals > 0)
    return shares


def draw_slates(
    candidates: Candidates, keys: npt.NDArray[Any], seed: int, slots: int = 3, spread: Spread | None = None
) -> Slates:
    """Draw a slate for every row, rank after rank, each by `slot_chances`; `keys` (n,) are the users' ids.

    A row's slate depends on its key, the seed and its candidates alone: candidates are walked in the order of track
    positions (which is the order of track_id), whatever their order in the row. A track whose chance at its rank is
    mostly exploring has the source `explore`.
    """
    order = np.argsort(candidates.tracks, axis=1, kind="stable")
    ordered = Candidates(
        tracks=np.take_along_axis(candidates.tracks, order, axis=1),
        scores=np.take_along_axis(candidates.scores, order, axis=1),
        probabilities=np.take_along_axis(candidates.probabilities, order, axis=1),
        sources=np.take_along_axis(candidates.sources, order, axis=1),
        explore=candidates.explore,
    )
    rows, words = np.arange(len(order)), keys_of(keys)
    above = np.full((len(order), 0), -1, dtype=np.int32)
    picked, propensity, source = [], [], []
    for slot in range(slots):
        chances, exploring = slot_chances(ordered, above, spread)
        reached = np.cumsum(chances, axis=1)
        # The last candidate with a chance: where rounding leaves the sum below a draw next to 1.
        last = chances.shape[1] - 1 - np.argmax(chances[:, ::-1] > 0, axis=1)
        place = np.minimum((reached <= uniforms(words, seed, slot)[:, None]).sum(axis=1), last)
        chance = chances[rows, place]
        above = np.column_stack([above, np.where(chance > 0, ordered.tracks[rows, place], -1)]).astype(np.int32)
        picked.append(place)
        propensity.append(chance)
        mostly = exploring[rows, place] > chance / 2
        source.append(np.where(mostly, SOURCES.index("explore"), ordered.sources[rows, place]))
    return Slates(
        tracks=above,
        propensity=np.column_stack(propensity),
        score=np.take_along_axis(ordered.scores, np.column_stack(picked), axis=1).astype(np.float64),
        source=np.column_stack(source).astype(np.int8),
    )


def top_shares(candidates: Candidates, slots: int = 3) -> npt.NDArray[np.float64]:
    """How much of a place each candidate (n, C) has in the slate of the `slots` likeliest: 1 above, 0 below, and equal
    chances at the edge share what places are left, so that no order of ids decides. Rows sum to `slots`, or to the
    candidates there are."""
    chances = np.where(candidates.tracks >= 0, np.round(candidates.probabilities, 12), -1.0)
    width = chances.shape[1]
    place = max(width - slots, 0)
    edge = np.partition(chances, place, axis=1)[:, place, None] if width else np.zeros((len(chances), 1))
    above, equal = chances > edge, (chances == edge) & (chances >= 0)
    left = np.minimum(slots, width) - above.sum(axis=1, keepdims=True)
    shares = np.divide(
        left, equal.sum(axis=1, keepdims=True), out=np.zeros((len(chances), 1)), where=equal.any(axis=1, keepdims=True)
    )
    return np.where(above & (chances >= 0), 1.0, np.where(equal, np.minimum(shares, 1.0), 0.0))


def probability_of(candidates: Candidates, tracks: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """The chance that the policy plays the row's given track next: (n,) positions -> (n,), 0 for a track that is not
    among the candidates or is unknown (-1)."""
    same = (candidates.tracks == tracks[:, None]) & (tracks >= 0)[:, None]
    chances: npt.NDArray[np.float64] = np.where(same, candidates.probabilities, 0.0).sum(axis=1)
    return chances
