"""The losses of DDPG-W: pure functions of tensors.

Letters of the shape comments: B rows, A action (embedding and scaled quality), K tracks.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from musicbox_lib.ddpg.networks import unit


def nearest_tracks(proto: tf.Tensor, noise: tf.Tensor, tracks: tf.Tensor) -> tf.Tensor:
    """The real track's action of largest inner product with each noisy proto-action.

    proto (B, A), noise (B, A), tracks (K, A); gives (B, A).
    """
    scores = tf.matmul(proto + noise, tracks, transpose_b=True)  # (B, K)
    return tf.gather(tracks, tf.argmax(scores, axis=1))


def td_target(r_t: tf.Tensor, d_t: tf.Tensor, gamma: float, q_1: tf.Tensor, q_2: tf.Tensor) -> tf.Tensor:
    """Target r + gamma d min(Q1', Q2'), all (B,): the smaller critic holds down over-estimation (arXiv 1802.09477)."""
    return tf.stop_gradient(r_t + gamma * d_t * tf.minimum(q_1, q_2))


def critic_loss(q: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Mean squared error of (B,) against (B,): a scalar."""
    return tf.reduce_mean(tf.square(q - target))


def actor_loss(q: tf.Tensor, pi: tf.Tensor, a_tm1: tf.Tensor, r_t: tf.Tensor, alpha: float) -> tf.Tensor:
    """-lambda mean Q(o, pi(o)) + mean r |pi(o) - a|², lambda = alpha / mean |Q| (TD3+BC, arXiv 2106.06860).

    q (B,), pi (B, A) unit vectors, a_tm1 (B, A) taken at length one, r_t (B,): plays that were liked pull, skipped
    ones do not. A scalar; descending it raises Q.
    """
    weight = alpha / (tf.stop_gradient(tf.reduce_mean(tf.abs(q))) + 1e-6)
    cloned = tf.reduce_sum(tf.square(pi - unit(a_tm1)), axis=-1)  # (B,)
    return -weight * tf.reduce_mean(q) + tf.reduce_mean(r_t * cloned)


def soft_update(targets: Sequence[tf.Variable], sources: Sequence[tf.Variable], tau: float) -> None:
    """Let target <- (1 - tau) target + tau source, variable by variable."""
    for target, source in zip(targets, sources, strict=True):
        target.assign(target + tau * (source - target))
