"""What each context adds to the logit in one generated world."""

from __future__ import annotations

import numpy as np

from musicbox_lib.synthetic.listeners import draw_listeners
from musicbox_lib.synthetic.policy import affinities, policy_probabilities
from musicbox_lib.synthetic.tracks import Tracks, unit
from musicbox_lib.synthetic.world import Floats, World, generator, noise

LEVEL_STREAM = 2
_MOODS = 1_000
# A number beyond any listener's: the sample shares no random numbers with the listeners of the world.
_SAMPLE = 2**31 - 1
_BLOCK_CELLS = 2_000_000


def context_levels(world: World, tracks: Tracks, seed: int) -> Floats:
    """Logits (contexts,): the calibrated effect, less what the logging policy's own choice contributes there, which
    is the mean of -affinity_weight (<mood, track> - affinity_centre) - quality over 1,000 moods of this world once
    all its tracks have come.

    So one calibration holds for any catalogue: among 300 tracks a mood finds a worse match than among 50,000, and
    the charts of one world are better than another's.
    """
    listeners = draw_listeners(world, tracks, _SAMPLE, _MOODS, seed)
    around = noise(generator(seed, LEVEL_STREAM), world.mood_spread, _MOODS, world.dimension)
    moods = unit(listeners.taste + around)
    complete = len(tracks.releases) - 1
    total = np.zeros(len(world.contexts))
    block = max(1, _BLOCK_CELLS // tracks.size)
    for start in range(0, _MOODS, block):
        affinity = affinities(moods[start : start + block], tracks)
        gain = world.affinity_weight * (affinity - world.affinity_centre) + tracks.quality
        for context in range(len(world.contexts)):
            every = np.full(len(affinity), context)
            chances = policy_probabilities(world, tracks, affinity, every, np.full(len(affinity), complete))
            total[context] += float((chances * gain).sum())
    return np.asarray(world.context_effect) + total / _MOODS
