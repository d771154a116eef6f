"""How varied slates are: what is counted of each block of slates, and the measures that follow from the counts.

Numpy only. Slates are (n, 3) catalogue positions, -1 where a place is empty; K tracks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from musicbox_lib.blocks.catalogue import Catalogue

Floats = npt.NDArray[np.float64]
Slates = npt.NDArray[np.int32]
Exposure = npt.NDArray[np.int64]

TAIL = 0.8
"""The tail is the least played 80 % of the catalogue."""


@dataclass(frozen=True)
class Tracks:
    """What the measures know of a night's tracks, by catalogue position."""

    space: str
    """audio where any track of the catalogue has audio, else embedding."""
    units: npt.NDArray[np.float32]
    """(K, d) unit vectors in that space; NaN rows for tracks that have none."""
    legacy_units: npt.NDArray[np.float32] | None
    """(K, 8) unit vectors of the prototype's eight audio columns, unscaled; None where no track has them."""
    plays: npt.NDArray[np.int64]
    """(K,)"""

    @classmethod
    def of(cls, catalogue: Catalogue, legacy_audio: npt.NDArray[np.float32] | None) -> Tracks:
        """`legacy_audio` (K, 8) by catalogue position, NaN rows where a track has none."""
        has_audio = catalogue.audio is not None
        vectors = catalogue.audio if catalogue.audio is not None else catalogue.embedding
        return cls(
            space="audio" if has_audio else "embedding",
            units=_units(vectors),
            legacy_units=None if legacy_audio is None else _units(legacy_audio),
            plays=catalogue.plays,
        )

    def __len__(self) -> int:
        return len(self.plays)


def _units(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: npt.NDArray[np.float32] = np.divide(vectors, norms, out=np.full_like(vectors, np.nan), where=norms > 0)
    return units


@dataclass(frozen=True)
class Tally:
    """Counts over slates, additive."""

    n_slates: int
    distance: float
    """Sum over slates of 1 - mean pairwise cosine, and how many slates had a pair to measure; then the legacy one."""
    n_distance: int
    legacy_distance: float
    n_legacy: int
    repeated: int
    """Slots whose track stood in the same user's slate of the day before, and the slots that could have."""
    repeatable: int
    exposure: Exposure
    """(K,) slots per track."""

    @classmethod
    def of(cls, slates: Slates, tracks: Tracks, before: Slates | None = None) -> Tally:
        """The counts of a block of slates; `before` are the same users' slates of the day before, rows of -1 where
        there was none."""
        distance, n_distance = _distances(slates, tracks.units)
        legacy, n_legacy = (0.0, 0) if tracks.legacy_units is None else _distances(slates, tracks.legacy_units)
        repeated = repeatable = 0
        if before is not None:
            filled = (slates >= 0) & (before >= 0).any(axis=1, keepdims=True)
            again = (slates[:, :, None] == before[:, None, :]).any(axis=2)
            repeated, repeatable = int((again & filled).sum()), int(filled.sum())
        return cls(
            n_slates=int((slates >= 0).any(axis=1).sum()),
            distance=distance,
            n_distance=n_distance,
            legacy_distance=legacy,
            n_legacy=n_legacy,
            repeated=repeated,
            repeatable=repeatable,
            exposure=np.bincount(slates[slates >= 0], minlength=len(tracks)).astype(np.int64),
        )

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{name: getattr(self, name) + getattr(other, name) for name in self.__dict__})


def _distances(slates: Slates, units: npt.NDArray[np.float32]) -> tuple[float, int]:
    """Sum over slates of 1 - mean cosine of the pairs whose tracks both have a vector, and how many slates have one."""
    vectors = units[slates.clip(min=0)].astype(np.float64)
    vectors[slates < 0] = np.nan
    total, pairs = np.zeros(len(slates)), np.zeros(len(slates))
    for first in range(slates.shape[1]):
        for second in range(first + 1, slates.shape[1]):
            cosine = (vectors[:, first] * vectors[:, second]).sum(axis=1)
            known = np.isfinite(cosine)
            total += np.where(known, cosine, 0.0)
            pairs += known
    measured = pairs > 0
    return float((1 - total[measured] / pairs[measured]).sum()), int(measured.sum())


def measures(tally: Tally, tracks: Tracks) -> dict[str, Any]:
    """The columns of `reports.diversity` from `n_slates` on; null where nothing could be measured.

    diversity_ild: mean over slates of 1 - mean pairwise cosine. catalogue_coverage: distinct tracks / K.
    aggregate_diversity: distinct tracks / slots. gini: of slots over all K tracks. entropy: of slots, in bits.
    novelty: mean over slots of -log2(plays / all plays), a track without plays counting as played once. tail_share:
    slots of the least played 80 % of tracks. repetition: slots that stood in the same user's slate of the day before,
    over the slots of users who had one.
    """
    slots = int(tally.exposure.sum())
    return {
        "n_slates": tally.n_slates,
        "diversity_ild": _mean(tally.distance, tally.n_distance),
        "ild_space": tracks.space,
        "catalogue_coverage": _mean(int((tally.exposure > 0).sum()), len(tracks)),
        "aggregate_diversity": _mean(int((tally.exposure > 0).sum()), slots),
        "gini": gini(tally.exposure) if slots else None,
        "entropy": entropy(tally.exposure) if slots else None,
        "novelty": _mean(float(tally.exposure @ surprise(tracks.plays)), slots),
        "tail_share": _mean(int(tally.exposure[in_tail(tracks.plays)].sum()), slots),
        "repetition": _mean(tally.repeated, tally.repeatable),
        "legacy_diversity": _mean(tally.legacy_distance, tally.n_legacy),
    }


def _mean(total: float, count: int) -> float | None:
    return total / count if count else None


def gini(exposure: Exposure) -> float:
    """Gini index of the exposure: 0 where every track has the same, (K - 1) / K where one has all."""
    ordered = np.sort(exposure).astype(np.float64)
    ranks = np.arange(1, len(ordered) + 1)
    return float(((2 * ranks - len(ordered) - 1) * ordered).sum() / (len(ordered) * ordered.sum()))


def entropy(exposure: Exposure) -> float:
    """Entropy of the exposure in bits: log2 of the number of tracks where all have the same."""
    shares = exposure[exposure > 0] / exposure.sum()
    return float(-(shares * np.log2(shares)).sum())


def surprise(plays: npt.NDArray[np.int64]) -> Floats:
    """-log2 of each track's share of plays."""
    counted = np.maximum(plays, 1).astype(np.float64)
    return np.asarray(-np.log2(counted / counted.sum()), np.float64)


def in_tail(plays: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """The least played 80 % of tracks, of equals the later by track_id."""
    order = np.lexsort((-np.arange(len(plays)), plays))
    tail = np.zeros(len(plays), dtype=np.bool_)
    tail[order[: int(TAIL * len(plays))]] = True
    return tail
