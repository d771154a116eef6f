"""Scoring without a model: slates of a tiny lake end to end, the reasons, the audit."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from catalogues import make_catalogue, make_contexts
from small_night import DAY, context_rows, write, write_tracks

from musicbox_lib.blocks.candidates import SOURCES
from musicbox_lib.blocks.slates import Slates, Spread
from musicbox_lib.contract.tables import table
from musicbox_lib.errors import DataRefused
from musicbox_lib.lake import ReadPartition
from musicbox_lib.models.champion import Champion, champion_as_of
from musicbox_lib.policies.item_knn import ItemKnn
from musicbox_lib.scoring.audit import count_faults, refuse_faults
from musicbox_lib.scoring.reasons import REASONS, reasons
from musicbox_lib.scoring.serving import MOST_TASKS, Baseline, serving_of, tasks_for
from musicbox_lib.scoring.top3_recommendations import SCHEMA, recommend_block, slate_seed, top3_recommendations

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

REGISTRY = ReadPartition.parse("models.registry")


def contexts_of(spark: SparkSession, rows: list[dict[str, Any]]) -> DataFrame:
    found = table("gold.last_sessions")
    return spark.createDataFrame([tuple(row[name] for name in found.column_names) for row in rows], found.ddl)


def a_world(users: int = 40) -> tuple[Baseline, list[dict[str, Any]]]:
    rng = np.random.default_rng(0)
    near = {t: [(int(o), 0.9 - 0.01 * i) for i, o in enumerate(rng.permutation(50)[:20]) if o != t] for t in range(50)}
    catalogue = make_catalogue(50, near, plays=list(range(50)), artists=[t // 3 for t in range(50)])
    histories = {
        f"user-{i}": [(int(t), int(rng.integers(-1, 4))) for t in rng.integers(0, 50, size=12)] for i in range(users)
    }
    return Baseline(ItemKnn, catalogue), context_rows(histories, in_session=10)


def slates_of(spark: SparkSession, rows: list[tuple[str, int, str, float]]) -> DataFrame:
    full = [
        (DAY, user, rank, track, 0.0, chance, "actor", "exploring", None, "m") for user, rank, track, chance in rows
    ]
    return spark.createDataFrame(full, table("scores.top3_recommendations").ddl)


def test_columns_are_the_contracts() -> None:
    assert tuple(SCHEMA.names) == table("scores.top3_recommendations").column_names


def test_every_active_user_has_three_distinct_unheard_tracks(spark: SparkSession) -> None:
    serving, rows = a_world()
    contexts = contexts_of(spark, rows)
    scored = top3_recommendations(contexts, serving, slate_seed(1, DAY)).persist()
    assert refuse_faults(scored, contexts, 50) == 40
    found = {(row["user_id"], row["rank"]): row for row in scored.collect()}
    assert len(found) == 120
    for row in rows:
        slate = [found[row["user_id"], rank]["track_id"] for rank in (1, 2, 3)]
        assert len(set(slate)) == 3
        assert not set(slate) & set(row["track_ids"][-10:])
        assert len({int(track[1:]) // 3 for track in slate}) == 3  # artists
    assert {row["model_id"] for row in found.values()} == {"item_knn"}
    again = top3_recommendations(contexts.repartition(3), serving, slate_seed(1, DAY)).collect()
    assert sorted(map(tuple, again), key=str) == sorted(map(tuple, found.values()), key=str)


def test_audit_finds_each_planted_fault(spark: SparkSession) -> None:
    users = {name: [(1, 0), (2, 0), (3, 0)] for name in ("good", "none", "two", "twice", "heard", "ranks", "chance")}
    contexts = contexts_of(spark, context_rows(users, in_session=2))
    good = [(1, "t001", 0.5), (2, "t005", 1.0), (3, "t006", 0.1)]  # t001 was heard in an older session
    slates = {
        "good": good,
        "two": good[:2],
        "twice": [(1, "t004", 0.5), (2, "t004", 0.5), (3, "t006", 0.5)],
        "heard": [(1, "t004", 0.5), (2, "t003", 0.5), (3, "t006", 0.5)],
        "ranks": [(1, "t004", 0.5), (2, "t005", 0.5), (4, "t006", 0.5)],
        "chance": [(1, "t004", 0.0), (2, "t005", 0.5), (3, "t006", 0.5)],
        "stranger": good,
    }
    rows = [(user, *row) for user, slate in slates.items() for row in slate]
    counts = count_faults(slates_of(spark, rows), contexts)
    assert counts == {"users": 7, "unknown": 1, "too_few": 2, "twice": 1, "ranks": 1, "heard": 1, "chances": 1}
    with pytest.raises(
        DataRefused,
        match="2 of 2 users have fewer than three unheard tracks .* 4 tracks: deliver more.* 'none' with no slate; ",
    ):
        refuse_faults(slates_of(spark, rows[3:5]), contexts.where("user_id IN ('none', 'two')"), 4)
    told = (
        "have a track twice, one of them 'twice' with tracks t004, t004, t006 at ranks 1, 2, 3, chances 0.5, 0.5, 0.5"
    )
    with pytest.raises(DataRefused, match=told):
        refuse_faults(slates_of(spark, rows[5:8]), contexts.where("user_id = 'twice'"), 4)


def test_blocks_do_not_change_slates() -> None:
    serving, rows = a_world()
    batch = pa.Table.from_pylist(rows).combine_chunks().to_batches()[0]
    policy, catalogue = serving.load()
    spread = Spread.of(catalogue)
    whole = recommend_block(batch, policy, catalogue, spread, "m", 5)
    parts = [recommend_block(batch.slice(at, 7), policy, catalogue, spread, "m", 5) for at in range(0, 40, 7)]
    assert pa.Table.from_batches(parts).combine_chunks() == pa.Table.from_batches([whole])
    assert whole.num_rows == 120
    assert recommend_block(batch.slice(0, 0), policy, catalogue, spread, "m", 5).num_rows == 0


def test_reasons_point_to_the_most_similar_liked_play() -> None:
    embedding = np.zeros((8, 3), dtype=np.float32)
    embedding[[0, 4], 0] = 1.0  # 4 is the same as 0
    embedding[1] = [0.6, 0.8, 0.0]
    embedding[2, 1] = 1.0
    embedding[5, 2] = 1.0  # 5 is near nothing
    catalogue = make_catalogue(8, {1: [(6, 0.4)], 2: [(6, 0.7)]}, embedding=embedding)
    contexts = make_contexts([[(0, 3), (1, 0), (2, 0)], [(0, 0), (1, 0)], [(0, 2)]], [1, 1, 1])
    actor, knn, popular, explore = (SOURCES.index(name) for name in ("actor", "item_knn", "popularity", "explore"))
    slates = Slates(
        tracks=np.array([[4, 5, 6], [4, 6, 7], [4, 6, 3]], dtype=np.int32),
        propensity=np.full((3, 3), 0.5),
        score=np.zeros((3, 3)),
        source=np.array([[actor, actor, knn], [actor, knn, popular], [actor, explore, popular]], dtype=np.int8),
    )
    codes, because = reasons(slates, contexts, catalogue)
    named = [[REASONS[code] for code in row] for row in codes]
    # User 0 skipped track 0, so 4 is there for track 1 (cosine .6); 6 stands nearer to 2 (.7) than to 1 (.4).
    assert named[0] == ["near_liked_track", "fits_session", "item_knn_of_liked"]
    assert because[0].tolist() == [1, -1, 2]
    assert named[1] == ["near_liked_track", "item_knn_of_liked", "popular_in_catalogue"]
    assert because[1].tolist() == [0, 1, -1]
    # User 2 liked nothing.
    assert named[2] == ["fits_session", "exploring", "popular_in_catalogue"]
    assert because[2].tolist() == [-1, -1, -1]


def test_item_knn_serves_no_reason_that_only_a_model_could_have() -> None:
    """Case 11 c: plays without a label, and late skips, speak for their neighbours too."""
    catalogue = make_catalogue(9, {0: [(3, 0.4), (4, 0.3)], 1: [(4, 0.9), (5, 0.5)], 2: [(6, 0.8), (7, 0.7)]})
    contexts = make_contexts([[(0, -1), (1, -1)], [(0, 1), (2, 3), (1, 0)], [(2, 2), (0, -1)]], [2, 3, 2])
    knn = SOURCES.index("item_knn")
    slates = Slates(
        tracks=np.array([[4, 5, 3], [3, 4, 5], [3, 4, -1]], dtype=np.int32),
        propensity=np.full((3, 3), 0.5),
        score=np.zeros((3, 3)),
        source=np.full((3, 3), knn, dtype=np.int8),
    )
    codes, because = reasons(slates, contexts, catalogue)
    named = [[REASONS[code] for code in row] for row in codes]
    assert named[0] == ["item_knn_of_heard"] * 3
    assert because[0].tolist() == [1, 1, 0]
    # What was not skipped comes first: 4 stands with 1 (not skipped) and, less near, with 0 (skipped late).
    assert named[1] == ["item_knn_of_heard", "item_knn_of_liked", "item_knn_of_liked"]
    assert because[1].tolist() == [0, 1, 1]
    assert named[2][:2] == ["item_knn_of_heard"] * 2
    assert because[2].tolist()[:2] == [0, 0]


def test_whatever_was_heard_no_slate_of_item_knn_fits_as_the_model_sees_it() -> None:
    serving, rows = a_world()
    for row in rows:
        row["skip_grades"] = [-1] * len(row["skip_grades"])
    batch = pa.Table.from_pylist(rows).combine_chunks().to_batches()[0]
    policy, catalogue = serving.load()
    slates = recommend_block(batch, policy, catalogue, Spread.of(catalogue), "item_knn", 5).to_pylist()
    codes = {row["reason_code"] for row in slates if row["source"] == "item_knn"}
    assert codes == {"item_knn_of_heard"}
    assert [row for row in slates if row["reason_code"] == "item_knn_of_heard" and not row["because_track_id"]] == []


@pytest.mark.parametrize(("neighbours", "name"), [(True, "item_knn"), (False, "popularity")])
def test_without_a_champion_a_baseline_serves(
    spark: SparkSession, lake_root: Path, neighbours: bool, name: str
) -> None:
    write_tracks(5, neighbours)
    serving = serving_of(
        REGISTRY,
        ReadPartition.parse(f"gold.track_features/dt={DAY}"),
        ReadPartition.parse(f"gold.track_embeddings/dt={DAY}"),
    )
    assert isinstance(serving, Baseline)
    assert (serving.model_id, serving.size) == (name, 5)
    assert serving.load()[0].name == name


def test_only_promoted_models_not_after_the_day_serve(spark: SparkSession, lake_root: Path) -> None:
    assert champion_as_of(REGISTRY, DAY) is None
    one = {"status": "candidate", "files": {}}
    write(
        "models.registry",
        [
            {**one, "model_id": "too_new", "dt": DAY + dt.timedelta(days=1), "promoted": True},
            {**one, "model_id": "not_promoted", "dt": DAY, "promoted": False},
        ],
    )
    assert champion_as_of(REGISTRY, DAY) is None
    write("models.registry", [{**one, "model_id": "older", "dt": DAY - dt.timedelta(days=3), "promoted": True}])
    with pytest.raises(DataRefused, match="has older as the champion of 2026-11-05, but there is no model in .*older"):
        champion_as_of(REGISTRY, DAY)


def test_a_small_night_starts_tensorflow_in_one_worker(
    spark: SparkSession, lake_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = ReadPartition.parse(f"gold.last_sessions/dt={DAY}")
    champion = Champion("m", DAY, "folder", ())
    for part in range(3):
        write("gold.last_sessions", context_rows({f"u{part}-{i}": [(1, 0)] for i in range(4)}, in_session=1))
    assert tasks_for(day, champion) == 1
    monkeypatch.setattr("musicbox_lib.scoring.serving.CONTEXTS_A_TASK", 5)
    assert tasks_for(day, champion) == 3  # 12 contexts: 5, 5 and 2
    assert tasks_for(day, a_world(1)[0]) == MOST_TASKS


def test_item_knn_is_the_served_policy() -> None:
    assert isinstance(a_world(1)[0].load()[0], ItemKnn)
