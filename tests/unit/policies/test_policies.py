"""Every policy passes the suite that ships with the interface, one list names them all, and nobody else knows them."""

from __future__ import annotations

import ast
import dataclasses
import datetime as dt
import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

import numpy as np
import pytest
from numpy.typing import NDArray

from musicbox_lib.blocks.candidates import Candidates
from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.errors import UsageError
from musicbox_lib.evaluation.contenders import over_catalogue
from musicbox_lib.policies import listed
from musicbox_lib.policies.base import TEMPERATURE, Arrays, FittedPolicy, ModelPolicy
from musicbox_lib.policies.fit_inputs import FitInputs
from musicbox_lib.policies.popularity import Popularity
from musicbox_lib.policies.ranking import WholeCatalogue
from musicbox_lib.reports.diversity import Shelf
from musicbox_lib.reports.page import plots
from musicbox_lib.reports.variety import Tracks
from musicbox_lib.settings import PROJECT, settings
from musicbox_lib.testing.policies import assert_named, assert_policy, assert_proposals
from musicbox_lib.testing.small_world import SmallModel, small_catalogue, small_contexts, small_inputs

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FITTED = [one for one in listed.ALL if issubclass(one, FittedPolicy)]
OVER_A_MODEL = [one for one in listed.ALL if issubclass(one, ModelPolicy)]
EXAMPLE = "examples.a_policy:LeastSkipped"
KNOW_NO_NAMES = ("evaluation", "scoring", "reports", "upkeep", "privacy", "training/registration.py")
"""Where no policy's name may stand."""
# Keras 3.15 hands its variables to numpy 2 in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """MUSICBOX_POLICIES may be set in the test."""
    settings.cache_clear()
    yield monkeypatch
    settings.cache_clear()


@pytest.fixture(scope="module")
def inputs(spark: SparkSession) -> Iterator[FitInputs]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("musicbox_lib.policies.skip_lstm.EPOCHS", 1)
        patch.setattr("musicbox_lib.policies.skip_lightgbm.TREES", 10)
        made = small_inputs(spark)
        yield made
        made.release()


@pytest.mark.parametrize("policy", FITTED, ids=lambda one: one.name)
def test_every_fitted_policy_passes_the_suite(policy: type[FittedPolicy], inputs: FitInputs) -> None:
    assert_policy(policy, inputs)


@pytest.mark.parametrize("policy", OVER_A_MODEL, ids=lambda one: one.name)
def test_every_policy_over_a_model_passes_the_suite(policy: type[ModelPolicy]) -> None:
    catalogue = small_catalogue()
    assert_named(policy)
    assert_proposals(policy(SmallModel(), catalogue), small_contexts(), catalogue)


def test_a_policy_of_one_file_passes_the_suite_without_spark(named: pytest.MonkeyPatch) -> None:
    named.setenv("MUSICBOX_POLICIES", EXAMPLE)
    [policy] = listed.registered()[len(listed.ALL) :]
    assert issubclass(policy, FittedPolicy)
    assert_policy(policy, small_inputs())
    assert listed.of_plays()[-1] is policy
    assert len((PROJECT / "examples" / "a_policy.py").read_text().splitlines()) <= 40


def test_names_are_distinct_and_one_policy_is_the_champion() -> None:
    names = [policy.name for policy in listed.ALL]
    assert len(set(names)) == len(names)
    assert [policy.is_champion for policy in listed.of_model()] == [True, False]
    assert listed.champion() is listed.ALL[0]
    assert {*listed.of_model(), *listed.baselines()} == set(listed.ALL)


def test_a_file_of_policies_has_one_policy_with_its_fit_beside_it() -> None:
    modules = [policy.__module__ for policy in listed.ALL]
    assert len(set(modules)) == len(modules)
    for policy in listed.ALL:
        classes = [
            one
            for one in vars(importlib.import_module(policy.__module__)).values()
            if isinstance(one, type) and one.__module__ == policy.__module__ and hasattr(one, "propose")
        ]
        assert classes == [policy]
        learns = issubclass(policy, FittedPolicy) and "fit" in vars(policy)
        assert not learns or "from_arrays" in vars(policy), policy.name


def test_evaluation_scoring_reports_upkeep_and_privacy_know_no_names() -> None:
    """Names of candidates' sources (`interface.SOURCES`) stand in `scoring.reasons` alone: some are spelled alike."""
    names = {policy.name for policy in listed.ALL} | {policy.folder for policy in listed.of_model()}
    known = []
    for place in KNOW_NO_NAMES:
        path = PROJECT / "musicbox_lib" / place
        for file in [path] if path.is_file() else sorted([*path.rglob("*.py"), *path.rglob("*.html")]):
            if file.suffix == ".html":
                known += [(file.name, name) for name in names if f"'{name}" in file.read_text()]
                continue
            tree = ast.parse(file.read_text())
            words = {
                node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
            }
            known += [(file.name, name) for name in names if any(name == w or w.startswith(f"{name}-") for w in words)]
            imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
            known += [(file.name, one.__module__) for one in listed.ALL if one.__module__ in imported]
    assert sorted(known) == [("reasons.py", "item_knn"), ("reasons.py", "popularity")]


def test_only_its_own_folders_are_dated() -> None:
    assert listed.folder_day("ddpgw-2026-11-05-0badcafe") == dt.date(2026, 11, 5)
    assert listed.folder_day("baselines-2026-11-04-0badcafe") == dt.date(2026, 11, 4)
    for name in ("backup-2026-11-05-x", "baselines-2026-11-05", "registry", ".making-x", "xddpgw-2026-11-05-x"):
        assert listed.folder_day(name) is None


class Newest(Popularity):
    """A further policy that needs no plays."""

    name, label = "newest", "newest"


def test_a_further_policy_that_needs_no_plays_is_drawn_and_is_no_sixth_line_of_the_trend(
    named: pytest.MonkeyPatch,
) -> None:
    named.setenv("MUSICBOX_POLICIES", f"{__name__}:Newest")
    assert listed.of_catalogue()[-1].name == "newest"
    catalogue = small_catalogue()
    drawn = Shelf(catalogue, Tracks.of(catalogue, None), seed=1).policies
    assert [one.policy.name for one in over_catalogue(drawn, catalogue, 1)][-1] == "newest"
    assert plots.names()["newest"] == "newest"
    assert len(plots.trend()) == 5 and "newest" not in plots.trend()


class Unfinished(WholeCatalogue):
    name, label = "unfinished", "unfinished"


class Misnamed(Popularity):
    name = "../popularity"


class Unlabelled(Popularity):
    name, label = "unlabelled", ""


class Again(Popularity):
    """The name of another."""


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        (
            "no_such_module:Mine",
            r"which cannot be imported \(ModuleNotFoundError: .*\): give",
        ),
        ("examples.a_policy:Mine", r"which cannot be imported \(AttributeError: .*\): give module:Class"),
        ("examples.a_policy", r"which cannot be imported"),
        ("examples.a_policy:PRIOR", r"which is no policy: derive the class from FittedPolicy"),
        (f"{__name__}:Unfinished", r"which lacks from_arrays, scores: write it"),
        (f"{__name__}:Misnamed", r"which has the name '../popularity': give it one of lower-case letters"),
        (f"{__name__}:Unlabelled", r"which has no label: give it one for the page"),
        (f"{__name__}:Again", r"whose name 'popularity' another policy has: rename it"),
        (f"{EXAMPLE},{EXAMPLE}", r"whose name 'least_skipped' another policy has"),
    ],
)
def test_what_is_no_policy_is_refused_in_a_sentence(named: pytest.MonkeyPatch, word: str, sentence: str) -> None:
    named.setenv("MUSICBOX_POLICIES", word)
    with pytest.raises(UsageError, match=f"^MUSICBOX_POLICIES names .*{sentence}"):
        listed.registered()


class Broken(WholeCatalogue):
    """A policy whose faults the tests below add one by one."""

    name, label = "broken", "broken"

    @classmethod
    def from_arrays(cls, arrays: Arrays, catalogue: Catalogue, temperature: float = TEMPERATURE) -> Self:
        return cls(catalogue, temperature)

    def scores(self, contexts: ContextBlock) -> NDArray[np.float64]:
        return np.tile(np.arange(len(self.catalogue)) / 10.0, (len(contexts), 1))


class HeardAgain(Broken):
    def propose(self, contexts: ContextBlock) -> Candidates:
        unheard = dataclasses.replace(contexts, in_session=np.zeros_like(contexts.in_session))
        return super().propose(unheard)


class TooSure(Broken):
    def propose(self, contexts: ContextBlock) -> Candidates:
        found = super().propose(contexts)
        return dataclasses.replace(found, probabilities=found.probabilities * 1.01)


class Double(Broken):
    def propose(self, contexts: ContextBlock) -> Candidates:
        found = super().propose(contexts)
        return dataclasses.replace(
            found, tracks=np.where(found.tracks >= 0, found.tracks.max(axis=1, keepdims=True), -1)
        )


class Moody(Broken):
    def scores(self, contexts: ContextBlock) -> NDArray[np.float64]:
        return super().scores(contexts) + np.random.default_rng().normal(size=len(self.catalogue))


class ByBlock(Broken):
    def scores(self, contexts: ContextBlock) -> NDArray[np.float64]:
        return super().scores(contexts) * len(contexts)


class Wide(Broken):
    def propose(self, contexts: ContextBlock) -> Candidates:
        found = super().propose(contexts)
        return dataclasses.replace(found, scores=found.scores.astype(np.float64))


class LessThanItSays(Broken):
    def propose(self, contexts: ContextBlock) -> Candidates:
        return dataclasses.replace(super().propose(contexts), explore=0.5)


class Forgetful(Broken):
    @classmethod
    def fit(cls, inputs: FitInputs) -> Arrays:
        return {"weights": np.random.default_rng().normal(size=3)}


class Pickled(Broken):
    @classmethod
    def fit(cls, inputs: FitInputs) -> Arrays:
        return {"words": np.array(["a", None], dtype=object)}


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        (HeardAgain, "has a track that its session has heard"),
        (TooSure, "chances of a row do not sum to 1"),
        (Double, "has a track twice"),
        (Moody, "proposes something else"),
        (ByBlock, "alone get other chances than in the block"),
        (Wide, "scores are float64, not float32"),
        (LessThanItSays, "less than its part of the exploring share"),
        (Forgetful, "a second fit on the same inputs has another weights"),
        (Pickled, "words holds objects"),
    ],
)
def test_the_suite_finds_each_fault(policy: type[FittedPolicy], sentence: str) -> None:
    assert_policy(Broken, small_inputs())
    with pytest.raises(AssertionError, match=sentence):
        assert_policy(policy, small_inputs())
