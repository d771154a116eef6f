"""The fit of the recurrent skip model, the same weights from the same plays and seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from musicbox_lib.policies.catalogue import Catalogue
from musicbox_lib.policies.pair_features import Pairs, log_plays, quality_of
from musicbox_lib.policies.skip_lstm import build_network, play_inputs
from musicbox_lib.training.baseline_fits import skips_of

if TYPE_CHECKING:
    import keras

    from musicbox_lib.training.sampled_plays import Plays

EPOCHS = 3
BATCH = 512
LEARNING_RATE = 4e-3
"""Of Adam, falling to zero by a cosine."""


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
    skips = skips_of(plays).astype(np.float32)
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
