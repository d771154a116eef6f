"""What every policy gives: candidates with probabilities, and the interface itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from musicbox_lib.blocks.contexts import ContextBlock

SOURCES = ("actor", "item_knn", "popularity", "explore", "baseline")
"""Where a candidate can come from, in the order of their codes; `baseline`: a fitted baseline's own choice."""


@dataclass(frozen=True)
class Candidates:
    """What a policy would play next, C candidates a row."""

    tracks: NDArray[np.int32]
    """(n, C) positions in the catalogue, -1 pads; none of the session's heard tracks, none twice."""
    scores: NDArray[np.float32]
    """(n, C) the policy's own, comparable within a row only."""
    probabilities: NDArray[np.float64]
    """(n, C) the chance that the policy plays this track next; 0 at pads, 1 in sum."""
    sources: NDArray[np.int8]
    """(n, C) position in SOURCES."""
    explore: float = 0.0
    """The share of each row's probabilities that is even over its candidates; slates keep it at every rank."""

    def __len__(self) -> int:
        return len(self.tracks)

    def take(self, rows: slice | NDArray[Any]) -> Candidates:
        """The candidates of those rows: a slice, a mask or positions."""
        return replace(
            self, **{name: getattr(self, name)[rows] for name in ("tracks", "scores", "probabilities", "sources")}
        )


class Policy(Protocol):
    """Contexts in, candidates with probabilities out: baselines, agents and DDPG-W alike."""

    name: str

    def propose(self, contexts: ContextBlock) -> Candidates:
        """Candidates of each context, the rows in the block's order."""
        ...
