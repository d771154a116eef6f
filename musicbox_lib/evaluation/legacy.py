"""The prototype's skip rate (docs/method.md#the-prototype): of the tracks recommended at the middle of a session, those
that occur in the rest of the same session, and how often they were skipped there. Few do, and they are those that the
log would have played anyway, so it stands beside the counterfactual estimates for comparison with the prototype only.
As in the prototype the slate is the three likeliest tracks; equal ones share a place (`blocks.slates.top_shares`),
so counts of them are expected numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.slates import top_shares
from musicbox_lib.policies.steps import first_of_equals

if TYPE_CHECKING:
    import pyarrow as pa

    from musicbox_lib.blocks.candidates import Candidates

Counts = npt.NDArray[np.float64]
"""(n, 4): tracks recommended, those in the rest of the session, those of them with a label, those of them skipped."""

SLOTS = 3
UNLABELLED = -1


@dataclass(frozen=True)
class Legacy:
    """Counts over sessions, additive."""

    recommended: float = 0.0
    matched: float = 0.0
    labelled: float = 0.0
    skipped: float = 0.0

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


def matches(candidates: Candidates, rest: Rest, catalogue: Catalogue) -> Counts:
    """Counts per session of the three likeliest candidates (n, C). A track that comes twice in the rest counts by its
    first answer."""
    later = first_of_equals(rest.padded(catalogue.positions(rest.tracks)))
    skips = rest.padded(rest.skips)
    shares = top_shares(candidates, SLOTS)
    places = np.zeros(later.shape)
    for at in range(later.shape[1]):
        here = (candidates.tracks == later[:, at, None]) & (later[:, at, None] >= 0)
        places[:, at] = np.where(here, shares, 0.0).sum(axis=1)
    return np.column_stack(
        [
            shares.sum(axis=1),
            places.sum(axis=1),
            np.where(skips >= 0, places, 0.0).sum(axis=1),
            np.where(skips > 0, places, 0.0).sum(axis=1),
        ]
    )


def logged(rest: Rest) -> Counts:
    """Counts of the three plays that the log itself put there."""
    skips = rest.padded(rest.skips)[:, :SLOTS]
    played = np.minimum(rest.lengths, SLOTS)
    counted = [played, played, (skips >= 0).sum(axis=1), (skips > 0).sum(axis=1)]
    return np.column_stack(counted).astype(np.float64)
