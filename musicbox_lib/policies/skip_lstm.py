"""A recurrent skip model: an LSTM over the last plays and their answers gives what a track should have, and one matrix
product gives every track its score. The architecture is in code; Keras is imported where it is first needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.policies.base import TEMPERATURE, Arrays
from musicbox_lib.policies.fit_inputs import FitInputs
from musicbox_lib.policies.pair_features import SCALARS, Pairs, log_plays, quality_of
from musicbox_lib.policies.ranking import WholeCatalogue

if TYPE_CHECKING:
    import keras

    from musicbox_lib.policies.training_plays import Plays

Floats = NDArray[np.float32]

LAST_PLAYS = 32
"""Plays that the network reads: a session of 20 and the better part of the one before."""
UNITS = 32
"""Of the LSTM and of the layer after it."""
FACTS = 5 + 1 + 2
"""Of a play beside its embedding: grade -1 to 3, in the running session or not, and two ages."""
EPOCHS = 3
BATCH = 512
LEARNING_RATE = 4e-3
"""Of Adam, falling to zero by a cosine."""
ROWS = 2_000
"""Contexts answered for at a time: 2,000 x 32 x 32 floats are 8 MB."""


def play_inputs(contexts: ContextBlock, catalogue: Catalogue) -> Floats:
    """(n, LAST_PLAYS, E + FACTS) the last plays, oldest first; rows of zeros where there is none."""
    tracks, grades = contexts.tracks[:, -LAST_PLAYS:], contexts.grades[:, -LAST_PLAYS:]
    age = np.arange(LAST_PLAYS - 1, -1, -1, dtype=np.float32)
    ages = np.broadcast_to(np.stack([age / LAST_PLAYS, np.exp(-age / 4)], axis=1), (*tracks.shape, 2))
    facts = [
        catalogue.embedding[tracks.clip(min=0)],
        grades[:, :, None] == np.arange(-1, 4),
        contexts.in_session[:, -LAST_PLAYS:, None],
        ages,
    ]
    known = (tracks >= 0)[:, :, None]
    return np.where(known, np.concatenate(facts, axis=2, dtype=np.float32), np.float32(0))


def track_inputs(catalogue: Catalogue, quality: Floats) -> Floats:
    """(K, E + 2) [embedding, quality, log plays], what an output is matched with; quality (K,) is the caller's."""
    return np.concatenate([catalogue.embedding, quality[:, None], log_plays(catalogue)[:, None]], axis=1)


def build_network(embedding: int, seed: int) -> keras.Model:
    """Plays (B, L, E + FACTS) and scalars (B, S) to (B, E + 3): what a track's [embedding, quality, log plays] is
    matched with by inner product, then the context's own part of the logit of *not* skipping.

    The embedding part is a sum of the plays' embeddings, each with a weight that its step gives it, and a free vector:
    a network that must form the sum by itself needs more plays than a night has (ddpg.networks found the same)."""
    import keras
    from keras import ops

    def start(number: int, deviation: float = 0.05) -> keras.initializers.Initializer:
        return keras.initializers.RandomNormal(stddev=deviation, seed=seed + number)

    plays = keras.Input((LAST_PLAYS, embedding + FACTS), name="plays")  # (B, L, E + FACTS)
    scalars = keras.Input((len(SCALARS),), name="scalars")  # (B, S)
    steps = keras.layers.LSTM(
        UNITS,
        return_sequences=True,
        kernel_initializer=keras.initializers.GlorotUniform(seed + 1),
        recurrent_initializer=keras.initializers.Orthogonal(seed=seed + 2),
        name="lstm",
    )(plays)  # (B, L, UNITS)
    facts = plays[:, :, embedding:]
    # A pad is a row of zeros, in which no grade is set: it gets no weight.
    is_play = ops.sum(facts[:, :, :5], axis=2, keepdims=True)
    weights = keras.layers.Dense(1, kernel_initializer=start(3), name="weights")(
        ops.concatenate([steps, facts], axis=2)
    )  # (B, L, 1)
    pooled = ops.sum(weights * is_play * plays[:, :, :embedding], axis=1)  # (B, E)
    last = ops.concatenate([steps[:, -1], scalars], axis=1)
    hidden = keras.layers.Dense(
        UNITS, activation="relu", kernel_initializer=keras.initializers.HeNormal(seed + 4), name="hidden"
    )(last)
    free = keras.layers.Dense(embedding + 3, kernel_initializer=start(5), name="free")(hidden)  # (B, E + 3)
    direct = keras.layers.Dense(1, kernel_initializer=start(6), name="direct")(scalars)  # (B, 1)
    own = free[:, embedding + 2 :] + direct
    return keras.Model(
        [plays, scalars],
        ops.concatenate([pooled + free[:, :embedding], free[:, embedding : embedding + 2], own], axis=1),
        name="skip_lstm",
    )


class SkipLstm(WholeCatalogue):
    """Score = -logit of skip_2, up to what is the same for all tracks of a context."""

    name = "skip_lstm"
    label = "skip model, LSTM"

    def __init__(self, catalogue: Catalogue, network: keras.Model, temperature: float = TEMPERATURE) -> None:
        super().__init__(catalogue, temperature)
        self._network = network
        self._tracks = track_inputs(catalogue, catalogue.quality)

    @classmethod
    def fit(cls, inputs: FitInputs) -> Arrays:
        """The network's weights in the order of its layers."""
        network = fit_lstm(inputs.sample, inputs.catalogue, inputs.seed)
        return {f"weights_{at:02d}": weights for at, weights in enumerate(network.get_weights())}

    @classmethod
    def from_arrays(cls, arrays: Arrays, catalogue: Catalogue, temperature: float = TEMPERATURE) -> Self:
        """The policy of a network with those weights."""
        network = build_network(catalogue.embedding.shape[1], seed=0)
        network.set_weights([arrays[name] for name in sorted(arrays)])
        return cls(catalogue, network, temperature)

    def scores(self, contexts: ContextBlock) -> NDArray[np.float64]:
        """(n, K)"""
        outputs = [np.zeros((0, self._tracks.shape[1] + 1), dtype=np.float32)]
        for at in range(0, len(contexts), ROWS):
            block = contexts.take(slice(at, at + ROWS))
            given = [play_inputs(block, self.catalogue), Pairs(block, self.catalogue).scalars]
            outputs.append(np.asarray(self._network(given), np.float32))
        products: NDArray[np.float64] = np.float64(1) * (np.concatenate(outputs)[:, :-1] @ self._tracks.T)
        return products


def fit_lstm(plays: Plays, catalogue: Catalogue, seed: int) -> keras.Model:
    """Minimise the cross-entropy of skip_2; the quality of a play's track is out of its user's fold."""
    import keras
    import tensorflow as tf
    from keras.utils import set_random_seed
    from tensorflow.config.experimental import enable_op_determinism

    set_random_seed(seed)
    enable_op_determinism()
    width = catalogue.embedding.shape[1]
    network = build_network(width, seed)
    steps = EPOCHS * max(1, len(plays) // BATCH)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps))
    optimizer.build(network.trainable_variables)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(played: tf.Tensor, scalars: tf.Tensor, tracks: tf.Tensor, skips: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            found = network([played, scalars], training=True)
            logits = -tf.reduce_sum(found[:, :-1] * tracks, axis=1) - found[:, -1]
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=skips, logits=logits))
        variables = network.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    order = np.random.default_rng(seed)
    skips = plays.skips.astype(np.float32)
    for _ in range(EPOCHS):
        for rows in _batches(order.permutation(len(plays))):
            contexts, tracks = plays.contexts.take(rows), plays.tracks[rows]
            quality = quality_of(catalogue, tracks, contexts.fold)
            matched = np.concatenate(
                [catalogue.embedding[tracks], quality[:, None], log_plays(catalogue)[tracks, None]], axis=1
            )
            scalars = Pairs(contexts, catalogue).scalars
            step(*(tf.constant(given) for given in (play_inputs(contexts, catalogue), scalars, matched, skips[rows])))
    return network


def _batches(order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Full batches; all rows in one where they are fewer."""
    return [order[at : at + BATCH] for at in range(0, max(len(order) - BATCH + 1, 1), BATCH)]
