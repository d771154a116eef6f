"""Everything fitted on a tiny generated world, saved, loaded again and found by its day."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from deliveries import rows_of, the_job
from lake_content import the_lake
from small_night import write

from musicbox_lib import lake
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.contract.tables import table
from musicbox_lib.errors import DataRefused
from musicbox_lib.models.fitted_baselines import Baselines, baselines_as_of, fitted_baselines
from musicbox_lib.models.folder import CATALOGUE, MANIFEST
from musicbox_lib.orchestration import job
from musicbox_lib.policies import pair_features
from musicbox_lib.policies.listed import of_plays
from musicbox_lib.policies.pair_features import FEATURES
from musicbox_lib.policies.skip_lstm import SkipLstm, play_inputs
from musicbox_lib.reports.page.page import write_page
from musicbox_lib.sessions.contexts import last_contexts
from musicbox_lib.settings import settings
from musicbox_lib.synthetic.generate import generate
from musicbox_lib.testing.policies import assert_candidates

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

NAMES = tuple(policy.name for policy in of_plays())
FILES = (CATALOGUE, *(f"{name}.npz" for name in NAMES))
FIRST, DAY = dt.date(2026, 11, 1), dt.date(2026, 11, 3)
TABLE = lake.ReadPartition.parse(f"models.baselines/dt={DAY}")


def rows_of_frame(frame: pd.DataFrame, name: str) -> list[dict[str, Any]]:
    """The frame's rows, of the table's columns those that it has."""
    kept = [column for column in table(name).column_names if column in frame]
    return [{str(column): value for column, value in row.items()} for row in frame[kept].to_dict("records")]


def delivered_plays(root: Path) -> list[dict[str, Any]]:
    """The generated deliveries as rows of silver: the ingest and its checks have tests of their own."""
    parts = []
    for path in sorted(root.glob("landing/session_logs/dt=*/*.csv.gz")):
        parts.append(pd.read_csv(path).assign(dt=dt.date.fromisoformat(path.parent.name.removeprefix("dt="))))
    plays = pd.concat(parts).rename(columns={"track_id_clean": "track_id"})
    plays = plays.sort_values(["session_id", "session_position"], ignore_index=True)
    sessions = plays.groupby("session_id")
    plays["session_date"] = pd.to_datetime(sessions["date"].transform("first")).dt.date
    plays["session_hour"] = sessions["hour_of_day"].transform("first")
    plays["date"] = pd.to_datetime(plays["date"]).dt.date
    plays["is_shuffle"] = plays["hist_user_behavior_is_shuffle"]
    labelled = plays[["skip_1", "skip_2", "skip_3", "not_skipped"]].any(axis=1)
    plays["skip_grade"] = plays[["skip_1", "skip_2", "skip_3"]].sum(axis=1).astype("Int8").where(labelled)
    return rows_of_frame(plays, "silver.listening_events")


def delivered_tracks(root: Path) -> list[dict[str, Any]]:
    """The generated tracks as rows of silver."""
    tracks = pd.read_csv(root / "landing" / "tracks" / "tracks.csv.gz", keep_default_na=False).assign(
        dt=FIRST, file="tracks.csv.gz"
    )
    tracks["line"] = range(2, len(tracks) + 2)
    return rows_of_frame(tracks, "silver.known_tracks")


def run(name: str, **words: str) -> None:
    """A job in this process, with its own parser."""
    given = [part for key, value in words.items() for part in (f"--{key.replace('_', '-')}", value)]
    job.call(the_job(name).main, name, given)


def fit(models: Path) -> None:
    run(
        "baselines",
        listening_events=f"silver.listening_events/dt={FIRST}..{DAY}",
        track_features=f"gold.track_features/dt={DAY}",
        track_embeddings=f"gold.track_embeddings/dt={DAY}",
        baselines=f"models.baselines/dt={DAY}",
        seed="3",
        models=str(models),
    )


def small_fits(patch: pytest.MonkeyPatch) -> None:
    """Two passes of the network over some 3,000 plays, a few trees."""
    patch.setattr("musicbox_lib.policies.skip_lstm.EPOCHS", 2)
    patch.setattr("musicbox_lib.policies.skip_lightgbm.TREES", 20)


@dataclass(frozen=True)
class World:
    """A lake with fitted baselines, and the contexts at its last day's end."""

    root: Path
    folder: Path
    last: pd.DataFrame


@pytest.fixture(scope="module")
def world(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    place = tmp_path_factory.mktemp("fitted")
    root = place / "lake"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUSICBOX_LAKE", str(root))
        settings.cache_clear()
        size = {"users": 60, "tracks": 120, "days": 3, "seed": 7}
        generate(**size, from_date=FIRST, lake=root, truth=place / "truth", workers=1)  # type: ignore[arg-type]
        write("silver.listening_events", delivered_plays(root))
        write("silver.known_tracks", delivered_tracks(root))
        run(
            "track_features",
            listening_events=f"silver.listening_events/dt=..{DAY}",
            known_tracks=f"silver.known_tracks/dt=..{DAY}",
            track_features=f"gold.track_features/dt={DAY}",
            track_embeddings=f"gold.track_embeddings/dt={DAY}",
        )
        small_fits(patch)
        fit(root / "models")
        [folder] = [path for path in (root / "models").iterdir() if path.name.startswith("baselines-")]
        events = lake.read(spark, lake.ReadPartition.parse("silver.listening_events/*"))
        yield World(root, folder, last_contexts(events).orderBy("user_id").toPandas())
    settings.cache_clear()


def test_the_table_has_a_row_for_each_and_what_was_measured(world: World) -> None:
    rows: list[dict[str, Any]] = rows_of("models.baselines")
    assert sorted(row["policy"] for row in rows) == sorted(NAMES)
    for row in rows:
        assert (row["dt"], row["folder"]) == (DAY, world.folder.name)
        metrics = dict(row["metrics"])
        assert metrics["validation_n"] > 20
        assert 0 < metrics["validation_reward_snips"] < 1
        assert metrics["validation_propensity_estimated"] == 0
        silver = {"silver.listening_events", "silver.superseded_events"}
        assert set(dict(row["inputs"])) == silver | {"gold.track_features", "gold.track_embeddings"}
        assert set(dict(row["files"])) == set(FILES)


def test_every_policy_answers_every_context_by_the_house_rules(world: World) -> None:
    policies, catalogue = fitted_baselines(world.folder)
    contexts = ContextBlock.of(world.last, catalogue)
    assert tuple(policy.name for policy in policies) == NAMES
    for policy in policies:
        candidates = policy.propose(contexts)
        assert_candidates(candidates, contexts)
        assert (candidates.sources[candidates.tracks >= 0] >= 0).all()
        alone = policy.propose(contexts.take(slice(5, 6)))
        np.testing.assert_array_equal(alone.tracks[0], candidates.tracks[5], err_msg=policy.name)
        np.testing.assert_allclose(alone.probabilities[0], candidates.probabilities[5], atol=1e-3)


def test_the_network_gives_pads_no_weight_and_reads_the_answers(world: World) -> None:
    policies, catalogue = fitted_baselines(world.folder)
    [lstm] = [policy for policy in policies if isinstance(policy, SkipLstm)]
    contexts = ContextBlock.of(world.last, catalogue)
    other = dataclasses.replace(
        contexts, grades=np.where(contexts.tracks >= 0, 3 - contexts.grades, -1).astype(np.int8)
    )
    assert np.abs(lstm.scores(contexts) - lstm.scores(other)).max() > 1e-3
    nobody = dataclasses.replace(
        contexts, tracks=np.full_like(contexts.tracks, -1), grades=np.full_like(contexts.grades, -1)
    )
    pads = play_inputs(nobody, catalogue)
    assert not pads.any()


def test_the_same_inputs_give_the_same_folder_byte_for_byte(world: World, tmp_path: Path) -> None:
    fit(tmp_path)
    [again] = [path for path in tmp_path.iterdir() if path.name.startswith("baselines-")]
    assert again.name == world.folder.name
    for name in FILES:
        assert (again / name).read_bytes() == (world.folder / name).read_bytes(), name


def test_als_folds_in_what_spark_itself_found(spark: SparkSession, world: World) -> None:
    """The last half step of Spark's ALS solves the users from the final tracks: so does the fold-in."""
    from pyspark.ml.recommendation import ALS

    from musicbox_lib.policies.als import Als, Factors

    _, catalogue = fitted_baselines(world.folder)
    rated = pd.DataFrame(
        {"user": [0, 0, 1, 1, 1, 2], "track": [0, 1, 1, 2, 3, 0], "rating": [1, 0.6, 1.6, 0.1, 1, 1.0]}
    )
    events: DataFrame = spark.createDataFrame(rated)
    model: Any = ALS(
        rank=3, maxIter=3, regParam=0.2, implicitPrefs=True, alpha=4.0, seed=5,
        userCol="user", itemCol="track", ratingCol="rating",
    ).fit(events)  # fmt: skip
    items = np.zeros((len(catalogue), 3), np.float32)
    found = model.itemFactors.toPandas()
    items[found["id"]] = np.stack(found["features"].to_list())
    expected = np.stack(model.userFactors.orderBy("id").toPandas()["features"].to_list())
    names = catalogue.track_ids
    plays = [[(0, 0), (1, 1)], [(1, 0), (1, 1), (2, 2), (3, 0)], [(0, 0)]]
    given = world.last.head(3).copy()
    given["track_ids"] = pd.Series([[names[track] for track, _ in user] for user in plays], dtype=object)
    given["skip_grades"] = pd.Series([[grade for _, grade in user] for user in plays], dtype=object)
    contexts = ContextBlock.of(given, catalogue)
    folded = Als(catalogue, Factors(items, alpha=4.0, regularisation=0.2)).user_factors(contexts)
    np.testing.assert_allclose(folded, expected, atol=1e-4)


def test_a_day_finds_the_newest_fits_not_after_it(world: World) -> None:
    assert baselines_as_of(TABLE, FIRST) is None
    for day in (DAY, DAY + dt.timedelta(days=5)):
        found = baselines_as_of(TABLE, day)
        assert found == Baselines(DAY, str(world.folder), found.files if found else (), of_plays())
    assert found is not None
    policies, catalogue = found.load()
    assert policies is found.load()[0], "loaded once per process"
    assert len(catalogue) == 120


@pytest.fixture
def copied(world: World, tmp_path: Path) -> Path:
    return Path(shutil.copytree(world.folder, tmp_path / world.folder.name))


@pytest.mark.parametrize("name", FILES)
def test_a_tampered_file_is_refused(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    with pytest.raises(DataRefused, match=f"{name} is not the file that was trained"):
        fitted_baselines(copied)


def test_a_missing_folder_file_or_manifest_is_refused(copied: Path, tmp_path: Path) -> None:
    with pytest.raises(DataRefused, match="there are no baselines in .*nowhere"):
        fitted_baselines(tmp_path / "nowhere")
    manifest = json.loads((copied / MANIFEST).read_text())
    (copied / MANIFEST).write_text(json.dumps({**manifest, "files": {}}))
    with pytest.raises(DataRefused, match="names no "):
        fitted_baselines(copied)
    (copied / MANIFEST).write_text("{")
    with pytest.raises(DataRefused, match="cannot be read"):
        fitted_baselines(copied)


def test_fits_of_other_features_are_refused(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_features, "FEATURES", (*FEATURES, "one_more"))
    with pytest.raises(DataRefused, match="was fitted on other features than this code has"):
        fitted_baselines(copied)


def test_an_entered_folder_that_is_gone_is_refused(world: World) -> None:
    aside = world.folder.with_name("aside")
    world.folder.rename(aside)
    try:
        with pytest.raises(DataRefused, match=f"models.baselines has {world.folder.name} for {DAY}, but there are no"):
            baselines_as_of(TABLE, DAY)
    finally:
        aside.rename(world.folder)


def test_a_folder_of_an_earlier_version_is_refused_with_what_to_do(copied: Path) -> None:
    manifest = json.loads((copied / MANIFEST).read_text())
    earlier = {CATALOGUE: "0", "arrays.npz": "0", "skip_lightgbm.txt": "0", "skip_lstm.weights.h5": "0"}
    (copied / MANIFEST).write_text(json.dumps({**manifest, "files": earlier}))
    with pytest.raises(DataRefused, match=rf"fitted by an earlier version, .*: fit .* \(make train RUN_DATE={DAY}\)\."):
        fitted_baselines(copied)


def test_the_example_is_fitted_judged_and_shown_by_an_entry_in_the_settings(
    spark: SparkSession, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = DAY + dt.timedelta(days=1)
    with the_lake(Path(shutil.copytree(world.root, tmp_path / "lake"))):
        monkeypatch.setenv("MUSICBOX_POLICIES", "examples.a_policy:LeastSkipped")
        settings.cache_clear()
        found = baselines_as_of(TABLE, DAY)
        assert found is not None
        assert [policy.name for policy in found.policies] == list(NAMES), "it was not there at the last training"
        small_fits(monkeypatch)
        fit(tmp_path / "lake" / "models")
        assert sorted(row["policy"] for row in rows_of("models.baselines")) == sorted([*NAMES, "least_skipped"])
        of_day = [row for row in delivered_plays(world.root) if row["dt"] == DAY]
        write(
            "silver.listening_events", [{**row, "dt": later, "session_id": f"n-{row['session_id']}"} for row in of_day]
        )
        run(
            "policy_evaluation",
            listening_events=f"silver.listening_events/dt=..{later}",
            track_features=f"gold.track_features/dt=latest..{DAY}",
            track_embeddings=f"gold.track_embeddings/dt=latest..{DAY}",
            registry="models.registry",
            baselines=f"models.baselines/dt=..{DAY}",
            policy_evaluation=f"reports.policy_evaluation/dt={later}",
            skip_rate=f"reports.skip_rate/dt={later}",
            policy_comparison=f"reports.policy_comparison/dt={later}",
        )
        judged = [row for row in rows_of("reports.policy_evaluation") if row["policy"] == "least_skipped"]
        assert {row["segment"] for row in judged} >= {"all", "premium", "free"}
        [ranked] = [row for row in judged if (row["segment"], row["measure"]) == ("all", "hit_rate_20")]
        assert ranked["evidence"] == "ok" and 0 < ranked["value"] < 1
        write("reports.diversity", [{"dt": later, "policy": "item_knn", "segment": "all", "n_slates": 9}])
        page = write_page(later).read_text()
        assert "<td>least skipped</td>" in page and "least_skipped" not in page
