"""From transitions in memory or streamed to a trained model with its numbers. No reading or writing here."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from musicbox_lib.ddpg.config import Config, Serving
from musicbox_lib.ddpg.learner import Batch, Learner
from musicbox_lib.training.off_policy import (
    RERANK_WEIGHTS,
    Logged,
    Value,
    catalogue_chances,
    chances_by_temperature,
    choose_serving,
    self_normalised,
)

log = logging.getLogger("musicbox.trainer")

Floats = npt.NDArray[np.float32]
CHECK_TEMPERATURE = 0.1
"""Of the softmax by which a step is judged: wide enough that a few thousand plays back it with hundreds."""
BLOCK_ROWS = 2_000
"""Rows whose candidates the critics answer for at a time: 2,000 x 100 x 128 floats are 100 MB."""


@dataclass(frozen=True)
class Trained:
    """The learner with the best weights in it, and what was measured."""

    learner: Learner
    serving: Serving
    metrics: dict[str, float]
    curve: list[dict[str, float]]


def quality_scale(quality: Floats, plays: npt.NDArray[np.int64], config: Config) -> float:
    """The factor that gives quality the config's deviation over the played tracks; 1 where it does not vary."""
    deviation = float(quality[plays > 0].std()) if (plays > 0).any() else 0.0
    return config.quality_deviation / deviation if deviation > 1e-6 else 1.0


def with_scaled_quality(actions: Floats, scale: float) -> Floats:
    """A copy of actions (n, A) with the last coordinate scaled."""
    scaled = np.array(actions, np.float32)
    scaled[:, -1] *= scale
    return scaled


def train(
    batches: Iterator[tuple[Any, ...]],
    actions: Floats,
    validation: Logged,
    held_out: Logged,
    config: Config,
    seed: int,
) -> Trained:
    """Train on endless batches of `reader.LEARNER_COLUMNS` whose actions, like `actions` (K, A), are scaled.

    Every `check_every` steps the actor is judged on the validation fold by SNIPS of the reward; the best step's
    weights stay. The held-out fold is measured once, at the end.
    """
    learner = Learner(actions, validation.states.shape[1], config, seed)
    curve: list[dict[str, float]] = []
    best: tuple[float, list[Floats]] = (-np.inf, learner.weights())
    waited = 0
    losses: list[tuple[Any, Any]] = []
    for step, batch in zip(range(1, config.steps + 1), batches, strict=False):
        losses.append(learner.step(Batch(*batch)))
        if step % config.check_every and step != config.steps:
            continue
        value = _value_of_actor(learner, validation)
        of_critic, of_actor = np.nanmean(np.array(losses, np.float64), axis=0)
        losses.clear()
        point = {
            "step": float(step),
            "critic_loss": float(of_critic),
            "actor_loss": float(of_actor),
            "validation_reward": value.mean,
            "validation_ess": value.ess,
        }
        curve.append(point)
        log.info(
            "step %5d  critic loss %.4f  actor loss %+.4f  validation reward %.4f +- %.4f (ess %.0f)",
            step, of_critic, of_actor, value.mean, value.error, value.ess,
        )  # fmt: skip
        # Without a usable validation play there is nothing to choose by: the last step stays.
        better = not value.ess or value.mean > best[0]
        waited = 0 if better else waited + 1
        if better:
            best = (value.mean, learner.weights())
            best_step = step
        if waited >= config.patience:
            break
    learner.restore(best[1])
    serving, chosen = choose_serving(_scores_by_weight(learner, validation, Serving()), validation, Serving())
    log.info("serving: %s, validation reward %.4f (ess %.0f)", serving, chosen.mean, chosen.ess)
    metrics = {"best_step": float(best_step), "steps": curve[-1]["step"], "train_critic_loss": curve[-1]["critic_loss"]}
    for fold, logged in (("validation", validation), ("held_out", held_out)):
        metrics |= _measured(fold, learner, logged, serving)
    return Trained(learner, serving, {name: v for name, v in metrics.items() if np.isfinite(v)}, curve)


def _value_of_actor(learner: Learner, logged: Logged) -> Value:
    if not len(logged):
        return Value(float("nan"), float("nan"), 0.0)
    queries = np.asarray(learner.actor(logged.states))
    chances = catalogue_chances(queries, learner.tracks.numpy(), logged.tracks, CHECK_TEMPERATURE)
    return self_normalised(chances, logged, logged.rewards)


def _q(learner: Learner, states: Floats, actions: Floats) -> Floats:
    q_1, q_2 = (np.asarray(critic([states, actions]), np.float32) for critic in learner.critics)
    return np.minimum(q_1, q_2)


def _scores_by_weight(
    learner: Learner, logged: Logged, serving: Serving, weights: tuple[float, ...] = RERANK_WEIGHTS
) -> dict[float, tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]]:
    """By critic's weight: scores (n, k) of the actor's k nearest tracks, and the logged track's column (-1: none)."""
    actions = learner.tracks.numpy()
    k = min(serving.k, len(actions))
    near, columns, q = [], [], []
    for at in range(0, len(logged), BLOCK_ROWS):
        rows = slice(at, at + BLOCK_ROWS)
        scores = np.asarray(learner.actor(logged.states[rows])) @ actions.T
        nearest = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        near.append(np.take_along_axis(scores, nearest, axis=1))
        same = nearest == logged.tracks[rows, None]
        columns.append(np.where(same.any(axis=1), same.argmax(axis=1), -1))
        if any(weights):
            q.append(_q(learner, logged.states[rows], actions[nearest]))
    if not near:
        return {}
    inner = np.concatenate(near).astype(np.float64)
    column = np.concatenate(columns).astype(np.int64)
    return {w: (inner + w * np.concatenate(q) if w else inner, column) for w in weights}


def _measured(fold: str, learner: Learner, logged: Logged, serving: Serving) -> dict[str, float]:
    """What the chosen model does on a fold's logged plays, beside what the log itself did there."""
    if not len(logged):
        return {f"{fold}_n": 0.0}
    scores, columns = _scores_by_weight(learner, logged, serving, (serving.rerank_weight,))[serving.rerank_weight]
    chances = chances_by_temperature(scores, columns, (serving.temperature,))[:, 0]
    reward = self_normalised(chances, logged, logged.rewards)
    skip = self_normalised(chances, logged, logged.skips)
    played = learner.tracks.numpy()[logged.tracks]
    q = _q(learner, logged.states, played[:, None, :])[:, 0]
    return {
        f"{fold}_n": float(len(logged)),
        f"{fold}_ess": reward.ess,
        f"{fold}_reward_snips": reward.mean,
        f"{fold}_reward_snips_error": reward.error,
        f"{fold}_skip_snips": skip.mean,
        f"{fold}_skip_snips_error": skip.error,
        f"{fold}_reward_logged": float(logged.rewards.mean()),
        f"{fold}_skip_logged": float(logged.skips.mean()),
        f"{fold}_propensity_estimated": logged.estimated,
        f"{fold}_critic_r2": _r2(logged.rewards, q),
    }


def _r2(rewards: Floats, q: Floats) -> float:
    """Share of the reward's variance that the critic explains, after the straight line that takes the discounted
    future off Q (the squared correlation)."""
    if rewards.std() < 1e-9 or q.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(rewards, q)[0, 1] ** 2)
