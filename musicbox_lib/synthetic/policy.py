"""The logging policy, known exactly: what it plays, and with what propensity."""

from __future__ import annotations

import numpy as np

from musicbox_lib.synthetic.tracks import Tracks
from musicbox_lib.synthetic.world import Floats, Floats32, Ints, World


def affinities(mood: Floats, tracks: Tracks) -> Floats32:
    """<mood, track>, (n, d) -> (n, K)."""
    return np.asarray(mood.astype(np.float32) @ tracks.place.T, np.float32)


def policy_logits(world: World, tracks: Tracks, affinity: Floats32, context: Ints) -> Floats32:
    """Unnormalised log chances (n, K) for each row's context (n,)."""
    popular = np.asarray(world.popularity_weight, np.float32)[context, None]
    fitting = np.asarray(world.mood_weight, np.float32)[context, None]
    return np.asarray(popular * tracks.log_popularity.astype(np.float32) + fitting * affinity, np.float32)


def policy_probabilities(world: World, tracks: Tracks, affinity: Floats32, context: Ints) -> Floats:
    """The chance of each track as the next play, (n, K), rows sum to 1: softmax of the logits, mixed with a share
    `explore_share` of every track alike."""
    # Logits are at most mood_weight * 1 + 0, so exp needs no shift.
    weights = np.exp(policy_logits(world, tracks, affinity, context)).astype(np.float64)
    weights *= (1 - world.explore_share) / weights.sum(axis=1, keepdims=True)
    return np.asarray(weights + world.explore_share / tracks.size, np.float64)


def choose_from_cumulative(steps: Floats, uniforms: Floats, rows: Ints) -> Ints:
    """A track for each of `rows` (m,) by inversion of `uniforms` (m,) in [0, 1). Row i of `steps` (n, K) holds its
    cumulative chances plus i, so that one search in the flattened array serves all rows."""
    size = steps.shape[1]
    found = np.searchsorted(steps.ravel(), rows + uniforms, side="right") - rows * size
    return np.asarray(np.clip(found, 0, size - 1), np.int64)
