"""Session k-nearest neighbours: what was let play in the sessions most like the running one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.policies.base import TEMPERATURE, Arrays
from musicbox_lib.policies.fit_inputs import FitInputs
from musicbox_lib.policies.ranking import WholeCatalogue
from musicbox_lib.policies.steps import highest

if TYPE_CHECKING:
    from scipy import sparse

    from musicbox_lib.policies.training_plays import StoredSessions

NEIGHBOURS = 500
"""Sessions that have a say: of 50, 100, 300 and 1,000 the validation fold found the more the better (a direct estimate
of .461, .449, .434, .425 skips); 500 is the largest customary size (arXiv 1803.09587)."""
SIMILARITIES = 4_000_000
"""Similarities held at a time (32 MB)."""
PLAYED = np.array([1.0, 0.8, 0.6, 0.5, 0.5])
"""What a play of the running session counts in its vector, by grade 0 to 3, then unlabelled: what was played says
almost as much of a mood as how it was answered (docs/method.md#sources-of-constants)."""
_MATRICES, _PARTS = ("played", "rewards"), ("data", "indices", "indptr")


@dataclass(frozen=True)
class Sessions:
    """Stored sessions as two sparse matrices (S, K) of one pattern."""

    played: sparse.csr_matrix
    """Of unit length a row: 1 for each track heard, before scaling."""
    rewards: sparse.csr_matrix
    """What each play was worth less what a play is worth on average."""


class SessionKnn(WholeCatalogue):
    """Score = sum over the nearest stored sessions of cosine x reward above average, as a share of the row's best.
    A context without a running session takes its whole history for one."""

    name = "session_knn"
    label = "session-kNN"

    def __init__(self, catalogue: Catalogue, sessions: Sessions, temperature: float = TEMPERATURE) -> None:
        super().__init__(catalogue, temperature)
        self._sessions = sessions
        self._by_track = sessions.played.T.tocsr()

    @classmethod
    def fit(cls, inputs: FitInputs) -> Arrays:
        """The stored sessions' two matrices."""
        sessions = sessions_of(inputs.newest_sessions, len(inputs.catalogue))
        return {f"{name}_{part}": getattr(getattr(sessions, name), part) for name in _MATRICES for part in _PARTS}

    @classmethod
    def from_arrays(cls, arrays: Arrays, catalogue: Catalogue, temperature: float = TEMPERATURE) -> Self:
        """The policy of those sessions."""
        from scipy import sparse

        size = (len(arrays["played_indptr"]) - 1, len(catalogue))
        played, rewards = (
            sparse.csr_matrix(tuple(arrays[f"{name}_{part}"] for part in _PARTS), shape=size) for name in _MATRICES
        )
        return cls(catalogue, Sessions(played, rewards), temperature)

    def scores(self, contexts: ContextBlock) -> NDArray[np.float64]:
        """(n, K), -inf for tracks that no near session speaks for."""
        step = max(1, SIMILARITIES // max(self._sessions.played.shape[0], 1))
        parts = [self._block(contexts.take(slice(at, at + step))) for at in range(0, max(len(contexts), 1), step)]
        return np.concatenate(parts)

    def _block(self, contexts: ContextBlock) -> NDArray[np.float64]:
        from scipy import sparse

        n, size = len(contexts), len(self.catalogue)
        stored = self._sessions.played.shape[0]
        if not n or not stored:
            return np.full((n, size), -np.inf)
        running = (contexts.in_session | (contexts.n_in_session == 0)[:, None]) & (contexts.tracks >= 0)
        rows, places = np.nonzero(running)
        counts = PLAYED[contexts.grades[rows, places]]
        vectors = sparse.csr_matrix((counts, (rows, contexts.tracks[rows, places])), shape=(n, size))
        norms = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
        cosines = np.round((vectors @ self._by_track).toarray() / np.maximum(norms, 1e-9)[:, None], 6)
        near = highest(cosines, min(NEIGHBOURS, stored))
        strength = np.take_along_axis(cosines, near, axis=1)
        said = strength > 0
        weights = sparse.csr_matrix((strength[said], (np.nonzero(said)[0], near[said])), shape=(n, stored))
        sums = (weights @ self._sessions.rewards).toarray()
        best = sums.max(axis=1, keepdims=True, initial=0.0)
        return np.where(sums > 0, sums / np.where(best > 0, best, 1.0), -np.inf)


def sessions_of(stored: StoredSessions, tracks: int) -> Sessions:
    """The matrices of the stored sessions over a catalogue of so many tracks."""
    from scipy import sparse

    # An unlabelled play is worth what the plays are worth on average, so above it nothing.
    worth = stored.worth
    above = np.nan_to_num(worth - (np.nanmean(worth) if (stored.grades >= 0).any() else 0.0))
    at = (stored.session, stored.tracks)
    shape = (len(stored.users), tracks)
    played = sparse.csr_matrix((np.ones(len(stored.tracks)), at), shape=shape)
    played.data[:] = 1.0  # a track heard twice in a session counts once
    norms = np.sqrt(np.asarray(played.sum(axis=1)).ravel())
    scaled = sparse.diags(1 / np.maximum(norms, 1.0)) @ played
    return Sessions(played=scaled.tocsr(), rewards=sparse.csr_matrix((above, at), shape=shape))
