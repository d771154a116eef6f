"""Embeddings: planted clusters are found, with audio and without, and the same rows give the same bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from frames import DAY, each, frame, listeners, session

from musicbox_lib.features.coordinates import Pairs, coordinates
from musicbox_lib.features.neighbours import SHRINKAGE, nearest
from musicbox_lib.features.track_embeddings import pairs_of_plays, strongest, track_embeddings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EVENTS = "silver.listening_events"
CLUSTERS, SIZE = 6, 20
CLUSTER = np.repeat(np.arange(CLUSTERS), SIZE)


def planted(sessions: int, seed: int, length: int = 12, own: float = 0.7) -> Pairs:
    """Pairs of sessions that draw most plays from one cluster, the rest from anywhere."""
    rng = np.random.default_rng(seed)
    k = len(CLUSTER)
    liked, first, second = np.zeros((k, k)), np.zeros((k, k)), np.zeros((k, k))
    for number in range(sessions):
        inside = rng.integers(0, SIZE, length) + SIZE * rng.integers(0, CLUSTERS)
        plays = np.where(rng.random(length) < own, inside, rng.integers(0, k, length))
        for one in range(length):
            for other in range(one + 1):
                a, b = sorted((plays[one], plays[other]))
                liked[a, b] += 1
                (first if number % 2 else second)[a, b] += 1
    a, b = np.nonzero(first + second)
    return Pairs(k, a, b, liked[a, b], first[a, b], second[a, b])


def share_of_own_cluster(embedding: np.ndarray[Any, Any], nearest_n: int = 5) -> float:
    likeness = embedding @ embedding.T
    np.fill_diagonal(likeness, -9)
    near = np.argsort(-likeness, axis=1)[:, :nearest_n]
    return float((CLUSTER[near] == CLUSTER[:, None]).mean())


def silent(n: int) -> np.ndarray[Any, Any]:
    return np.zeros(n, dtype=np.bool_)


def test_planted_clusters_are_found_from_sessions_alone() -> None:
    embedding, heard = coordinates(planted(600, seed=1), silent(len(CLUSTER)), None)
    assert embedding.shape == (len(CLUSTER), 24) and heard.all()
    assert np.linalg.norm(embedding, axis=1) == pytest.approx(1, abs=1e-4)
    assert share_of_own_cluster(embedding) > 0.8


def test_audio_that_sessions_share_is_told_from_audio_that_they_do_not() -> None:
    """Few and mixed sessions, which alone show little of the clusters; audio of which one column in ten matters."""
    rng = np.random.default_rng(2)
    pairs = planted(60, seed=3, own=0.4)
    centres = rng.normal(size=(CLUSTERS, 3))
    audio = np.concatenate(
        [centres[CLUSTER] + 0.2 * rng.normal(size=(len(CLUSTER), 3)), rng.normal(size=(len(CLUSTER), 27))], 1
    )
    audio = ((audio - audio.mean(0)) / audio.std(0)).astype(np.float32)
    everywhere = ~silent(len(CLUSTER))
    with_audio, _ = coordinates(pairs, everywhere, audio)
    alone, _ = coordinates(pairs, silent(len(CLUSTER)), None)
    plain = audio / np.linalg.norm(audio, axis=1, keepdims=True)
    assert share_of_own_cluster(with_audio) > share_of_own_cluster(plain) + 0.1
    assert share_of_own_cluster(with_audio) > share_of_own_cluster(alone) + 0.05


def test_a_track_never_heard_lies_where_its_audio_says_and_one_without_audio_where_it_is_heard() -> None:
    rng = np.random.default_rng(4)
    pairs = planted(600, seed=5)
    cold, mute = 0, SIZE  # one of cluster 0, one of cluster 1
    kept = (pairs.a != cold) & (pairs.b != cold)
    pairs = Pairs(
        pairs.n_tracks, *(values[kept] for values in (pairs.a, pairs.b, pairs.liked, pairs.first, pairs.second))
    )
    centres = rng.normal(size=(CLUSTERS, 8))
    audio = (centres[CLUSTER] + 0.2 * rng.normal(size=(len(CLUSTER), 8))).astype(np.float32)
    has_audio = np.arange(len(CLUSTER)) != mute
    embedding, heard = coordinates(pairs, has_audio, audio[has_audio])
    likeness = embedding @ embedding.T
    np.fill_diagonal(likeness, -9)
    near = np.argsort(-likeness, axis=1)[:, :5]
    assert (CLUSTER[near[cold]] == 0).mean() > 0.8
    assert (CLUSTER[near[mute]] == 1).mean() > 0.8
    assert not heard[cold] and heard[mute]


def test_nothing_known_is_zero_and_not_nan() -> None:
    none = np.zeros(0)
    empty = Pairs(5, none.astype(np.int64), none.astype(np.int64), none, none, none)
    embedding, heard = coordinates(empty, silent(5), None)
    assert embedding.shape == (5, 24) and not embedding.any() and not heard.any()
    audio = np.random.default_rng(0).normal(size=(5, 30)).astype(np.float32)
    by_audio, _ = coordinates(empty, ~silent(5), audio)
    assert np.linalg.norm(by_audio, axis=1) == pytest.approx(1, abs=1e-4)


def test_neighbours_by_hand() -> None:
    # 0 and 1 liked together 6 times, 0 and 2 once; each liked 9 times. 3 was never liked.
    a, b = np.array([0, 0, 0, 1, 2, 3]), np.array([0, 1, 2, 1, 2, 3])
    liked = np.array([9.0, 6, 1, 9, 9, 0])
    to, similarity, lengths = nearest(Pairs(4, a, b, liked, liked, liked))
    assert to.tolist() == [1, 2, 0, 0]
    assert similarity == pytest.approx(
        [6 / (9 + SHRINKAGE), 1 / (9 + SHRINKAGE), 6 / (9 + SHRINKAGE), 1 / (9 + SHRINKAGE)]
    )
    assert lengths.tolist() == [2, 1, 1, 0]


def test_pairs_are_of_one_session_within_reach_of_training_users(spark: SparkSession) -> None:
    rows = [
        *session("zoe", "s1", ["a", "b", "a"], [0, 0, 3]),
        *session("zoe", "s2", ["c"], [0]),
        *session("fay", "s3", [f"x{i:02d}" for i in range(21)], [3] * 21),
        *session("cy", "s4", ["a", "b"], [0, 0]),
        *session("ada", "s5", ["a", "b"], [0, 0]),
    ]
    counted = pairs_of_plays(frame(spark, EVENTS, rows)).toPandas()
    found = {(row.a, row.b): (row.liked, row.weight_0 + row.weight_1) for row in each(counted)}
    # a and b twice together: once both not skipped (counted twice), once not.
    assert found["a", "b"] == (1, 3)
    assert ("a", "c") not in found and ("b", "c") not in found
    assert ("x00", "x19") in found and ("x00", "x20") not in found
    assert sum(weights for (a, _), (_, weights) in found.items() if a.startswith("x")) == 21 + sum(range(2, 21))
    assert (counted[["weight_0", "weight_1"]] > 0).sum(axis=1).max() == 1


def test_only_a_tracks_strongest_pairs_are_sent_where_there_are_too_many(spark: SparkSession) -> None:
    pairs = [("a", "a", 9), ("a", "b", 5), ("a", "c", 4), ("a", "d", 3), ("b", "c", 6), ("b", "d", 7), ("c", "d", 8)]
    given = spark.createDataFrame(
        [(a, b, 0, 0, n) for a, b, n in pairs], "a string, b string, liked int, weight_0 int, weight_1 int"
    )
    kept = {(row.a, row.b) for row in strongest(given, 1).collect()}
    # a's strongest is b, b's and c's is d; before c it is b, before d it is c.
    assert kept == {("a", "a"), ("a", "b"), ("b", "d"), ("c", "d"), ("b", "c")}


def placed(spark: SparkSession, rows: list[dict[str, Any]], parts: int) -> pd.DataFrame:
    names = sorted({row["track_id"] for row in rows})
    audio = np.random.default_rng(9).normal(size=(len(names), 30)).tolist()
    described = [{"track_id": name, "audio": values} for name, values in zip(names, audio, strict=True)]
    described += [{"track_id": "t_silent"}, {"track_id": "t_unheard", "audio": audio[0]}]
    events = frame(spark, EVENTS, rows).repartition(parts)
    return track_embeddings(events, frame(spark, "gold.track_features", described), DAY).toPandas()


def test_the_same_plays_in_other_partitions_give_the_same_bits(spark: SparkSession) -> None:
    rows = listeners(30, 40, seed=3)
    first, again = placed(spark, rows, 1), placed(spark, rows[::-1], 3)
    for name in ("embedding", "similarities", "neighbours"):
        assert [list(row) for row in first[name]] == [list(row) for row in again[name]], name
    assert first["track_id"].is_monotonic_increasing
    sources = dict(zip(first["track_id"], first["source"], strict=True))
    assert sources["t_silent"] == "none" and sources["t_unheard"] == "audio" and sources["t000"] == "sessions+audio"
    assert not any(next(row.embedding for row in each(first) if row.track_id == "t_silent"))
    for row in each(first):
        assert len(row.neighbours) == len(row.similarities) <= 50 and row.track_id not in row.neighbours
        assert list(row.similarities) == sorted(row.similarities, reverse=True)
