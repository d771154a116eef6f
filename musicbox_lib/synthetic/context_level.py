"""What each context adds to the logit in one generated world."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from musicbox_lib.synthetic.listeners import draw_listeners
from musicbox_lib.synthetic.logging_policy import affinities
from musicbox_lib.synthetic.tracks import Tracks, unit
from musicbox_lib.synthetic.world import Floats, Floats32, World, generator, noise

LEVEL_STREAM = 2
_MOODS = 1_000
# A number beyond any listener's: the sample shares no random numbers with the listeners of the world.
_SAMPLE = 2**31 - 1
# Cells of one block of moods x tracks: 1 MB of floats stays in the cache.
_BLOCK_CELLS = 250_000


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
    popular = np.exp(np.outer(world.popularity_weight, tracks.log_popularity)) * tracks.offered[-1]
    total = np.zeros(len(world.contexts))
    # One thread, as for the draws: products this small lose by more.
    with threadpool_limits(1):
        _add_gains(world, moods, tracks, popular.astype(np.float32), total)
    return np.asarray(world.context_effect) + total / _MOODS


def _add_gains(world: World, moods: Floats, tracks: Tracks, popular: Floats32, total: Floats) -> None:
    """Add to `total` (contexts,) what the policy's choice gains for each mood, summed; `popular` (contexts, K) is 0
    for what it never plays."""
    offered, quality = popular[0] > 0, tracks.quality.astype(np.float32)
    block = max(1, _BLOCK_CELLS // tracks.size)
    for start in range(0, _MOODS, block):
        affinity = affinities(moods[start : start + block], tracks)
        gain = np.float32(world.affinity_weight) * (affinity - np.float32(world.affinity_centre)) + quality
        exploring = gain @ offered.astype(np.float32) / offered.sum()
        for context, pull in enumerate(world.mood_weight):
            weights = np.exp(np.float32(pull) * affinity)
            weights *= popular[context]
            chosen = np.einsum("nk,nk->n", weights, gain) / weights.sum(axis=1)
            total[context] += ((1 - world.explore_share) * chosen + world.explore_share * exploring).sum()
