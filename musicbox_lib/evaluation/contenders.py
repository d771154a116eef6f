"""The policies that an evaluation holds against each other, each with the catalogue it knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from musicbox_lib.policies.catalogue import Catalogue
from musicbox_lib.policies.ddpg_w import DdpgW
from musicbox_lib.policies.interface import Policy
from musicbox_lib.policies.item_knn import ItemKnn
from musicbox_lib.policies.popularity import Popularity
from musicbox_lib.policies.random import Random

if TYPE_CHECKING:
    from musicbox_lib.scoring.serving import Champion

CHAMPION = DdpgW.name
BASELINES = (ItemKnn.name, Popularity.name, Random.name)


@dataclass(frozen=True)
class Contender:
    """A policy and the catalogue whose positions it speaks in."""

    policy: Policy
    catalogue: Catalogue


def baselines(catalogue: Catalogue, seed: int) -> list[Contender]:
    """item_knn, popularity and random over one night's catalogue."""
    policies: tuple[Policy, ...] = (ItemKnn(catalogue), Popularity(catalogue), Random(catalogue, seed))
    return [Contender(policy, catalogue) for policy in policies]


def champion(model: Champion) -> Contender:
    """The model ready to answer; it is loaded once a process."""
    policy, catalogue = model.load()
    return Contender(policy, catalogue)
