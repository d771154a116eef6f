"""The policies that an evaluation holds against each other, each with the catalogue it knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from musicbox_lib.blocks.candidates import Policy
from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.policies import listed
from musicbox_lib.policies.base import FittedPolicy, ModelPolicy

if TYPE_CHECKING:
    from musicbox_lib.models.champion import Champion
    from musicbox_lib.models.fitted_baselines import Baselines

LOGGED = "logged"
"""The log itself, as a policy's name."""
SEGMENTS = ("all", "premium", "free", "held_out")
"""Everybody; who pays and who does not; the users that nothing was ever fitted on."""
CHAMPION = listed.champion().name
"""The champion's name in every report, whichever model it is."""


@dataclass(frozen=True)
class Contender:
    """A policy and the catalogue whose positions it speaks in."""

    policy: Policy
    catalogue: Catalogue


def contenders_of(
    champion: Champion | None,
    catalogue: Catalogue,
    fitted: Baselines | None,
    seed: int,
    policies: Sequence[type[FittedPolicy]],
) -> list[Contender]:
    """The champion, if there is one, the `policies` over one night's catalogue, then the fitted ones, if there are any;
    what was trained is loaded once a process."""
    found = []
    if champion is not None:
        found.append(Contender(*champion.load()))
    found += over_catalogue(policies, catalogue, seed)
    if fitted is not None:
        loaded, own = fitted.load()
        found += [Contender(policy, own) for policy in loaded]
    return found


def over_catalogue(policies: Sequence[type[FittedPolicy]], catalogue: Catalogue, seed: int) -> list[Contender]:
    """Policies that need no plays, over one night's catalogue."""
    return [Contender(policy.over(catalogue, seed), catalogue) for policy in policies]


def variants_of(champion: Contender) -> list[Contender]:
    """The champion's variants over the same model; none of a policy that has no model."""
    own = champion.policy
    if not isinstance(own, ModelPolicy):
        return []
    variants = [policy for policy in listed.of_model() if not policy.is_champion]
    return [Contender(policy(own.model, own.catalogue), champion.catalogue) for policy in variants]
