"""The learner: where it looks, which way it goes, that it arrives, that it goes the same way twice."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from musicbox_lib.ddpg.config import Config
from musicbox_lib.ddpg.learner import Batch, Learner
from musicbox_lib.ddpg.losses import soft_update

EMBEDDING, STATE = 2, 2 * 6 + 3
SMALL = Config(actor_units=(32,), critic_units=(32, 16), batch_size=64, steps=400)
rng = np.random.default_rng(3)
TRACKS = np.concatenate([np.eye(2), -np.eye(2)]).astype(np.float32)
TRACKS = np.concatenate([TRACKS, np.zeros((4, 1), np.float32)], axis=1)


def some_batch(rows: int = 8, *, goes_on: float = 1.0, seed: int = 0) -> Batch:
    draw = np.random.default_rng(seed)
    return Batch(
        tf.constant(draw.normal(size=(rows, STATE)), tf.float32),
        tf.constant(TRACKS[draw.integers(0, 4, rows)]),
        tf.constant(draw.random(rows), tf.float32),
        tf.fill((rows,), goes_on),
        tf.constant(draw.normal(size=(rows, STATE)), tf.float32),
    )


def learner(**changes: object) -> Learner:
    return Learner(TRACKS, STATE, dataclasses.replace(SMALL, **changes), seed=5)  # type: ignore[arg-type]


def test_next_action_comes_from_the_next_state() -> None:
    model, batch = learner(target_noise=0.0), some_batch()
    moved_before = batch._replace(o_tm1=batch.o_tm1 + 1.0)
    moved_after = batch._replace(o_t=-batch.o_t)
    np.testing.assert_array_equal(model._targets(batch), model._targets(moved_before))
    assert np.abs(model._targets(batch) - model._targets(moved_after)).max() > 1e-3


def test_target_action_is_a_real_track_and_q_is_of_the_target_networks() -> None:
    model, batch = learner(target_noise=0.0), some_batch()
    proto = model.target_actor(batch.o_t).numpy()
    actions = tf.constant(TRACKS[(proto @ TRACKS.T).argmax(axis=1)])
    q = np.minimum(*(critic([batch.o_t, actions[:, None, :]]).numpy()[:, 0] for critic in model.target_critics))
    np.testing.assert_allclose(model._targets(batch), batch.r_t + SMALL.gamma * q, rtol=1e-5, atol=1e-6)
    for critic in model.critics:
        critic.set_weights([weight + 1 for weight in critic.get_weights()])
    np.testing.assert_allclose(model._targets(batch), batch.r_t + SMALL.gamma * q, rtol=1e-5, atol=1e-6)


def test_a_finished_session_is_not_bootstrapped() -> None:
    batch = some_batch(goes_on=0.0)
    np.testing.assert_array_equal(learner()._targets(batch), batch.r_t)


def test_an_actor_step_raises_q_of_a_fixed_critic() -> None:
    model = learner(actor_learning_rate=1e-2)
    batch = some_batch(64)._replace(r_t=tf.zeros(64))  # nothing was liked, so nothing is cloned

    def q() -> float:
        pi = model.actor(batch.o_tm1)
        return float(tf.reduce_mean(model.critics[0]([batch.o_tm1, pi[:, None, :]])))

    critic = [np.array(weight) for weight in model.critics[0].get_weights()]
    before = q()
    for _ in range(20):
        model.actor_step(batch)
    assert q() > before + 0.05
    for now, then in zip(model.critics[0].get_weights(), critic, strict=True):
        np.testing.assert_array_equal(now, then)


def test_the_actor_rests_every_other_step_and_targets_follow() -> None:
    model, batch = learner(), some_batch()
    start = [np.array(weight) for weight in model.target_critics[0].get_weights()]
    assert np.isnan(model.step(batch)[1])
    expected = [tf.Variable(weight) for weight in start]
    soft_update(expected, model.critics[0].variables, SMALL.tau)
    for got, wanted in zip(model.target_critics[0].get_weights(), expected, strict=True):
        np.testing.assert_allclose(got, wanted.numpy(), rtol=1e-6, atol=1e-7)
    assert np.isfinite(model.step(batch)[1])


def test_noise_is_clipped_centred_and_new_each_step() -> None:
    model = learner(target_noise=5.0)
    batch = some_batch(64)
    first = model._targets(batch).numpy()
    np.testing.assert_array_equal(first, model._targets(batch).numpy())
    model.steps_done.assign_add(1)
    assert np.abs(first - model._targets(batch).numpy()).max() > 0
    # A deviation of 5 clipped at .25 cannot turn an actor that points straight at a track to another one.
    proto = tf.constant(np.repeat(TRACKS[:1], 64, axis=0))
    model.target_actor = lambda _: proto
    q = np.minimum(*(critic([batch.o_t, proto[:, None, :]]).numpy()[:, 0] for critic in model.target_critics))
    np.testing.assert_allclose(model._targets(batch), batch.r_t + SMALL.gamma * q, rtol=1e-5, atol=1e-6)


def bandit_rows(rows: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reward 1 - |a - target|² / 4, where the target is a quarter turn from the state's first centroid."""
    angle = draw.uniform(0, 2 * np.pi, rows)
    states = np.zeros((rows, STATE))
    states[:, 0], states[:, 1] = np.cos(angle), np.sin(angle)
    actions = draw.normal(size=(rows, 3))
    actions /= np.linalg.norm(actions, axis=1, keepdims=True)
    best = np.column_stack([-np.sin(angle), np.cos(angle), np.zeros(rows)])
    rewards = 1 - ((actions - best) ** 2).sum(axis=1) / 4
    return states.astype(np.float32), actions.astype(np.float32), rewards.astype(np.float32)


def test_finds_the_optimum_of_a_quadratic_bandit() -> None:
    config = dataclasses.replace(SMALL, gamma=0.0, actor_learning_rate=3e-3, steps=300)
    draw = np.random.default_rng(1)
    states, actions, rewards = bandit_rows(4000, draw)
    model = Learner(actions[:200], STATE, config, seed=2)
    for _ in range(config.steps):
        rows = draw.integers(0, len(states), 128)
        picked = (tf.constant(column[rows]) for column in (states, actions, rewards))
        o, a, r = picked
        model.step(Batch(o, a, r, tf.zeros_like(r), o))
    fresh, _, _ = bandit_rows(500, draw)
    best = np.column_stack([-fresh[:, 1], fresh[:, 0], np.zeros(500)])
    cosine = (model.actor(fresh).numpy() * best).sum(axis=1)
    assert cosine.mean() > 0.95, cosine.mean()


def test_same_seed_same_weights() -> None:
    tf.config.experimental.enable_op_determinism()
    weights = []
    for seed in (5, 5, 6):
        model = Learner(TRACKS, STATE, SMALL, seed)
        for step in range(4):
            model.step(some_batch(64, seed=step))
        weights.append(model.weights())
    assert all((mine == again).all() for mine, again in zip(weights[0], weights[1], strict=True))
    assert any((mine != other).any() for mine, other in zip(weights[0], weights[2], strict=True))


def test_restore_puts_the_weights_back() -> None:
    model = learner()
    kept = model.weights()
    for step in range(2):
        model.step(some_batch(seed=step))
    assert any((now != then).any() for now, then in zip(model.weights(), kept, strict=True))
    model.restore(kept)
    assert all((now == then).all() for now, then in zip(model.weights(), kept, strict=True))
