"""The losses against batches of two rows worked out by hand."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from musicbox_lib.ddpg.losses import actor_loss, critic_loss, nearest_tracks, soft_update, td_target


def test_target_takes_the_smaller_critic_and_stops_at_the_session_end() -> None:
    target = td_target(
        tf.constant([0.6, 1.0]), tf.constant([1.0, 0.0]), 0.3, tf.constant([0.5, 9.0]), tf.constant([0.7, 8.0])
    )
    # .6 + .3 * min(.5, .7) = .75; the second row's session is over, so its 8 must not count.
    np.testing.assert_allclose(target, [0.75, 1.0], rtol=1e-6)


def test_critic_loss_is_the_mean_square() -> None:
    # (.5² + 1²) / 2
    assert float(critic_loss(tf.constant([1.0, 2.0]), tf.constant([0.5, 3.0]))) == 0.625


def test_actor_loss_by_hand() -> None:
    q = tf.constant([1.0, 3.0])
    pi = tf.constant([[1.0, 0.0], [0.0, 1.0]])
    logged = tf.constant([[0.0, 2.0], [0.0, 5.0]])  # at length one: (0, 1) and (0, 1)
    rewards = tf.constant([0.5, 1.0])
    # lambda = 2.5 / 2; -1.25 * 2 + (.5 * |(1, -1)|² + 1 * 0) / 2 = -2.5 + .5
    np.testing.assert_allclose(actor_loss(q, pi, logged, rewards, 2.5), -2.0, atol=1e-5)


def test_actor_loss_falls_when_q_rises() -> None:
    pi = tf.constant([[1.0, 0.0]])
    q = tf.Variable([0.4])
    with tf.GradientTape() as tape:
        loss = actor_loss(q, pi, pi, tf.constant([0.0]), 2.5)
    assert float(tape.gradient(loss, q)[0]) < 0


def test_nearest_track_is_by_inner_product_after_the_noise() -> None:
    tracks = tf.constant([[1.0, 0.0], [0.0, 1.0], [0.8, 0.9]])
    proto = tf.constant([[1.0, 0.0], [1.0, 0.0]])
    noise = tf.constant([[0.0, 0.0], [0.0, 0.3]])
    # Row 1: 1, 0, .8. Row 2: 1, .3, .8 + .27 = 1.07.
    np.testing.assert_allclose(nearest_tracks(proto, noise, tracks), [[1.0, 0.0], [0.8, 0.9]])


def test_targets_follow_by_the_formula() -> None:
    target, source = tf.Variable([1.0, -2.0]), tf.Variable([3.0, 2.0])
    soft_update([target], [source], 0.25)
    # .75 * 1 + .25 * 3 and .75 * -2 + .25 * 2
    np.testing.assert_allclose(target, [1.5, -1.0])
    np.testing.assert_allclose(source, [3.0, 2.0])
