"""The policies that an evaluation holds against each other, each with the catalogue it knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from musicbox_lib.policies.catalogue import Catalogue
from musicbox_lib.policies.ddpg_w import ActorAlone, DdpgW
from musicbox_lib.policies.fitted import NAMES
from musicbox_lib.policies.interface import Policy
from musicbox_lib.policies.item_knn import ItemKnn
from musicbox_lib.policies.popularity import Popularity
from musicbox_lib.policies.random import Random

if TYPE_CHECKING:
    from musicbox_lib.policies.fitted import Baselines
    from musicbox_lib.scoring.serving import Champion

LOGGED = "logged"
"""The log itself, as a policy's name."""
SEGMENTS = ("all", "premium", "free", "held_out")
"""Everybody; who pays and who does not; the users that nothing was ever fitted on."""
CHAMPION = DdpgW.name
UNTRAINED = (ItemKnn.name, Popularity.name, Random.name)
"""Baselines over a night's own catalogue, which need nothing but its gold tables."""
BASELINES = (*UNTRAINED, *NAMES)
"""Every baseline, in the order of every report."""


@dataclass(frozen=True)
class Contender:
    """A policy and the catalogue whose positions it speaks in."""

    policy: Policy
    catalogue: Catalogue


def contenders_of(
    champion: Champion | None, catalogue: Catalogue, fitted: Baselines | None, seed: int
) -> list[Contender]:
    """The champion, if there is one, the baselines over one night's catalogue, then the fitted ones, if there are any;
    what was trained is loaded once a process."""
    found = []
    if champion is not None:
        found.append(Contender(*champion.load()))
    found += untrained(catalogue, seed)
    if fitted is not None:
        policies, own = fitted.load()
        found += [Contender(policy, own) for policy in policies]
    return found


def untrained(catalogue: Catalogue, seed: int) -> list[Contender]:
    """item_knn, popularity and random over one night's catalogue."""
    policies: tuple[Policy, ...] = (ItemKnn(catalogue), Popularity(catalogue), Random(catalogue, seed))
    return [Contender(policy, catalogue) for policy in policies]


def actor_of(champion: Contender) -> Contender:
    """The champion's actor without its helpers."""
    assert isinstance(champion.policy, DdpgW)
    return Contender(ActorAlone(champion.policy), champion.catalogue)
