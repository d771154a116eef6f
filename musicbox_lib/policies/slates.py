"""Slates drawn without replacement, each track with the exact chance of standing at its rank given the ranks above.

The chance is what tomorrow's counterfactual skip rate divides by (docs/interfaces.md), so everything that bends the
draw (diversity, one track per artist) does it as a known function of the ranks above, inside the written number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from musicbox_lib.policies.draws import keys_of, uniforms

if TYPE_CHECKING:
    from musicbox_lib.policies.catalogue import Catalogue
    from musicbox_lib.policies.interface import Candidates

# Maximal marginal relevance at lambda .1 (QUALITY 2): .1 of a score for a slate neighbour of cosine 1. Scores go
# through a softmax of temperature .05, so in log chance that is .1 / .05.
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
    tracks: npt.NDArray[np.int32],
    probabilities: npt.NDArray[np.float64],
    above: npt.NDArray[np.int32],
    spread: Spread | None,
) -> npt.NDArray[np.float64]:
    """The chance of each candidate at the next rank, given the tracks ranked above. Shapes (n, C), (n, C), (n, r) ->
    (n, C); rows sum to 1, or to 0 where no candidate is left.

    Chance = probability without the tracks above, times exp(-penalty * greatest cosine to one of them), times 0 for
    another track of one of their artists, unless the row would be left with no track at all; then rescaled.
    """
    weights = np.where(tracks >= 0, probabilities, 0.0)
    held = tracks.clip(min=0)
    for rank in range(above.shape[1]):
        weights = np.where(tracks == above[:, rank, None], 0.0, weights)
    if spread is not None and above.shape[1] > 0:
        known = above >= 0
        cosines = np.einsum("nrd,ncd->nrc", spread.vectors[above.clip(min=0)], spread.vectors[held])
        cosines = np.where(known[:, :, None], np.round(cosines.astype(np.float64), 5), 0.0)
        weights = weights * np.exp(-spread.penalty * np.maximum(cosines.max(axis=1), 0.0))
        artists = np.where(known, spread.artists[above.clip(min=0)], -1)
        own = spread.artists[held]
        taken = ((own[:, None, :] == artists[:, :, None]) & (own >= 0)[:, None, :]).any(axis=1)
        others = np.where(taken, 0.0, weights)
        weights = np.where(others.any(axis=1, keepdims=True), others, weights)
    totals = weights.sum(axis=1, keepdims=True)
    chances: npt.NDArray[np.float64] = np.divide(weights, totals, out=np.zeros_like(weights), where=totals > 0)
    return chances


def draw_slates(
    candidates: Candidates, keys: npt.NDArray[Any], seed: int, slots: int = 3, spread: Spread | None = None
) -> Slates:
    """Draw a slate for every row, rank after rank, each by `slot_chances`; `keys` (n,) are the users' ids.

    A row's slate depends on its key, the seed and its candidates alone: candidates are walked in the order of track
    positions (which is the order of track_id), whatever their order in the row.
    """
    order = np.argsort(candidates.tracks, axis=1, kind="stable")
    tracks = np.take_along_axis(candidates.tracks, order, axis=1)
    probabilities = np.take_along_axis(candidates.probabilities, order, axis=1).astype(np.float64)
    rows, words = np.arange(len(tracks)), keys_of(keys)
    above = np.full((len(tracks), 0), -1, dtype=np.int32)
    picked, propensity = [], []
    for slot in range(slots):
        chances = slot_chances(tracks, probabilities, above, spread)
        reached = np.cumsum(chances, axis=1)
        # The last candidate with a chance: where rounding leaves the sum below a draw next to 1.
        last = chances.shape[1] - 1 - np.argmax(chances[:, ::-1] > 0, axis=1)
        place = np.minimum((reached <= uniforms(words, seed, slot)[:, None]).sum(axis=1), last)
        chance = chances[rows, place]
        above = np.column_stack([above, np.where(chance > 0, tracks[rows, place], -1)]).astype(np.int32)
        picked.append(order[rows, place])
        propensity.append(chance)
    places = np.column_stack(picked)
    return Slates(
        tracks=above,
        propensity=np.column_stack(propensity),
        score=np.take_along_axis(candidates.scores, places, axis=1).astype(np.float64),
        source=np.take_along_axis(candidates.sources, places, axis=1).astype(np.int8),
    )


def probability_of(candidates: Candidates, tracks: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """The chance that the policy plays the row's given track next: (n,) positions -> (n,), 0 for a track that is not
    among the candidates or is unknown (-1)."""
    same = (candidates.tracks == tracks[:, None]) & (tracks >= 0)[:, None]
    chances: npt.NDArray[np.float64] = np.where(same, candidates.probabilities, 0.0).sum(axis=1)
    return chances
