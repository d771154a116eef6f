"""Who serves a night: the champion as of its day, or a baseline where no model was promoted yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from musicbox_lib import lake
from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.features.night_tracks import night_catalogue
from musicbox_lib.models.champion import Champion, champion_as_of
from musicbox_lib.policies import listed
from musicbox_lib.policies.base import FittedPolicy
from musicbox_lib.settings import settings

if TYPE_CHECKING:
    from musicbox_lib.blocks.candidates import Policy

CONTEXTS_A_TASK = 10_000
"""TensorFlow's import takes 10-17 s of a slow core, in which 10,000 contexts are scored against 2,000 tracks."""
MOST_TASKS = 10_000
"""No bound in practice: Spark's own partitions are fewer."""


@dataclass(frozen=True)
class Baseline:
    """A policy without training, over the night's own catalogue."""

    policy: type[FittedPolicy]
    catalogue: Catalogue

    @property
    def model_id(self) -> str:
        """The baseline's name."""
        return self.policy.name

    def load(self) -> tuple[Policy, Catalogue]:
        """The policy and the night's catalogue."""
        return self.policy.over(self.catalogue, settings().seed), self.catalogue

    @property
    def size(self) -> int:
        """How many tracks there are."""
        return len(self.catalogue)


Serving = Champion | Baseline


def tasks_for(last_sessions: lake.ReadPartition, serving: Serving) -> int:
    """In how many tasks a day's contexts are scored, by the row counts of its files: each task's worker starts
    TensorFlow for a champion, which costs as much as scoring CONTEXTS_A_TASK contexts."""
    found = lake.snapshot(last_sessions.table.name)
    if found is None or isinstance(serving, Baseline):
        return MOST_TASKS
    files: Any = found.get_add_actions(flatten=True)
    rows = sum(
        count or 0
        for day, count in zip(files["partition.dt"].to_pylist(), files["num_records"].to_pylist(), strict=True)
        if str(day) == last_sessions.run_date.isoformat()
    )
    return min(MOST_TASKS, 1 + rows // CONTEXTS_A_TASK)


def serving_of(
    registry: lake.ReadPartition, track_features: lake.ReadPartition, track_embeddings: lake.ReadPartition
) -> Serving:
    """The champion as of the features' day, its files held against their sha256; without one, the first
    listed policy that can stand in over the day's catalogue. Raises DataRefused for a champion that is not whole."""
    day = track_features.run_date
    champion = champion_as_of(registry, day)
    if champion is not None:
        return champion
    catalogue = night_catalogue(track_features, track_embeddings)
    return Baseline(next(policy for policy in listed.of_catalogue() if policy.can_stand_in(catalogue)), catalogue)
