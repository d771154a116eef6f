"""The architecture, in code: an actor that gives a unit vector, a wide and deep critic.

Letters of the shape comments: B rows, C candidates a row, S state, E embedding, A = E + 1 action, K tracks.
Actions here have their quality coordinate already scaled (`Config.quality_deviation`).
"""

from __future__ import annotations

import keras
from keras import ops

from musicbox_lib.ddpg.config import Config

EPSILON = 1e-6
"""Keeps a norm's root differentiable at zero; far below a unit vector's length."""


def unit(vectors: keras.KerasTensor) -> keras.KerasTensor:
    """The vectors at length one, along the last axis."""
    return vectors / ops.sqrt(ops.sum(ops.square(vectors), axis=-1, keepdims=True) + EPSILON)


def build_actor(state_size: int, action_size: int, config: Config, seed: int) -> keras.Model:
    """States (B, S) to unit vectors (B, A), matched to tracks by inner product."""
    states = keras.Input((state_size,), name="o")
    hidden = states
    for depth, units in enumerate(config.actor_units):
        hidden = keras.layers.Dense(
            units,
            activation="relu",
            kernel_initializer=keras.initializers.HeNormal(seed + depth),
            name=f"hidden_{depth}",
        )(hidden)
    vectors = keras.layers.Dense(action_size, kernel_initializer=keras.initializers.GlorotUniform(seed + 97), name="a")(
        hidden
    )
    return keras.Model(states, unit(vectors), name="actor")


def build_critic(state_size: int, action_size: int, config: Config, seed: int) -> keras.Model:
    """States (B, S) and actions (B, C, A) to Q (B, C), so that the candidates of one row share its state's part.

    Actions are taken as directions, for the actor's have no length. Wide: the action's quality and its dot product
    with each centroid of the state. Deep: state, action and the same products.
    """
    embedding = action_size - 1
    states = keras.Input((state_size,), name="o")  # (B, S)
    actions = keras.Input((None, action_size), name="a")  # (B, C, A)
    directions = unit(actions)  # (B, C, A)
    centroids = ops.reshape(states[:, : config.centroids * embedding], (-1, config.centroids, embedding))
    products = ops.matmul(directions[:, :, :embedding], ops.transpose(centroids, (0, 2, 1)))  # (B, C, centroids)
    wide = ops.concatenate([products, directions[:, :, embedding:]], axis=-1)  # (B, C, centroids + 1)

    def dense(units: int, place: int, name: str) -> keras.layers.Layer:
        return keras.layers.Dense(units, kernel_initializer=keras.initializers.HeNormal(seed + place), name=name)

    first, *later = config.critic_units
    from_state = ops.expand_dims(dense(first, 0, "deep_state")(states), 1)  # (B, 1, units)
    from_action = dense(first, 1, "deep_action")(ops.concatenate([directions, products], axis=-1))  # (B, C, units)
    hidden = ops.relu(from_state + from_action)
    for depth, units in enumerate(later):
        hidden = ops.relu(dense(units, depth + 2, f"deep_{depth + 1}")(hidden))
    q = dense(1, 98, "deep_q")(hidden) + dense(1, 99, "wide_q")(wide)  # (B, C, 1)
    return keras.Model([states, actions], q[:, :, 0], name="critic")
