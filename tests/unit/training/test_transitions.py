"""Transitions: each part of a row stands for the moment that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from frames import DAY, each, frame, listeners, session

from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.blocks.state import encode_states, state_dim
from musicbox_lib.sessions.last_sessions import last_sessions
from musicbox_lib.training.transitions import transitions

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

EVENTS = "silver.listening_events"
E = 3
ROWS = [
    *listeners(6, 8, seed=4),
    *session("ada", "last", ["t000", "t003", "t001"], [0, None, 2], dt=DAY, session_hour=23),
]


def gold(spark: SparkSession) -> tuple[DataFrame, DataFrame]:
    rng = np.random.default_rng(0)
    names = sorted({row["track_id"] for row in ROWS})
    features = [{"track_id": name, "quality_by_fold": rng.normal(size=10).tolist()} for name in names]
    embeddings = [{"track_id": name, "embedding": rng.normal(size=E).tolist()} for name in names]
    return frame(spark, "gold.track_features", features), frame(spark, "gold.track_embeddings", embeddings)


@pytest.fixture(scope="module")
def found(spark: SparkSession) -> pd.DataFrame:
    features, embeddings = gold(spark)
    rows = transitions(frame(spark, EVENTS, ROWS), features, embeddings, DAY).toPandas()
    return rows.sort_values(["session_id", "session_position"], ignore_index=True)


def test_a_transition_for_every_labelled_play_of_one_length(found: pd.DataFrame) -> None:
    labelled = [(row["session_id"], row["session_position"]) for row in ROWS if row["skip_grade"] is not None]
    assert list(zip(found["session_id"], found["session_position"], strict=True)) == sorted(labelled)
    for name, length in (("o_tm1", state_dim(E)), ("o_t", state_dim(E)), ("a_tm1", E + 1)):
        assert {len(row) for row in found[name]} == {length}
    assert found["r_t"].tolist() == pytest.approx(
        [{0: 1, 1: 0.6, 2: 0.1, 3: 0}[grade] for grade in found["skip_grade"]]
    )


def test_the_state_after_a_play_is_the_state_before_the_next(found: pd.DataFrame) -> None:
    """The two are made in different ways: one from the next play's context, one from this context and answer."""
    compared = 0
    for row, following in zip(each(found[:-1]), each(found[1:]), strict=True):
        if row.session_id == following.session_id and following.session_position == row.session_position + 1:
            assert row.d_t == 1
            assert row.o_t == pytest.approx(following.o_tm1, abs=1e-6)
            compared += 1
    assert compared > 150
    ends = found[found["d_t"] == 0]
    assert len(ends) == len({row["session_id"] for row in ROWS})
    assert not np.stack(ends["o_t"].tolist()).any()


def test_the_action_carries_the_quality_without_the_users_own_fold(spark: SparkSession, found: pd.DataFrame) -> None:
    features, embeddings = (part.toPandas() for part in gold(spark))
    quality_of: dict[str, Any] = dict(zip(features["track_id"], features["quality_by_fold"], strict=True))
    embedding_of: dict[str, Any] = dict(zip(embeddings["track_id"], embeddings["embedding"], strict=True))
    for row in each(found):
        quality = quality_of[row.track_id][row.fold]
        assert row.a_tm1 == pytest.approx([*embedding_of[row.track_id], quality])


def test_training_and_scoring_see_one_moment_alike(spark: SparkSession) -> None:
    """The state that scoring would have of ada after two plays is the one that the third play is trained on."""
    after_two = [row for row in ROWS if not (row["session_id"] == "last" and row["session_position"] == 3)]
    scored = last_sessions(frame(spark, EVENTS, after_two), DAY, 30).where("user_id = 'ada'").toPandas()
    features, embeddings = gold(spark)
    catalogue = Catalogue.of(features.toPandas(), embeddings.toPandas())
    state: Any = encode_states(ContextBlock.of(scored, catalogue), catalogue)[0]
    trained = transitions(frame(spark, EVENTS, ROWS), features, embeddings, DAY).where(
        "session_id = 'last' AND session_position = 3"
    )
    assert trained.toPandas()["o_tm1"][0] == pytest.approx(state, abs=1e-6)
