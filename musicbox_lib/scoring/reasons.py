"""Why a track stands in a slate, as a code, and which liked play speaks for it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from musicbox_lib.blocks.candidates import SOURCES
from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.blocks.slates import Slates

REASONS = (
    "near_liked_track",
    "fits_session",
    "item_knn_of_liked",
    "popular_in_catalogue",
    "exploring",
    "item_knn_of_heard",
)
"""The codes, in the order of their numbers."""
NEAR = 0.3
"""Cosine from which a track counts as near another. Two unrelated tracks of 32 coordinates have a cosine of deviation
.18 around 0, so this is beyond most pairs by chance."""

_NEAR_LIKED, _FITS, _ITEM_KNN, _POPULAR, _EXPLORING, _ITEM_KNN_HEARD = range(len(REASONS))
_REASONS = {
    "actor": _NEAR_LIKED,
    "item_knn": _ITEM_KNN,
    "popularity": _POPULAR,
    "explore": _EXPLORING,
    "baseline": _NEAR_LIKED,
}
_SPEAKS_FOR = (-1, 1)
"""Grades of plays that item-kNN counts for their neighbours too: no label, and skipped late."""
_REASON_OF_SOURCE = np.array([_REASONS[source] for source in SOURCES])


def reasons(
    slates: Slates, contexts: ContextBlock, catalogue: Catalogue
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int32]]:
    """Reason codes and the tracks they point to (-1: none), both (n, slots).

    The track pointed to is the play not skipped among the last 64 that is most similar: by session neighbourhood for
    item-kNN, by cosine of embeddings for the actor. Item-kNN also listens to plays without a label and to late skips:
    where no play that was not skipped speaks for its track, the most similar of those does. A track the actor chose
    without a liked play within NEAR fits the session; popular and exploring tracks point to nothing.
    """
    near, shared, heard = _similarities(slates.tracks, contexts, catalogue)
    codes = _REASON_OF_SOURCE[slates.source].astype(np.int8)
    by_heard = (codes == _ITEM_KNN) & (shared.max(axis=2) <= 0) & (heard.max(axis=2) > 0)
    codes = np.where(by_heard, _ITEM_KNN_HEARD, codes)
    shared = np.where(by_heard[:, :, None], heard, shared)
    by_knn = by_heard | ((codes == _ITEM_KNN) & (shared.max(axis=2) > 0))
    strength = np.where(by_knn[:, :, None], shared, near)
    # The newest of equals: plays are in order of time, so look from the end.
    place = strength.shape[2] - 1 - np.argmax(strength[:, :, ::-1], axis=2)
    best = np.take_along_axis(strength, place[:, :, None], axis=2)[:, :, 0]
    because = np.take_along_axis(contexts.tracks, place, axis=1)
    points = by_knn | ((codes == _NEAR_LIKED) & (best >= NEAR))
    codes = np.where((codes == _NEAR_LIKED) & ~points, _FITS, codes)
    codes = np.where((codes == _ITEM_KNN) & ~points, _FITS, codes)
    return codes.astype(np.int8), np.where(points, because, -1).astype(np.int32)


def _similarities(
    tracks: npt.NDArray[np.int32], contexts: ContextBlock, catalogue: Catalogue
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Of each slate track, (n, slots, 64): cosine to each liked play, else -1; neighbourhood similarity to each liked
    play, and to each that speaks for it all the same, else 0."""
    known = contexts.tracks >= 0
    liked, heard = (contexts.grades == 0) & known, np.isin(contexts.grades, _SPEAKS_FOR) & known
    plays, held = contexts.tracks.clip(min=0), tracks.clip(min=0)
    cosine = np.einsum("nse,nhe->nsh", catalogue.embedding[held], catalogue.embedding[plays]).astype(np.float64)
    shared = np.empty(cosine.shape)
    for slot in range(tracks.shape[1]):
        same = catalogue.neighbours[plays] == held[:, slot, None, None]
        shared[:, slot] = np.where(same, catalogue.similarities[plays], 0.0).max(axis=2)
    by_cosine = np.where(liked[:, None], np.round(cosine, 5), -1.0)
    return by_cosine, np.where(liked[:, None], shared, 0.0), np.where(heard[:, None], shared, 0.0)
