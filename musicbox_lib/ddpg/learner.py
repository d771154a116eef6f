"""The learner: twin critics, a delayed actor, targets that follow slowly.

Letters of the shape comments: B rows, S state, A action (embedding and scaled quality), K tracks.
"""

from __future__ import annotations

from typing import NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from musicbox_lib.ddpg.config import Config
from musicbox_lib.ddpg.losses import actor_loss, critic_loss, nearest_tracks, soft_update, td_target
from musicbox_lib.ddpg.networks import build_actor, build_critic


class Batch(NamedTuple):
    """Transitions: `o_tm1` (B, S), `a_tm1` (B, A), `r_t` (B,), `d_t` (B,), `o_t` (B, S)."""

    o_tm1: tf.Tensor
    a_tm1: tf.Tensor
    r_t: tf.Tensor
    d_t: tf.Tensor
    o_t: tf.Tensor


class Learner:
    """One model in training. Same tracks, config, seed and batches: same weights."""

    def __init__(self, tracks: npt.NDArray[np.float32], state_size: int, config: Config, seed: int) -> None:
        """`tracks` (K, A): the catalogue's actions, quality already scaled."""
        self.config = config
        self.tracks = tf.constant(tracks, tf.float32)  # (K, A)
        self.seed = seed
        sizes = (state_size, tracks.shape[1])
        self.actor = build_actor(*sizes, config, seed)
        self.target_actor = build_actor(*sizes, config, seed)
        self.critics = tuple(build_critic(*sizes, config, seed + 1000 * (twin + 1)) for twin in range(2))
        self.target_critics = tuple(build_critic(*sizes, config, seed + 1000 * (twin + 1)) for twin in range(2))
        falling = keras.optimizers.schedules.CosineDecay(config.critic_learning_rate, config.steps)
        self.critic_optimizer = keras.optimizers.AdamW(falling, weight_decay=config.weight_decay)
        self.critic_optimizer.build(self._critic_variables)
        self.actor_optimizer = keras.optimizers.Adam(config.actor_learning_rate)
        self.actor_optimizer.build(self.actor.trainable_variables)
        self.steps_done = tf.Variable(0, dtype=tf.int64, trainable=False)

    @property
    def _critic_variables(self) -> list[tf.Variable]:
        return [variable for critic in self.critics for variable in critic.trainable_variables]

    def _targets(self, batch: Batch) -> tf.Tensor:
        proto = self.target_actor(batch.o_t)  # (B, A)
        seed = tf.stack([tf.constant(self.seed, tf.int64), self.steps_done])
        noise = tf.random.stateless_normal(tf.shape(proto), seed, stddev=self.config.target_noise)
        noise = tf.clip_by_value(noise, -self.config.target_noise_clip, self.config.target_noise_clip)
        a_t = nearest_tracks(proto, noise, self.tracks)  # (B, A)
        q_1, q_2 = (critic([batch.o_t, a_t[:, None, :]])[:, 0] for critic in self.target_critics)  # (B,) each
        return td_target(batch.r_t, batch.d_t, self.config.gamma, q_1, q_2)  # (B,)

    def critic_step(self, batch: Batch) -> tf.Tensor:
        """Both critics towards one target; the mean of their losses, a scalar."""
        target = self._targets(batch)  # (B,)
        with tf.GradientTape() as tape:
            losses = [
                critic_loss(critic([batch.o_tm1, batch.a_tm1[:, None, :]])[:, 0], target) for critic in self.critics
            ]
            loss = tf.add_n(losses)
        gradients = tape.gradient(loss, self._critic_variables)
        self.critic_optimizer.apply_gradients(zip(gradients, self._critic_variables, strict=True))
        return loss / len(self.critics)

    def actor_step(self, batch: Batch) -> tf.Tensor:
        """The actor up the first critic's slope, taken at the proto-action itself; its loss, a scalar."""
        with tf.GradientTape() as tape:
            pi = self.actor(batch.o_tm1)  # (B, A)
            q = self.critics[0]([batch.o_tm1, pi[:, None, :]])[:, 0]  # (B,)
            loss = actor_loss(q, pi, batch.a_tm1, batch.r_t, self.config.alpha)
        variables = self.actor.trainable_variables
        self.actor_optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    def _follow(self) -> None:
        soft_update(self.target_actor.variables, self.actor.variables, self.config.tau)
        for target, source in zip(self.target_critics, self.critics, strict=True):
            soft_update(target.variables, source.variables, self.config.tau)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        """One critic step, every `policy_delay`-th time an actor step, then the targets follow.

        Gives the critics' and the actor's loss; the latter is NaN where the actor rested.
        """
        of_critic = self.critic_step(batch)
        of_actor = tf.constant(np.nan, tf.float32)
        if (self.steps_done + 1) % self.config.policy_delay == 0:
            of_actor = self.actor_step(batch)
        self._follow()
        self.steps_done.assign_add(1)
        return of_critic, of_actor

    def weights(self) -> list[npt.NDArray[np.float32]]:
        """Every weight of actor and critics, copied, in a fixed order."""
        return [np.array(weight) for network in (self.actor, *self.critics) for weight in network.get_weights()]

    def restore(self, weights: list[npt.NDArray[np.float32]]) -> None:
        """Put back what `weights` gave."""
        place = 0
        for network in (self.actor, *self.critics):
            count = len(network.get_weights())
            network.set_weights(weights[place : place + count])
            place += count
