"""Coordinates of tracks from pairs of plays, with audio where there is any.

The model is that two tracks are heard together more than chance by the product of their coordinates:
c_ij / e_ij - 1 = x_i . x_j, for c_ij pairs counted and e_ij = m_i m_j / T expected by chance. It is linear in the
counts, so it has no bias where most counts are 0 or 1. A logarithm of counts has one: on a generated world of 2,500
users without audio, the 10 nearest tracks were of a track's own cluster in .051 of cases with PPMI and .059 with this
(.250 with the world's own vectors)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, eigsh
from threadpoolctl import threadpool_limits

AUDIO_COORDINATES = 18
SESSION_COORDINATES = 24
BESIDE_AUDIO = 6
"""Coordinates learned from audio, from sessions alone, and from sessions beside audio: 24 in any case. A generated
world has 16 dimensions, and audio showed all 16 of them and no more in 600 users' plays; a state holds six times
as many."""
RARE = 1_000.0
"""Pairs' worth of chance added to a track's own: about 20 plays make as many. Of 30 to 3,000 the two largest were best
on a generated world without audio (10 nearest alike by .185, .198, .202 at 300, 1,000, 3,000), and a larger one costs
the tracks that have been heard."""
TRUST_IN_AUDIO = 300.0
"""Pairs that audio's own guess of a track's coordinates weighs against its pairs: with 30 the 10 nearest of a generated
world of 600 users were alike by .450, with 300 by .575."""
FIRST_GUESS = (0.02, 20_000.0)
"""Before pairs say which audio matters, all of it does a little: the strength of the weaker directions that a generated
world's plays show, and the pairs that this guess weighs (as many as a thousand plays make)."""
LEAST = 0.05
"""Share of its strength that a direction keeps which the other half of the users does not show, so that no track with
pairs is left without coordinates."""

Block = NDArray[np.float64]


@dataclass(frozen=True)
class Pairs:
    """Counted pairs of tracks a <= b by position, sorted; a track with itself counts its plays."""

    n_tracks: int
    a: NDArray[np.int64]
    b: NDArray[np.int64]
    liked: Block
    first: Block
    second: Block

    def matrix(self, weights: Block) -> sparse.csr_matrix:
        """(K, K) symmetric counts without the diagonal."""
        apart = (self.a != self.b) & (weights > 0)
        shape = (self.n_tracks, self.n_tracks)
        above = sparse.csr_matrix((weights[apart], (self.a[apart], self.b[apart])), shape=shape)
        return (above + above.T).tocsr()


def coordinates(
    pairs: Pairs, has_audio: NDArray[np.bool_], audio: NDArray[np.float32] | None
) -> tuple[Block, NDArray[np.bool_]]:
    """(K, E) coordinates of unit norm, zero where nothing is known of a track; and (K,) which tracks have pairs.
    `audio` (tracks with audio, A) is scaled, None where none has any. E is 24. The same pairs and audio
    give the same bits."""
    # Two threads add up in another order than one.
    with threadpool_limits(limits=1):
        counts = [pairs.matrix(weights) for weights in (pairs.first + pairs.second, pairs.first, pairs.second)]
        heard = np.asarray(counts[0].sum(axis=1)).ravel() > 0
        if audio is None:
            found = _from_sessions(counts, np.zeros((pairs.n_tracks, 0)), SESSION_COORDINATES)
        else:
            scaled = np.zeros((pairs.n_tracks, audio.shape[1]))
            scaled[has_audio] = audio
            by_audio = _from_audio(counts[0], scaled, has_audio)
            found = np.concatenate([by_audio, _from_sessions(counts, by_audio, BESIDE_AUDIO)], axis=1)
    norms = np.linalg.norm(found, axis=1, keepdims=True)
    unit = np.divide(found, norms, out=np.zeros_like(found), where=norms > 1e-12)
    return np.round(unit, 6), heard


def _from_audio(counts: sparse.csr_matrix, audio: Block, has_audio: NDArray[np.bool_]) -> Block:
    """(K, 18) the directions of audio that tracks heard together share, each as long as it is shared, then moved by
    each track's own pairs: which also places the tracks without audio."""
    chance = _marginals(counts)
    total = max(chance.sum(), 1.0)
    # Tracks never heard count a little too, or a log of few plays would leave some direction without any spread.
    weight = np.where(has_audio, chance + 1.0, 0.0)
    centred = np.where(has_audio[:, None], audio - weight @ audio / weight.sum(), 0.0)
    spread = centred.T @ (centred * weight[:, None]) / weight.sum() + 1e-3 * np.eye(audio.shape[1])
    whitening = np.linalg.inv(np.linalg.cholesky(spread)).T
    white = centred @ whitening
    mean = chance @ white / total
    shared = white.T @ (counts @ white) / total - np.outer(mean, mean)
    guess, guessed_on = FIRST_GUESS
    shared = (total * shared + guessed_on * guess * np.eye(len(shared))) / (total + guessed_on)
    strength, directions = np.linalg.eigh(shared)
    kept = np.argsort(-strength, kind="stable")[:AUDIO_COORDINATES]
    scale = np.sqrt(np.maximum(strength[kept], 0.0))
    return _moved_by_pairs(counts, white @ _signed(directions[:, kept]) * scale)


def _moved_by_pairs(counts: sparse.csr_matrix, guess: Block) -> Block:
    """Each track's coordinates given those of the tracks it is heard with: ridge towards the guess, in closed form
    because m_i times one matrix is every track's own."""
    chance = _marginals(counts)
    total = max(chance.sum(), 1.0)
    spread, axes = np.linalg.eigh(guess.T @ (guess * chance[:, None]) / total)
    beyond_chance = counts @ guess - np.outer(chance, chance @ guess / total)
    moved = (beyond_chance + TRUST_IN_AUDIO * guess) @ axes / (np.outer(chance, spread) + TRUST_IN_AUDIO)
    return np.asarray(moved @ axes.T)


def _from_sessions(counts: list[sparse.csr_matrix], by_audio: Block, n: int) -> Block:
    """(K, n) the strongest directions of what audio leaves unexplained, each as strong as one half of the users shows
    what the other half gave."""
    n_found = min(n, counts[0].shape[0] - 2)
    if n_found < 1 or not counts[0].nnz:
        return np.zeros((counts[0].shape[0], n))
    strength, directions, scale = _directions(counts[0], by_audio, RARE, n_found)
    shown = np.zeros(n_found)
    for one, other in ((counts[1], counts[2]), (counts[2], counts[1])):
        if one.nnz and other.nnz:
            claimed, found, _ = _directions(one, by_audio, RARE / 2, n_found)
            seen = np.sum(found * (_surplus(other, by_audio, RARE / 2) @ found), axis=0)
            shown += np.divide(seen, 2 * claimed, out=np.zeros(n_found), where=claimed > 1e-12)
    kept = np.sqrt(np.maximum(strength, 0.0) * np.clip(shown, LEAST, 1.0))
    block = np.zeros((counts[0].shape[0], n))
    block[:, :n_found] = _signed(directions) * scale[:, None] * kept
    return block


def _directions(counts: sparse.csr_matrix, by_audio: Block, rare: float, n: int) -> tuple[Block, Block, Block]:
    """(n,) strengths, largest first, (K, n) directions, and (K,) what turns them into coordinates."""
    k = counts.shape[0]
    surplus = _surplus(counts, by_audio, rare)
    # A start of its own makes ARPACK give the same answer every time; an even one could be an answer itself.
    start = 1.0 + np.arange(k) / k
    strength, directions = eigsh(surplus, k=n, v0=start, which="LA", tol=1e-8)
    order = np.argsort(-strength, kind="stable")
    chance = _marginals(counts)
    return strength[order], directions[:, order], np.sqrt(chance.sum() / (chance + rare))


def _surplus(counts: sparse.csr_matrix, by_audio: Block, rare: float) -> LinearOperator:
    """(K, K) pairs beyond chance and beyond what audio explains, scaled by what chance lets vary."""
    chance = _marginals(counts)
    scale = 1.0 / np.sqrt(chance + rare)
    scaled = sparse.diags(scale) @ counts @ sparse.diags(scale)
    # Chance is one more coordinate, the same for every track.
    explained = np.concatenate([np.ones((len(chance), 1)), by_audio], axis=1)
    explained = explained * (scale * chance / np.sqrt(max(chance.sum(), 1.0)))[:, None]

    def times(vectors: Block) -> Block:
        return np.asarray(scaled @ vectors - explained @ (explained.T @ vectors))

    return LinearOperator(counts.shape, matvec=times, matmat=times, dtype=np.float64)


def _marginals(counts: sparse.csr_matrix) -> Block:
    return np.asarray(counts.sum(axis=1)).ravel()


def _signed(directions: Block) -> Block:
    """The directions with their largest entry positive: a solver may give either sign."""
    largest = directions[np.argmax(np.abs(directions), axis=0), np.arange(directions.shape[1])]
    return directions * np.where(largest < 0, -1.0, 1.0)
