"""The seed's skip rate: of the tracks recommended at the middle of a session, those that occur in the rest of the same
session, and how often they were skipped there. Few do, and they are those that the log would have played anyway, so it
stands beside the counterfactual estimates for comparison with the seed only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from musicbox_lib.policies.catalogue import Catalogue

if TYPE_CHECKING:
    import pyarrow as pa

Counts = npt.NDArray[np.int64]
"""(n, 4): tracks recommended, those in the rest of the session, those of them with a label, those of them skipped."""

SLOTS = 3
UNLABELLED = -1


@dataclass(frozen=True)
class Legacy:
    """Counts over sessions, additive."""

    recommended: int = 0
    matched: int = 0
    labelled: int = 0
    skipped: int = 0

    def __add__(self, other: Legacy) -> Legacy:
        return Legacy(
            self.recommended + other.recommended,
            self.matched + other.matched,
            self.labelled + other.labelled,
            self.skipped + other.skipped,
        )

    @property
    def skip_rate(self) -> float | None:
        """Mean skip_2 of the matched tracks that carry a label; None without one."""
        return self.skipped / self.labelled if self.labelled else None

    @property
    def match_rate(self) -> float | None:
        """Share of the recommended tracks that were matched; None where nothing was recommended."""
        return self.matched / self.recommended if self.recommended else None


@dataclass(frozen=True)
class Rest:
    """The rest of n sessions as lists: `lengths` (n,), then all tracks and all skips (1, 0, or -1 without label)."""

    lengths: npt.NDArray[np.int64]
    tracks: pa.Array
    skips: npt.NDArray[np.int8]

    @classmethod
    def of(cls, tracks: pa.Array, skips: pa.Array) -> Rest:
        """From two list columns without nulls."""
        return cls(
            lengths=tracks.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64),
            tracks=tracks.flatten(),
            skips=skips.flatten().fill_null(UNLABELLED).to_numpy(zero_copy_only=False).astype(np.int8),
        )

    def padded(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Flat values as (n, longest), -1 after a list's end."""
        width = int(self.lengths.max(initial=0))
        block = np.full((len(self.lengths), width), -1, dtype=values.dtype)
        block[np.arange(width) < self.lengths[:, None]] = values
        return block


def matches(slates: npt.NDArray[np.int32], rest: Rest, catalogue: Catalogue) -> Counts:
    """Counts per session of `slates` (n, 3), positions in the catalogue, -1 pads. A track that comes twice in the rest
    counts by its first answer."""
    later, skips = rest.padded(catalogue.positions(rest.tracks)), rest.padded(rest.skips)
    if not later.shape[1]:
        return np.zeros((len(slates), 4), dtype=np.int64)
    same = (slates[:, :, None] == later[:, None, :]) & (slates >= 0)[:, :, None]
    hit = same.any(axis=2)
    answer = np.where(hit, np.take_along_axis(skips, same.argmax(axis=2), axis=1), UNLABELLED)
    return np.column_stack(
        [(slates >= 0).sum(axis=1), hit.sum(axis=1), (answer >= 0).sum(axis=1), (answer > 0).sum(axis=1)]
    )


def logged(rest: Rest) -> Counts:
    """Counts of the three plays that the log itself put there."""
    skips = rest.padded(rest.skips)[:, :SLOTS]
    played = np.minimum(rest.lengths, SLOTS)
    return np.column_stack([played, played, (skips >= 0).sum(axis=1), (skips > 0).sum(axis=1)])
