"""The logging policy, known exactly: what it plays, and with what propensity."""

from __future__ import annotations

import numpy as np

from musicbox_lib.synthetic.tracks import Tracks
from musicbox_lib.synthetic.world import Floats, Floats32, Ints, World


def affinities(mood: Floats, tracks: Tracks) -> Floats32:
    """<mood, track>, (n, d) -> (n, K)."""
    return np.asarray(mood.astype(np.float32) @ tracks.place.T, np.float32)


def policy_probabilities(world: World, tracks: Tracks, affinity: Floats32, context: Ints, stage: Ints) -> Floats:
    """The chance of each track as the next play, (n, K), rows sum to 1: over the tracks that the policy plays at the
    row's stage of the catalogue (n,), a softmax of `popularity_weight[context] log popularity + mood_weight[context]
    affinity`, mixed with a share `explore_share` of every such track alike. Every other track has exactly 0."""
    popular = np.asarray(world.popularity_weight, np.float32)[context, None]
    fitting = np.asarray(world.mood_weight, np.float32)[context, None]
    # Logits are at most mood_weight * 1 + 0, so exp needs no shift.
    weights = np.exp(popular * tracks.log_popularity.astype(np.float32) + fitting * affinity).astype(np.float64)
    offered = tracks.offered[stage]
    weights *= offered
    weights *= (1 - world.explore_share) / weights.sum(axis=1, keepdims=True)
    weights += offered * (world.explore_share / offered.sum(axis=1, keepdims=True))
    return weights
