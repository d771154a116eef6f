"""The state: what a context looks like to the actor and the critic. One function for training, scoring and
evaluation, numpy only, so that all three see the same numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import CONTEXT_TYPES, HISTORY, ContextBlock
from musicbox_lib.blocks.grades import REWARDS, UNLABELLED

ROWS = 2_000
"""Rows gathered at a time: 2,000 x 64 x 40 floats are 20 MB."""
LAST = 5
"""The shortest window, as the prototype's autoencoder read it (docs/method.md#sources-of-constants)."""
WINDOWS = 3
"""Last 5 plays, the session, all 64."""
DECAY = 0.7
"""Of the moving average of skips (docs/method.md#contexts-and-state)."""
COUNT_PRIOR = 2.0
"""Plays' worth of nothing that draws a centroid to zero and its confidence n/(n+2) to 0 while little was heard."""
SKIP_PRIOR = (0.5172, 10.0)
"""Skip rate of the dataset's mini set and the plays it weighs in a user's own rate: a user's level has a deviation of
about .2 around it (logit N(0, 1)), so its variance .04 against .25 a play makes 6; 10 is on the careful side
(docs/method.md#sources-of-constants)."""
SCALARS = 6 + 1 + 4 + 3 + len(CONTEXT_TYPES) + 2 + 1 + 1 + 2 + 1
"""Confidences, moving average, last grade, place, context, hour, shuffle, premium, user, quality of liked."""

# A play counts to the liked centroid with its reward and to the skipped one with the rest, so the two together are
# the centroid of what was played, which says as much of the taste as the answers do. Index -1 is the unlabelled
# play: half and half.
_LIKED = np.array([*REWARDS, 0.5], dtype=np.float32)


def state_dim(embedding_dim: int) -> int:
    """Length of a state for embeddings of that length."""
    return 2 * WINDOWS * embedding_dim + SCALARS


def encode_states(contexts: ContextBlock, catalogue: Catalogue) -> NDArray[np.float32]:
    """(n, state_dim(E)) states: for last 5 / session / all 64 the liked, then the skipped centroid (each drawn to
    zero while little was heard), then the scalars. Every scalar lies within about -1 to 1."""
    states = np.empty((len(contexts), state_dim(catalogue.embedding.shape[1])), dtype=np.float32)
    for first in range(0, len(contexts), ROWS):
        rows = slice(first, first + ROWS)
        states[rows] = _encode(contexts.take(rows), catalogue)
    return states


def _encode(block: ContextBlock, catalogue: Catalogue) -> NDArray[np.float32]:
    n = len(block)
    known = block.tracks >= 0
    tracks = np.where(known, block.tracks, 0)
    liked = np.where(known, _LIKED[block.grades], np.float32(0))  # (n, 64)
    skipped = np.where(known, 1 - liked, np.float32(0))
    recent = np.arange(HISTORY) >= HISTORY - LAST
    weights = np.stack(
        [side * window for window in (recent, block.in_session, np.float32(1)) for side in (liked, skipped)], axis=1
    )  # (n, 6, 64)
    sums = weights @ catalogue.embedding[tracks]  # (n, 6, E)
    counts = weights.sum(axis=2)  # (n, 6)
    centroids = sums / (counts + COUNT_PRIOR)[:, :, None]
    quality = (liked * catalogue.quality[tracks]).sum(axis=1) / (liked.sum(axis=1) + COUNT_PRIOR)
    columns = [
        centroids.reshape(n, -1),
        counts / (counts + COUNT_PRIOR),
        _moving_average(block.grades)[:, None],
        block.grades[:, -1:] == np.arange(4),
        _place(block.n_in_session),
        block.context[:, None] == np.arange(len(CONTEXT_TYPES)),
        _hour(block.hour),
        block.shuffle[:, None],
        block.premium[:, None],
        _user(block.user_plays, block.user_skips),
        # Effects on the reward are within about .3.
        3 * quality[:, None],
    ]
    return np.concatenate(columns, axis=1, dtype=np.float32)


def _moving_average(grades: NDArray[np.int8]) -> NDArray[np.float32]:
    """(n,) moving average of skip_2 less one half, -.5 to .5; unlabelled plays leave it as it was."""
    level = np.zeros(len(grades), dtype=np.float32)
    for step in range(HISTORY):
        grade = grades[:, step]
        moved = DECAY * level + (1 - DECAY) * ((grade >= 2) - np.float32(0.5))
        level = np.where(grade == UNLABELLED, level, moved)
    return level


def _place(n_in_session: NDArray[np.int32]) -> NDArray[np.float32]:
    """(n, 3) how far the session is: first play, exp(-n) as skips fall off it, share of the usual 20."""
    n = n_in_session.astype(np.float32)
    return np.stack([n == 0, np.exp(-n), np.minimum(n / 20, 1)], axis=1, dtype=np.float32)


def _hour(hour: NDArray[np.int8]) -> NDArray[np.float32]:
    """(n, 2) sine and cosine of the hour; zeros where unknown."""
    angle = hour.astype(np.float32) * np.float32(2 * np.pi / 24)
    return np.stack([np.sin(angle), np.cos(angle)], axis=1) * (hour >= 0)[:, None]


def _user(plays: NDArray[np.int64], skips: NDArray[np.int64]) -> NDArray[np.float32]:
    """(n, 2) the user's skip rate drawn to the prior, centred on it; and how much is known of the user."""
    rate, strength = SKIP_PRIOR
    shrunk = (skips + rate * strength) / (plays + strength) - rate
    return np.stack([shrunk, plays / (plays + 20 * strength)], axis=1, dtype=np.float32)
