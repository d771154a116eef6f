"""The skip-rate report on nights small enough to count by hand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from musicbox_lib import lake
from musicbox_lib.blocks.candidates import Candidates
from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.contract.tables import table
from musicbox_lib.errors import DataRefused
from musicbox_lib.evaluation.counterfactual import Judged, Rivals, as_judgeable, judge_batches
from musicbox_lib.evaluation.estimators import DRAWS, Interval, Sums
from musicbox_lib.evaluation.legacy import Legacy
from musicbox_lib.evaluation.logged import Logged, logged
from musicbox_lib.evaluation.night import Night, judge_night
from musicbox_lib.evaluation.rank_measures import RankSums
from musicbox_lib.lake import WritePartition
from musicbox_lib.policies import listed
from musicbox_lib.reports import policy_comparison, policy_evaluation, skip_rate
from musicbox_lib.sessions.contexts import as_contexts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

DAY, BEFORE = dt.date(2026, 11, 5), dt.date(2026, 11, 4)
PROPENSITY = {"a": 0.4, "b": 0.3, "c": 0.2, "d": 0.1}


def play(user: str, session: str, position: int, track: str, skip: bool | None, **other: Any) -> dict[str, Any]:
    """A row of silver.listening_events; a skip is grade 2 (skip_2, not skip_1), no skip is grade 0; None stands for
    a row without a label, where all four answers are false."""
    grade = None if skip is None else 2 if skip else 0
    given = {
        "dt": DAY,
        "user_id": user,
        "session_id": session,
        "session_position": position,
        "track_id": track,
        "skip_1": False,
        "skip_2": bool(skip),
        "skip_3": bool(skip),
        "not_skipped": skip is False,
        "skip_grade": grade,
        "premium": True,
        "context_type": "radio",
        "hour_of_day": 12,
        "is_shuffle": False,
        "propensity": PROPENSITY.get(track),
        "session_date": DAY,
        "session_hour": 12,
    }
    return {**given, **other}


def silver(spark: SparkSession, rows: list[dict[str, Any]]) -> DataFrame:
    return spark.createDataFrame(rows, table("silver.listening_events").ddl)


def gold() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Yesterday's tracks a to d, all alike: every rate .5."""
    features = [
        {
            "dt": BEFORE,
            "track_id": name,
            "plays": 10,
            "labelled_plays": 10,
            "skip_rate": 0.5,
            "skip_rate_shrunk": 0.5,
            "play_share": 0.25,
            "quality_by_fold": [0.0] * 10,
            "train_plays": 10,
        }
        for name in PROPENSITY
    ]
    embeddings = [
        {
            "dt": BEFORE,
            "track_id": name,
            "embedding": [1.0, 0.0],
            "source": "sessions",
            "neighbours": [],
            "similarities": [],
        }
        for name in PROPENSITY
    ]
    columns = table("gold.track_features").column_names
    return pd.DataFrame(features).reindex(columns=columns), pd.DataFrame(embeddings)


def one_play_each(n_users: int, **other: Any) -> list[dict[str, Any]]:
    """Every user one play: a, b, c, d in turn; a and b are skipped."""
    tracks = [*PROPENSITY]
    return [
        play(f"u{user}", f"s{user}", 1, tracks[user % 4], user % 4 < 2, **{"premium": user % 8 < 4, **other})
        for user in range(n_users)
    ]


def test_a_night_without_a_day_before_reports_the_log_alone(spark: SparkSession, lake_root: Path) -> None:
    features, embeddings = (frame.head(0) for frame in gold())
    events = silver(spark, [*one_play_each(8), play("u9", "s9", 1, "a", None, premium=False)])
    night = judge_night(events, features, embeddings, None, None, DAY)
    rows = {(row["policy"], row["segment"]): row for row in skip_rate.rows(night)}
    of_log = rows["logged", "all"]
    # The unlabelled play is nobody's skip and nobody's play.
    assert (of_log["n"], of_log["n_users"], of_log["skip_rate_logged"]) == (8, 8, 0.5)
    assert (of_log["skip_1_logged"], of_log["skip_3_logged"], of_log["not_skipped_logged"]) == (0, 0.5, 0.5)
    assert of_log["skip_rate_logged_lo"] < 0.25
    assert {key for key in rows if key[0] == "logged"} == {
        ("logged", name) for name in ("all", "premium", "free", "radio")
    }
    for policy in ("ddpg_w", "item_knn", "popularity", "random"):
        row = rows[policy, "free"]
        assert (row["evidence"], row["n"], row.get("skip_rate_dr")) == ("no_history", 4, None)
    compared = policy_comparison.rows(night)
    assert {(row["evidence"], row["difference"]) for row in compared} == {("no_history", None)}
    # Segments x (three measures against the log, seven against each baseline).
    assert len(compared) == 3 * (3 + 7 * len(listed.baselines()))
    evaluated = policy_evaluation.rows(night)
    assert len(evaluated) == 3 * 9 * (1 + len(listed.baselines()))
    assert {(row["evidence"], row["value"], row["n"]) for row in evaluated if row["segment"] == "free"} == {
        ("no_history", None, 4)
    }
    tables = (
        ("reports.skip_rate", [*rows.values()]),
        ("reports.policy_comparison", compared),
        ("reports.policy_evaluation", evaluated),
    )
    for name, given in tables:
        assert lake.overwrite_rows("skip_rate", given, WritePartition.parse(f"{name}/dt={DAY}")) == len(given)


def test_a_night_is_estimated_from_its_propensities(spark: SparkSession) -> None:
    """160 users, a quarter each of a to d; `random` plays each of the four with 1/4.

    w = .625, .8333, 1.25, 2.5 for a to d; sum over the four 5.2083. Skipped are a and b:
    SNIPS = 1.4583 / 5.2083 = .28. q = m = .5 everywhere, so DR = .5 + mean of w (r - .5)
    = .5 + .5 (.625 + .8333 - 1.25 - 2.5) / 4 = .2135. ESS = 160 (5.2083 / 4)^2 / 2.2244 = 121.9.
    Half of the users pay: 80 plays carry too little there.
    """
    events = silver(
        spark,
        [
            *one_play_each(160),
            play("uniform", "s-uniform", 1, "a", True, propensity=1 / 50, premium=None),
            play("unknown", "s-unknown", 1, "a", True, propensity=None, premium=None),
        ],
    )
    night = judge_night(events, *gold(), None, None, DAY)
    rows = {(row["policy"], row["segment"]): row for row in skip_rate.rows(night)}
    found = rows["random", "all"]
    assert (found["n"], found["n_users"], found["evidence"]) == (160, 160, "ok")
    assert found["skip_rate_snips"] == pytest.approx(0.28, abs=1e-6)
    assert found["skip_rate_dr"] == pytest.approx(0.213542, abs=1e-6)
    assert found["skip_rate_predicted"] == pytest.approx(0.5)
    assert found["ess"] == pytest.approx(121.9, abs=0.1)
    assert found["skip_rate_snips_lo"] < 0.28 < found["skip_rate_snips_hi"]
    evaluated = {
        (row["measure"], row["policy"]): row for row in policy_evaluation.rows(night) if row["segment"] == "all"
    }
    assert evaluated["skip_rate_snips", "random"]["value"] == found["skip_rate_snips"]
    assert evaluated["skip_rate_ips", "random"]["value"] == pytest.approx((0.625 + 0.83333) / 4, abs=1e-5)
    # c and d are not skipped; all four tracks are alike to `random`, so each has three of the four first places.
    ranked = evaluated["hit_rate_3", "random"]
    assert (ranked["n"], ranked["value"], ranked["evidence"]) == (80, pytest.approx(0.75), "ok")
    assert evaluated["mrr", "random"]["value"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    assert rows["random", "premium"]["evidence"] == "low_ess"
    assert rows["random", "premium"]["skip_rate_dr"] is None
    assert rows["logged", "all"]["n"] == 162
    assert rows["ddpg_w", "all"]["evidence"] == "no_history"


def test_a_night_without_propensities_keeps_the_legacy_measure(spark: SparkSession) -> None:
    """Two users, sessions of 4: slates of 3 from {a, b, c, d} less the two heard (a, b) hold c and d, and both are
    played in the rest, d skipped."""
    events = [
        play(user, f"s-{user}", position, track, track == "d", propensity=None)
        for user in ("u1", "u2")
        for position, track in enumerate("abcd", start=1)
    ]
    night = judge_night(silver(spark, events), *gold(), None, None, DAY)
    rows = {(row["policy"], row["segment"]): row for row in skip_rate.rows(night)}
    found = rows["random", "all"]
    assert (found["evidence"], found["n"], found.get("skip_rate_dr")) == ("no_propensity", 8, None)
    assert (found["legacy_matched"], found["legacy_match_rate"], found["legacy_skip_rate"]) == (4, 1.0, 0.5)
    assert (rows["logged", "all"]["legacy_matched"], rows["logged", "all"]["legacy_skip_rate"]) == (4, 0.5)


def test_a_day_without_a_labelled_play_is_refused(spark: SparkSession) -> None:
    events = silver(spark, [play("u1", "s1", 1, "a", None)])
    with pytest.raises(DataRefused, match=r"no labelled play on 2026-11-05"):
        judge_night(events, *gold(), None, None, DAY)


def test_contexts_that_are_judged(spark: SparkSession) -> None:
    """A session of 5 has its middle at the third play; the session of 1 has none; history is what came before."""
    rows = [
        play("u1", "s0", 1, "d", True, dt=BEFORE, session_date=BEFORE),
        *[play("u1", "s1", at, track, at == 4) for at, track in enumerate("abcab", start=1)],
        play("u2", "s2", 1, "a", None),
    ]
    contexts = silver(spark, rows).transform(as_contexts).where(f"dt = '{DAY}'")
    found = (
        contexts.transform(as_judgeable, play_share=1.0, liked_share=1.0, session_share=1.0, seed=1)
        .orderBy("session_position")
        .collect()
    )
    assert [(row["user_id"], row["is_weighed"], row["is_middle"]) for row in found] == [
        ("u1", True, False),
        ("u1", True, False),
        ("u1", True, True),
        ("u1", True, False),
        ("u1", True, False),
    ]
    assert (found[2]["rest_tracks"], found[2]["rest_skips"]) == (["c", "a", "b"], [0, 1, 0])
    assert found[2]["track_ids"] == ["d", "a", "b"]
    assert found[0]["rest_tracks"] == []


def test_segments_of_the_log_count_users_once(spark: SparkSession) -> None:
    rows = [play("u1", "s1", at, "a", at < 3, context_type="charts" if at < 2 else "radio") for at in range(1, 5)]
    found = {one.segment: one for one in logged(silver(spark, [*rows, play("u2", "s2", 1, "b", False, premium=False)]))}
    assert [*found] == ["all", "charts", "free", "premium", "radio"]
    assert (found["all"].n, found["all"].n_users, found["all"].n_sessions) == (5, 2, 2)
    assert (found["all"].skip.value, found["charts"].skip.value, found["radio"].skip.value) == (0.4, 1.0, 0.25)
    assert found["free"].skip.hi == 1.0


class Pinned:
    """A champion that always plays track d."""

    name = "ddpg_w"

    def propose(self, contexts: ContextBlock) -> Candidates:
        shape = (len(contexts), 1)
        return Candidates(
            tracks=np.full(shape, 3, dtype=np.int32),
            scores=np.zeros(shape, dtype=np.float32),
            probabilities=np.ones(shape),
            sources=np.zeros(shape, dtype=np.int8),
        )


class PinnedChampion:
    def load(self) -> tuple[Pinned, Catalogue]:
        return Pinned(), Catalogue.of(*gold())


def batches(n: int) -> Iterator[pa.RecordBatch]:
    """Contexts as `as_judgeable` gives them: users without history, 100 plays of `d` to each other track's 10."""
    tracks = ["d"] * 100 + ["a"] * 10 + ["b"] * 10 + ["c"] * 10
    rows: list[dict[str, Any]] = [
        {
            "user_id": f"u{at}", "fold": 0, "session_id": f"s{at}", "track_ids": [], "skip_grades": [],
            "n_in_session": 0,
            "user_plays": 0, "user_skips": 0, "context_type": "radio", "hour_of_day": 1, "is_shuffle": False,
            "premium": None, "track_id": track, "skip_2": at % 5 == 0 if track == "d" else True,
            "propensity": 0.25, "is_weighed": True, "is_ranked": track == "d", "is_middle": False,
            "rest_tracks": [], "rest_skips": [],
        }
        for at, track in enumerate(tracks)
    ]  # fmt: skip
    schema = pa.schema(
        {
            **{"user_id": pa.string(), "fold": pa.int32(), "session_id": pa.string()},
            **{"track_ids": pa.list_(pa.string()), "skip_grades": pa.list_(pa.int8()), "n_in_session": pa.int32()},
            **{"user_plays": pa.int64(), "user_skips": pa.int64(), "context_type": pa.string()},
            **{"hour_of_day": pa.int32(), "is_shuffle": pa.bool_(), "premium": pa.bool_(), "track_id": pa.string()},
            **{"skip_2": pa.bool_(), "propensity": pa.float64(), "is_weighed": pa.bool_(), "is_ranked": pa.bool_()},
            "is_middle": pa.bool_(),
            **{"rest_tracks": pa.list_(pa.string()), "rest_skips": pa.list_(pa.int32())},
        }
    )
    whole = pa.RecordBatch.from_pylist(rows, schema=schema)
    for start in range(0, len(rows), n):
        yield whole.slice(start, n)


def test_the_champion_is_held_against_the_others_on_the_same_plays() -> None:
    """The champion plays d, skipped 20 of 100 times: SNIPS .2. `random` weighs all plays alike: 50 / 130 = .3846."""
    from musicbox_lib.evaluation import contenders

    assert Pinned.name == contenders.CHAMPION
    rivals = Rivals(Catalogue.of(*gold()), np.full(4, 0.5), 0.5, PinnedChampion(), None, seed=7, draws=DRAWS)  # type: ignore[arg-type]
    [batch] = judge_batches(batches(60), rivals)
    policies = {}
    for row in batch.to_pylist():
        sums = Sums(
            row["users"], row["weight_squares"], np.array(row["totals"]), np.array(row["drawn"]).reshape(DRAWS, -1)
        )
        drawn = np.array(row["rank_drawn"]).reshape(DRAWS, -1)
        ranks = RankSums(row["rank_users"], np.array(row["rank_totals"]), drawn)
        policies[row["policy"], row["segment"]] = Judged(sums, ranks, Legacy())
    everybody = Logged("all", 130, 130, 130, 130, 0, 0, 0, Interval(50 / 130, 0.3, 0.5))
    night = Night(DAY, [everybody], policies, {})
    rows = {(row["versus"], row["measure"]): row for row in policy_comparison.rows(night)}
    assert {row["evidence"] for row in rows.values()} == {"ok"}
    versus_random = rows["random", "skip_rate_snips"]
    assert versus_random["difference"] == pytest.approx(20 / 100 - 50 / 130)
    assert versus_random["lo"] < versus_random["difference"] < versus_random["hi"] < 0
    assert rows["logged", "skip_rate_snips"]["difference"] == pytest.approx(20 / 100 - 50 / 130)
    # The ranked plays are all of d, which is the champion's only candidate and one of four to `random`.
    assert rows["random", "hit_rate_3"]["difference"] == pytest.approx(1 / 4)
    assert rows["random", "hit_rate_3"]["n"] == 100
    [of_champion] = [row for row in skip_rate.rows(night) if row["policy"] == "ddpg_w"]
    assert of_champion["skip_rate_snips"] == pytest.approx(0.2)
    assert of_champion["ess"] == pytest.approx(100)
