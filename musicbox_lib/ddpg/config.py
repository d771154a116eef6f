"""Every constant of DDPG-W, each with its origin. Frozen: a model's manifest carries the whole of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Config:
    """How a model is built and trained. Sizes are numbers of units, rates are per step."""

    actor_units: tuple[int, ...] = (64,)
    """Hidden layers of the actor."""
    critic_units: tuple[int, ...] = (64,)
    """Hidden layers of each critic's value and of its weights."""
    centroids: int = 6
    """Leading blocks of the state that are centroids in embedding space (blocks.state): their dot products with
    the action are given to the critic, for it does not find products by itself."""
    gamma: float = 0.3
    """Weight of the next play: streak and fatigue carry over, later plays do not; 0 and .3 measured alike."""
    batch_size: int = 256
    """Rows a step; 256-512 measured alike."""
    steps: int = 2000
    """Upper bound of training steps; the validation value peaked between 250 and 1,000 on 36,000 transitions."""
    critic_learning_rate: float = 2e-3
    """AdamW, falling to zero by a cosine over all steps."""
    weight_decay: float = 1e-3
    """AdamW's decay of the critics' weights."""
    actor_learning_rate: float = 3e-4
    """Adam; slower than the critics, which must be right first."""
    tau: float = 0.005
    """Share of the online weights that enters the target weights each step (arXiv 1509.02971 has .001)."""
    policy_delay: int = 2
    """Critic steps to one actor step (TD3, arXiv 1802.09477)."""
    target_noise: float = 0.1
    """Deviation of the noise on the target action, per coordinate of a unit vector."""
    target_noise_clip: float = 0.25
    """Bound of that noise."""
    alpha: float = 2.5
    """lambda = alpha / mean |Q| weighs Q against staying near the log (TD3+BC, arXiv 2106.06860)."""
    quality_deviation: float = 0.5
    """Deviation that the quality coordinate is scaled to. Embeddings are unit vectors, so at .5 quality
    moves the inner product about as much as a near against a middling neighbour does."""
    check_every: int = 250
    """Steps between two looks at the validation value."""
    patience: int = 4
    """Looks without a better value before training stops: a critic trained on over-fits its own policy."""

    def as_json(self) -> dict[str, Any]:
        """The config as plain JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Config:
        """The config that `as_json` wrote."""
        plain: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**plain)


@dataclass(frozen=True)
class Serving:
    """How a night turns a model into slates; chosen on the validation fold, never on the held-out one."""

    k: int = 100
    """The actor's nearest tracks that become candidates; 50-200 measured alike."""
    temperature: float = 0.1
    """Of the softmax over the candidates' scores: its width is what makes tomorrow's log usable."""
    explore: float = 0.05
    """Share of slots drawn uniformly from the candidates."""
    rerank: bool = False
    """Whether the critic's word counts in the candidates' scores."""
    rerank_weight: float = 0.0
    """score = actor's inner product + rerank_weight * min(Q1, Q2)."""
