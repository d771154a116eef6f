"""Wolpertinger selection (arXiv 1512.07679) with the trained actor and critics: the actor's point, the real tracks
around it, a word from the neighbours of what was liked, and chances over them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from musicbox_lib.blocks.candidates import SOURCES, Candidates
from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.blocks.state import encode_states
from musicbox_lib.policies.base import ActorCritic, ModelPolicy
from musicbox_lib.policies.steps import drop_heard, first_of_equals, highest, soften

CELLS = 4_000_000
"""Inner products held at a time (16 MB): contexts are worked off in blocks of CELLS / catalogue size."""
LIKED_PLAYS = 5
"""Newest plays not skipped whose neighbours become candidates: the window of the shortest centroid."""
NEIGHBOURS = 10
"""Nearest neighbours of each of them: 50 candidates beside the actor's k."""
POPULAR = 20
"""Most played tracks that are always candidates, so that a context without history has known tracks to fall to."""


class DdpgW(ModelPolicy):
    """The champion's policy over the catalogue it was trained with."""

    name = "ddpg_w"
    label = "DDPG-W (ours)"
    folder = "ddpgw"
    is_champion = True

    def __init__(self, model: ActorCritic, catalogue: Catalogue) -> None:
        super().__init__(model, catalogue)
        self._actions = catalogue.actions
        order = np.lexsort((np.arange(len(catalogue)), -catalogue.plays))
        self._popular = order[:POPULAR].astype(np.int32)

    def propose(self, contexts: ContextBlock) -> Candidates:
        """The actor's k nearest tracks, neighbours of the newest liked plays and a few popular ones, unheard; score =
        the actor's inner product, plus the critics' word where the manifest gives it one."""
        step = max(1, CELLS // max(len(self.catalogue), 1))
        blocks = [self._propose(contexts.take(slice(at, at + step))) for at in range(0, max(len(contexts), 1), step)]
        if len(blocks) == 1:
            return blocks[0]
        return Candidates(
            tracks=np.concatenate([block.tracks for block in blocks]),
            scores=np.concatenate([block.scores for block in blocks]),
            probabilities=np.concatenate([block.probabilities for block in blocks]),
            sources=np.concatenate([block.sources for block in blocks]),
            explore=blocks[0].explore,
        )

    def _propose(self, contexts: ContextBlock) -> Candidates:
        serving = self.model.serving
        states = encode_states(contexts, self.catalogue)
        # Rounded because the last bits of a matrix product depend on how many rows the block has.
        products = np.round(self.model.actor(states) @ self._actions.T, 5)
        nearest = highest(products, serving.k).astype(np.int32)
        liked = self._neighbours_of_liked(contexts)
        popular = np.tile(self._popular, (len(contexts), 1))
        tracks = drop_heard(first_of_equals(np.concatenate([nearest, liked, popular], axis=1)), contexts)
        scores = np.take_along_axis(products, tracks.clip(min=0), axis=1)
        if serving.rerank:
            scores = scores + serving.rerank_weight * self.model.critic(states, self._actions[tracks.clip(min=0)])
        chances = soften(tracks, scores, serving.temperature, serving.explore)
        origins = np.repeat(
            [SOURCES.index("actor"), SOURCES.index("item_knn"), SOURCES.index("popularity")],
            [nearest.shape[1], liked.shape[1], popular.shape[1]],
        )
        return Candidates(
            tracks=tracks,
            scores=scores.astype(np.float32),
            probabilities=chances,
            sources=np.tile(origins.astype(np.int8), (len(contexts), 1)),
            explore=serving.explore,
        )

    def _neighbours_of_liked(self, contexts: ContextBlock) -> npt.NDArray[np.int32]:
        """(n, LIKED_PLAYS x NEIGHBOURS) tracks, -1 pads."""
        liked = (contexts.grades == 0) & (contexts.tracks >= 0)
        newest = liked & (np.cumsum(liked[:, ::-1], axis=1)[:, ::-1] <= LIKED_PLAYS)
        places = np.argsort(~newest, axis=1, kind="stable")[:, :LIKED_PLAYS]
        plays = np.where(
            np.take_along_axis(newest, places, axis=1), np.take_along_axis(contexts.tracks, places, axis=1), -1
        )
        near = self.catalogue.neighbours[plays.clip(min=0)][:, :, :NEIGHBOURS]
        width = near.shape[1] * near.shape[2]
        return np.where(plays[:, :, None] >= 0, near, -1).reshape(len(contexts), width).astype(np.int32)
