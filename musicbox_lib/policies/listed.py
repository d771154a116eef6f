"""The policies: `ALL` is the only list of this house's own, `MUSICBOX_POLICIES` names further ones.

The order is that of every report: the champion, what a night's catalogue alone makes, what the training fits.
"""

from __future__ import annotations

import datetime as dt
import importlib
import inspect
import re
from functools import lru_cache
from typing import Any

from musicbox_lib.errors import UsageError
from musicbox_lib.policies.als import Als
from musicbox_lib.policies.audio_centroid import AudioCentroid
from musicbox_lib.policies.bandit import Bandit
from musicbox_lib.policies.base import FittedPolicy, ListedPolicy, ModelPolicy
from musicbox_lib.policies.ddpg_w import DdpgW
from musicbox_lib.policies.ddpg_w_actor import ActorAlone
from musicbox_lib.policies.item_knn import ItemKnn
from musicbox_lib.policies.item_knn_by_user import ItemKnnByUser
from musicbox_lib.policies.popularity import Popularity
from musicbox_lib.policies.popularity_in_context import PopularityInContext
from musicbox_lib.policies.random import Random
from musicbox_lib.policies.session_knn import SessionKnn
from musicbox_lib.policies.skip_lightgbm import SkipLightgbm
from musicbox_lib.policies.skip_logistic import SkipLogistic
from musicbox_lib.policies.skip_lstm import SkipLstm
from musicbox_lib.settings import settings

ALL: tuple[type[ListedPolicy], ...] = (
    *(DdpgW, ActorAlone),
    *(ItemKnn, Popularity, Random),
    *(PopularityInContext, AudioCentroid, SessionKnn, ItemKnnByUser, Als),
    *(SkipLogistic, SkipLightgbm, SkipLstm, Bandit),
)
FITTED_FOLDER = "baselines"
"""The word that the names of the folders of fitted policies begin with: `baselines-D-<8 hex>`."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


def registered() -> tuple[type[ListedPolicy], ...]:
    """`ALL`, then those that `MUSICBOX_POLICIES` names. Raises UsageError for one that cannot be imported or is no
    policy."""
    return ALL + _named(settings().policies)


def of_catalogue() -> tuple[type[FittedPolicy], ...]:
    """Those that are made of a night's own catalogue."""
    return tuple(one for one in registered() if issubclass(one, FittedPolicy) and not one.needs_plays)


def of_plays() -> tuple[type[FittedPolicy], ...]:
    """Those that a training fits on plays."""
    return tuple(one for one in registered() if issubclass(one, FittedPolicy) and one.needs_plays)


def baselines() -> tuple[type[FittedPolicy], ...]:
    """Everything that the champion is compared with, in the order of every report."""
    return of_catalogue() + of_plays()


def of_model() -> tuple[type[ModelPolicy], ...]:
    """Those over a trained model: the champion first, then its variants."""
    found = [one for one in registered() if issubclass(one, ModelPolicy)]
    return tuple(sorted(found, key=lambda one: not one.is_champion))


def champion() -> type[ModelPolicy]:
    """The policy as which a promoted model serves."""
    return of_model()[0]


def folder_day(name: str) -> dt.date | None:
    """The day in the name of a folder of a model or of fitted policies; None for a name of another form."""
    kinds = "|".join(re.escape(kind) for kind in (FITTED_FOLDER, *(one.folder for one in of_model())))
    found = re.fullmatch(rf"(?:{kinds})-(\d{{4}}-\d\d-\d\d)-.+", name)
    return None if found is None else dt.date.fromisoformat(found[1])


@lru_cache
def _named(words: str) -> tuple[type[ListedPolicy], ...]:
    found: list[type[ListedPolicy]] = []
    for word in filter(None, (part.strip() for part in words.split(","))):
        policy = _imported(word)
        if policy.name in {one.name for one in (*ALL, *found)}:
            raise UsageError(
                f"MUSICBOX_POLICIES names {word}, whose name {policy.name!r} another policy has: rename it."
            )
        found.append(policy)
    return tuple(found)


def _imported(word: str) -> type[FittedPolicy]:
    module, _, name = word.partition(":")
    try:
        policy: Any = getattr(importlib.import_module(module), name)
    except Exception as broken:
        raise UsageError(
            f"MUSICBOX_POLICIES names {word}, which cannot be imported ({type(broken).__name__}: {broken}): give "
            "module:Class, of a module that Python finds."
        ) from None
    if wrong := _wrong_with(policy):
        raise UsageError(f"MUSICBOX_POLICIES names {word}, which {wrong} (docs/extend/policy.md).")
    found: type[FittedPolicy] = policy
    return found


def _wrong_with(policy: Any) -> str | None:
    """What keeps an object from being a policy that can be listed, in words; None where nothing does."""
    if not (inspect.isclass(policy) and issubclass(policy, FittedPolicy)):
        return "is no policy: derive the class from FittedPolicy, Ranked or WholeCatalogue"
    if missing := sorted(getattr(policy, "__abstractmethods__", ())):
        return f"lacks {', '.join(missing)}: write it"
    name, label = getattr(policy, "name", None), getattr(policy, "label", None)
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        return f"has the name {name!r}: give it one of lower-case letters, digits and underscores"
    if not (isinstance(label, str) and label):
        return "has no label: give it one for the page"
    return None
