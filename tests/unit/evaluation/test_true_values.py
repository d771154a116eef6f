"""Policies whose truth is known, fed through the public interface: they get exactly the value that the truth gives."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from catalogues import candidates, likeliest, make_catalogue

from musicbox_lib.blocks.candidates import Candidates
from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.blocks.slates import top_shares
from musicbox_lib.evaluation.contenders import Contender
from musicbox_lib.evaluation.true_values import answers_of
from musicbox_lib.policies.random import Random
from musicbox_lib.synthetic.generate import generate
from musicbox_lib.synthetic.truth import Truth

NIGHT = dt.date(2026, 11, 5)
USERS = np.array([f"u_{number:06d}" for number in range(80)])


@dataclass(frozen=True)
class World:
    truth: Truth
    catalogue: Catalogue
    contexts: pa.Table


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """80 listeners and 120 tracks; contexts hold what the truth says was heard in the last session."""
    folder = tmp_path_factory.mktemp("world")
    generate(
        users=80, tracks=120, days=1, seed=5, from_date=NIGHT, lake=folder / "lake", truth=folder / "truth", workers=1
    )
    truth = Truth(folder / "truth")
    [delivery] = (folder / "lake" / "landing" / "session_logs").rglob("*.csv.gz")
    log = pd.read_csv(delivery).sort_values(["session_id", "session_position"])
    # Sessions of a user follow each other by their first play's day and hour, then by id.
    opened = log[log["session_position"] == 1].sort_values(["user_id", "date", "hour_of_day", "session_id"])
    last = opened.groupby("user_id")["session_id"].last()
    plays = log.groupby("session_id")["track_id_clean"].apply(list)
    heard = {str(user): plays[session] for user, session in last.items()}
    catalogue = make_catalogue(120)
    object.__setattr__(catalogue, "track_ids", np.array(sorted(truth.tracks.ids)))
    rows = [
        {
            "user_id": user, "fold": 0, "track_ids": heard[user], "skip_grades": [0] * len(heard[user]),
            "n_in_session": len(heard[user]), "user_plays": 0, "user_skips": 0, "context_type": "radio",
            "hour_of_day": 1, "is_shuffle": False, "premium": True,
        }
        for user in USERS
    ]  # fmt: skip
    return World(truth, catalogue, pa.Table.from_pylist(rows))


class Told:
    """A policy that recommends slates it was told, by user."""

    name = "told"

    def __init__(self, catalogue: Catalogue, slates: Any) -> None:
        self._slates = dict(zip(USERS.tolist(), catalogue.positions(slates.ravel()).reshape(-1, 3), strict=True))

    def propose(self, contexts: ContextBlock) -> Candidates:
        return likeliest(np.array([self._slates[user] for user in contexts.keys]))


@pytest.mark.parametrize("which", ["oracle_slate", "anti_oracle_slate"])
def test_the_best_and_the_worst_slates_get_the_truths_value(world: World, which: str) -> None:
    slates = getattr(world.truth, which)(USERS, NIGHT)
    found = answers_of(Contender(Told(world.catalogue, slates), world.catalogue), world.contexts, world.truth, NIGHT)
    assert (found.slates == slates).all()
    assert found.skip == pytest.approx(world.truth.slate_value(USERS, slates, NIGHT), abs=1e-12)
    coverage, ild = found.variety(world.truth)
    assert coverage == len(np.unique(slates)) / 120
    assert ild is not None and 0 < ild < 2


def test_the_oracle_is_best_and_the_anti_oracle_worst(world: World) -> None:
    values = {
        which: world.truth.slate_value(USERS, getattr(world.truth, which)(USERS, NIGHT), NIGHT).mean()
        for which in ("oracle_slate", "anti_oracle_slate")
    }
    random = world.truth.random_value(USERS, NIGHT).mean()
    assert values["oracle_slate"] < random - 0.1
    assert values["anti_oracle_slate"] > random + 0.1


def test_random_gets_the_mean_over_the_unheard(world: World) -> None:
    found = answers_of(Contender(Random(world.catalogue, 1), world.catalogue), world.contexts, world.truth, NIGHT)
    assert found.skip == pytest.approx(world.truth.random_value(USERS, NIGHT), abs=1e-12)
    # All tracks are alike to it: nothing decides its slates.
    assert found.variety(world.truth) == (None, None)


def test_equal_candidates_share_the_places_that_are_left() -> None:
    """.4 is first; three of .2 share two places; a pad has none; two candidates fill two of three places."""
    found = candidates([[0, 1, 2, 3, -1], [5, 6, -1, -1, -1]], [[0.4, 0.2, 0.2, 0.2, 0], [0.5, 0.5, 0, 0, 0]])
    assert top_shares(found) == pytest.approx(np.array([[1, 2 / 3, 2 / 3, 2 / 3, 0], [1, 1, 0, 0, 0]]))
