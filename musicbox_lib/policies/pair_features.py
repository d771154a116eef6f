"""What the skip models know of a context and a track that may be played next. Numpy only.

Two forms of the same numbers: `pair_features` lists them for given tracks (training, shortlists), `linear_scores` gives
their weighted sum for every track of the catalogue without ever listing them, as one matrix product.

Nothing here that stands for a track's answers knows the answers of the context's own user: quality is taken out of the
user's fold in training (`quality_of`), and plays are counts that no answer changes (leave-one-out encodings leak the
label). The embeddings are the night's, in which every training user's sessions had a part: docs/decisions/0013.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import CONTEXT_TYPES, ContextBlock
from musicbox_lib.blocks.grades import REWARDS
from musicbox_lib.blocks.state import COUNT_PRIOR, WINDOWS, encode_states
from musicbox_lib.errors import DataRefused

if TYPE_CHECKING:
    from musicbox_lib.policies.training_plays import Plays

Floats = NDArray[np.float32]

SCALARS = (
    *(f"confidence_{window}_{side}" for window in ("last_5", "session", "all") for side in ("liked", "skipped")),
    *("streak", "last_not_skipped", "last_skip_3", "last_skip_2", "last_skip_1"),
    *("first_play", "place_falling", "place_share"),
    *(f"context_{name}" for name in CONTEXT_TYPES),
    *("hour_sine", "hour_cosine", "shuffle", "premium", "user_rate", "user_known"),
)
"""The state's scalars (blocks.state) but its last, the quality of what was liked: that one is not out of the fold."""
CENTROIDS = tuple(f"{side}_{window}" for window in ("last_5", "session", "all") for side in ("liked", "skipped"))
AUDIO = ("audio_liked_session", "audio_skipped_session", "audio_liked_all", "audio_skipped_all")
TRACK = ("quality", "log_plays")
ARTIST = ("artist_liked", "artist_skipped")
HEARD = ("heard_liked", "heard_skipped")
PAIR = (*CENTROIDS, *AUDIO, *TRACK, *ARTIST, *HEARD)
FEATURES = (*PAIR, *SCALARS)
"""Names of the P columns, those that differ between tracks first."""

ARTIST_PRIOR, HEARD_PRIOR = np.float32(2), np.float32(1)
"""Plays of an artist, or of the track itself, at which half is known of what the listener makes of it: the centroids'
own prior, and a little less for the track itself. The models give the columns their weights."""

ROWS = 5_000
"""Plays whose features are listed at a time: what is in between is 5,000 x (tracks + artists) floats, 40 MB."""

# As in blocks.state: a play counts to the liked side with its reward, to the skipped one with the rest; -1 is
# unlabelled.
_LIKED = np.array([*REWARDS, 0.5], dtype=np.float32)


def log_plays(catalogue: Catalogue) -> Floats:
    """(K,) log(1 + plays) less that of the mean track, so that it is about 0 and a new track's is negative."""
    counts = np.log1p(catalogue.plays.astype(np.float64))
    centred: Floats = (counts - np.log1p(catalogue.plays.mean() if len(catalogue) else 0.0)).astype(np.float32)
    return centred


def audio_units(catalogue: Catalogue) -> Floats:
    """(K, A) audio at length 1, zeros where a track has none; (K, 0) where no track has any."""
    if catalogue.audio is None:
        return np.zeros((len(catalogue), 0), dtype=np.float32)
    audio = np.nan_to_num(catalogue.audio)
    norms = np.linalg.norm(audio, axis=1, keepdims=True)
    units: Floats = np.divide(audio, norms, out=np.zeros_like(audio), where=norms > 0).astype(np.float32)
    return units


def quality_of(catalogue: Catalogue, tracks: NDArray[np.int32], fold: NDArray[np.int8]) -> Floats:
    """(n,) quality of the tracks (n,) as everybody but the users of those folds (n,) shows it: for training."""
    quality: Floats = catalogue.quality_by_fold[tracks, fold]
    return quality


@dataclass(frozen=True)
class Pairs:
    """The features of pairs of these contexts with tracks of the catalogue."""

    contexts: ContextBlock
    catalogue: Catalogue

    @cached_property
    def _known(self) -> NDArray[np.bool_]:
        return self.contexts.tracks >= 0

    @cached_property
    def _sides(self) -> Floats:
        """(n, 2, 64) what each play counts to the liked and to the skipped side."""
        liked = np.where(self._known, _LIKED[self.contexts.grades], np.float32(0))
        return np.stack([liked, np.where(self._known, 1 - liked, np.float32(0))], axis=1)

    @cached_property
    def _states(self) -> Floats:
        return encode_states(self.contexts, self.catalogue)

    @cached_property
    def _centroids(self) -> Floats:
        """(n, 6, E)"""
        width = self.catalogue.embedding.shape[1]
        return self._states[:, : 2 * WINDOWS * width].reshape(len(self.contexts), 2 * WINDOWS, width)

    @cached_property
    def scalars(self) -> Floats:
        """(n, SCALARS)"""
        first = self._centroids.shape[1] * self._centroids.shape[2]
        return self._states[:, first : first + len(SCALARS)]

    @cached_property
    def _audio_centroids(self) -> Floats:
        """(n, 4, A) centroids of unit audio, drawn to zero while little was heard: session, then all plays."""
        in_session = self.contexts.in_session[:, None, :]
        weights = np.concatenate([self._sides * in_session, self._sides], axis=1)  # (n, 4, 64)
        sums = weights @ audio_units(self.catalogue)[self.contexts.tracks.clip(min=0)]
        centroids: Floats = sums / (weights.sum(axis=2) + np.float32(COUNT_PRIOR))[:, :, None]
        return centroids

    def features(self, tracks: NDArray[np.int32], quality: Floats) -> Floats:
        """(n, C, P) features of tracks (n, C); their quality (n, C) is the caller's: out of the user's fold in
        training, the catalogue's own at serving."""
        n, c = tracks.shape
        catalogue = self.catalogue
        block = np.empty((n, c, len(FEATURES)), dtype=np.float32)
        block[:, :, : len(CENTROIDS)] = catalogue.embedding[tracks] @ self._centroids.transpose(0, 2, 1)
        at = len(CENTROIDS)
        block[:, :, at : at + len(AUDIO)] = audio_units(catalogue)[tracks] @ self._audio_centroids.transpose(0, 2, 1)
        at += len(AUDIO)
        block[:, :, at] = quality
        block[:, :, at + 1] = log_plays(catalogue)[tracks]
        at += len(TRACK)
        sides = self._sides.transpose(0, 2, 1)
        plays = self.contexts.tracks.clip(min=0)
        artists = catalogue.artists[tracks]
        same_artist = (artists[:, :, None] == catalogue.artists[plays][:, None, :]) & (artists >= 0)[:, :, None]
        same_track = tracks[:, :, None] == plays[:, None, :]
        for same, prior in ((same_artist, ARTIST_PRIOR), (same_track, HEARD_PRIOR)):
            counts = same.astype(np.float32) @ sides  # (n, C, 2); what is no play counts to neither side
            block[:, :, at : at + 2] = counts / (counts + prior)
            at += 2
        block[:, :, len(PAIR) :] = self.scalars[:, None, :]
        return block

    def linear_scores(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, K) the features of every track times weights (P,), quality being the catalogue's own."""
        catalogue = self.catalogue
        by_name = dict(zip(FEATURES, weights.astype(np.float32), strict=True))
        centroid = np.einsum("nie,i->ne", self._centroids, [by_name[name] for name in CENTROIDS])
        audio = np.einsum("nia,i->na", self._audio_centroids, [by_name[name] for name in AUDIO])
        of_track = by_name["quality"] * catalogue.quality + by_name["log_plays"] * log_plays(catalogue)
        of_context = self.scalars @ np.array([by_name[name] for name in SCALARS], dtype=np.float32)
        units = audio_units(catalogue)
        scores: NDArray[np.float64] = np.float64(1) * (centroid @ catalogue.embedding.T)
        scores += audio @ units.T
        scores += of_track + of_context[:, None]
        for side in range(2):
            if by_name[ARTIST[side]] and (catalogue.artists >= 0).any():
                of_artist = by_name[ARTIST[side]] * self._by(catalogue.artists, side, ARTIST_PRIOR)
                scores += np.where(catalogue.artists >= 0, of_artist[:, catalogue.artists], 0.0)
            scores += by_name[HEARD[side]] * self._by(np.arange(len(catalogue)), side, HEARD_PRIOR)
        return scores

    def _by(self, codes: NDArray[np.int64] | NDArray[np.int32], side: int, prior: np.float32) -> Floats:
        """(n, codes) plays of the history that count to that side, by what `codes` (K,) makes of their tracks, as
        n / (n + prior)."""
        n, width = len(self.contexts), max(int(codes.max(initial=-1)) + 1, 1)
        of_plays = codes[self.contexts.tracks.clip(min=0)]
        known = self._known & (of_plays >= 0)
        cells = np.arange(n, dtype=np.int64)[:, None] * width + of_plays
        counts = np.bincount(cells[known], self._sides[:, side][known], minlength=n * width).reshape(n, width)
        return (counts / (counts + prior)).astype(np.float32)


def training_features(plays: Plays, catalogue: Catalogue) -> NDArray[np.float32]:
    """(n, P) features of each play's context with the track played, its quality out of the user's fold."""
    block = np.empty((len(plays), len(FEATURES)), dtype=np.float32)
    for at in range(0, len(plays), ROWS):
        rows = slice(at, at + ROWS)
        contexts, tracks = plays.contexts.take(rows), plays.tracks[rows]
        quality = quality_of(catalogue, tracks, contexts.fold)
        block[rows] = Pairs(contexts, catalogue).features(tracks[:, None], quality[:, None])[:, 0]
    return block


def scale_of(features: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means and deviations of the columns (n, P), both (P,); a column that never varies has deviation 1."""
    mean: NDArray[np.float64] = features.mean(axis=0, dtype=np.float64)
    deviation: NDArray[np.float64] = features.std(axis=0, dtype=np.float64)
    return mean, np.where(deviation > 1e-6, deviation, 1.0)


def refuse_other_features(policy: str, names: NDArray[np.str_]) -> None:
    """Raise DataRefused for arrays of a policy that were fitted on pair features of other names."""
    if tuple(names) != FEATURES:
        raise DataRefused(f"{policy} was fitted on other features than this code has: fit the baselines again.")
