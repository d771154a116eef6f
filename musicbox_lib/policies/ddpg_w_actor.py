"""The trained actor without its helpers: what the truth is asked, and no report."""

from __future__ import annotations

import numpy as np

from musicbox_lib.blocks.candidates import SOURCES, Candidates
from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.blocks.state import encode_states
from musicbox_lib.policies.base import ActorCritic, ModelPolicy
from musicbox_lib.policies.ddpg_w import CELLS, DdpgW
from musicbox_lib.policies.steps import LIMIT, drop_heard, highest, soften


class ActorAlone(ModelPolicy):
    """The actor's nearest tracks and nothing else, as the small projects of this kind recommend: what the critics, the
    neighbours and the popular tracks add is the difference to `DdpgW`."""

    name = "ddpg_w_actor"
    label = "DDPG-W, actor alone"
    folder = DdpgW.folder

    def __init__(self, model: ActorCritic, catalogue: Catalogue) -> None:
        super().__init__(model, catalogue)
        self._actions = catalogue.actions

    def propose(self, contexts: ContextBlock) -> Candidates:
        """The LIMIT unheard tracks of greatest inner product with the actor's vector; score = that product."""
        serving = self.model.serving
        step = max(1, CELLS // max(len(self.catalogue), 1))
        parts = []
        for at in range(0, max(len(contexts), 1), step):
            block = contexts.take(slice(at, at + step))
            products = np.round(self.model.actor(encode_states(block, self.catalogue)) @ self._actions.T, 5)
            nearest = highest(products, LIMIT).astype(np.int32)
            parts.append((drop_heard(nearest, block), np.take_along_axis(products, nearest, axis=1)))
        tracks, scores = (np.concatenate([part[place] for part in parts]) for place in range(2))
        return Candidates(
            tracks=tracks.astype(np.int32),
            scores=scores.astype(np.float32),
            probabilities=soften(tracks, scores, serving.temperature, serving.explore),
            sources=np.full(tracks.shape, SOURCES.index("actor"), dtype=np.int8),
            explore=serving.explore,
        )
