"""The architecture, in code: an actor that gives a unit vector, a wide and deep critic.

Letters of the shape comments: B rows, C candidates a row, S state, E embedding, A = E + 1 action, K tracks.
Actions here have their quality coordinate already scaled (`Config.quality_deviation`).
"""

from __future__ import annotations

import keras
from keras import ops

from musicbox_lib.ddpg.config import Config

EPSILON = 1e-8
"""Keeps a norm's root differentiable at zero; an untrained vector's square is about .003."""


def unit(vectors: keras.KerasTensor) -> keras.KerasTensor:
    """The vectors at length one, along the last axis."""
    return vectors / ops.sqrt(ops.sum(ops.square(vectors), axis=-1, keepdims=True) + EPSILON)


def _centroids(states: keras.KerasTensor, embedding: int, config: Config) -> keras.KerasTensor:
    """The centroids that a state begins with: (B, S) to (B, centroids, E)."""
    return ops.reshape(states[:, : config.centroids * embedding], (-1, config.centroids, embedding))


def _hidden(inputs: keras.KerasTensor, units: tuple[int, ...], name: str, seed: int) -> keras.KerasTensor:
    for depth, width in enumerate(units):
        start = keras.initializers.HeNormal(seed + depth)
        inputs = keras.layers.Dense(width, activation="relu", kernel_initializer=start, name=f"{name}_{depth}")(inputs)
    return inputs


def _output(inputs: keras.KerasTensor, width: int, name: str, seed: int) -> keras.KerasTensor:
    # A small start: what an untrained output says must not outweigh what the centroids say.
    start = keras.initializers.RandomNormal(stddev=0.01, seed=seed + 97)
    return keras.layers.Dense(width, kernel_initializer=start, name=name)(inputs)


def build_actor(state_size: int, action_size: int, config: Config, seed: int) -> keras.Model:
    """States (B, S) to unit vectors (B, A), matched to tracks by inner product.

    The vector is a sum of the state's centroids, each with a weight that the state gives it, and a free vector: an
    actor that must form the sum by itself pointed all 8,800 users of a trial at 86 tracks.
    """
    embedding = action_size - 1
    states = keras.Input((state_size,), name="o")  # (B, S)
    centroids = _centroids(states, embedding, config)
    hidden = _hidden(states, config.actor_units, "hidden", seed)
    weights = _output(hidden, config.centroids, "weights", seed)  # (B, centroids)
    free = _output(hidden, action_size, "free", seed + 1)  # (B, A)
    pooled = ops.sum(ops.expand_dims(weights, 2) * centroids, axis=1)  # (B, E)
    vectors = ops.concatenate([pooled + free[:, :embedding], free[:, embedding:]], axis=-1)
    return keras.Model(states, unit(vectors), name="actor")


def build_critic(state_size: int, action_size: int, config: Config, seed: int) -> keras.Model:
    """States (B, S) and actions (B, C, A) to Q (B, C), so that the candidates of one row share its state's part.

    Q = value(state) + sum of weights(state) x [centroid . action ..., quality] + a linear part of the action. Linear
    in the action, deep in the state: the actor climbs Q at points where no track is, and a critic that was deep in the
    action too promised it 2.3 there, where the greatest return is 1.4.
    """
    embedding = action_size - 1
    states = keras.Input((state_size,), name="o")  # (B, S)
    actions = keras.Input((None, action_size), name="a")  # (B, C, A)
    centroids = _centroids(states, embedding, config)  # (B, centroids, E)
    products = ops.matmul(actions[:, :, :embedding], ops.transpose(centroids, (0, 2, 1)))  # (B, C, centroids)
    wide = ops.concatenate([products, actions[:, :, embedding:]], axis=-1)  # (B, C, centroids + 1)
    scalars = states[:, config.centroids * embedding :]
    value = _output(_hidden(states, config.critic_units, "value", seed), 1, "value", seed)  # (B, 1)
    weights = _output(_hidden(scalars, config.critic_units, "weights", seed + 9), config.centroids + 1, "weights", seed)
    linear = _output(actions, 1, "linear", seed)[:, :, 0]  # (B, C)
    q = value + linear + ops.sum(ops.expand_dims(weights, 1) * wide, axis=-1)
    return keras.Model([states, actions], q, name="critic")
