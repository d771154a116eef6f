"""Scoring refuses what it cannot answer for, in one sentence, and publishes nothing."""

from __future__ import annotations

import datetime as dt
import hashlib
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from deliveries import the_job
from pyspark.sql import functions as F
from small_night import DAY, context_rows, job_words, read, write, write_tracks

from musicbox_lib import lake
from musicbox_lib.ddpg.config import Config, Serving
from musicbox_lib.lake import WritePartition
from musicbox_lib.models.ddpg_model import ACTOR, CRITICS, Manifest
from musicbox_lib.models.folder import CATALOGUE, MANIFEST
from musicbox_lib.orchestration import job
from musicbox_lib.sql.ask import ask

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, module: ModuleType | None = None
) -> tuple[int, str]:
    """Exit code and last sentence of the job."""
    module = module or the_job("top3_recommendations")
    monkeypatch.setattr(sys, "argv", ["top3_recommendations", *job_words()])
    with pytest.raises(SystemExit) as ended:
        job.run("top3_recommendations", module.main)
    return int(str(ended.value.code)), caplog.records[-1].getMessage()


def a_model(root: Path) -> dict[str, str]:
    """A registered, promoted model whose files are stand-ins with a right sha256; gives name -> sha256."""
    folder = root / "models" / "m1"
    folder.mkdir(parents=True)
    files = {}
    for name in (ACTOR, *CRITICS, CATALOGUE):
        (folder / name).write_text(name)
        files[name] = hashlib.sha256(name.encode()).hexdigest()
    manifest = Manifest("m1", str(DAY), 1, 10, 2, 1.0, Config(), Serving(), {}, {}, [], "test", files)
    (folder / MANIFEST).write_text(manifest.as_json())
    row = {"model_id": "m1", "dt": DAY, "status": "champion", "promoted": True, "files": files}
    write("models.registry", [row])
    return files


@pytest.mark.fault("scoring", "a champion whose folder is gone is refused")
def test_a_champion_whose_folder_is_gone(
    spark: SparkSession, lake_root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_tracks(8, neighbours=True)
    a_model(lake_root)
    (lake_root / "models" / "m1").rename(lake_root / "models" / "elsewhere")
    code, sentence = run(monkeypatch, caplog)
    assert code == 3
    assert f"models.registry has m1 as the champion of {DAY}, but there is no model in" in sentence
    assert read("scores.top3_recommendations") == []


@pytest.mark.fault("scoring", "a champion with an altered file is refused")
def test_a_champion_with_an_altered_file(
    spark: SparkSession, lake_root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_tracks(8, neighbours=True)
    a_model(lake_root)
    (lake_root / "models" / "m1" / ACTOR).write_text("other weights")
    code, sentence = run(monkeypatch, caplog)
    assert code == 3
    assert "is not the file that was trained (its sha256 differs)" in sentence
    assert read("scores.top3_recommendations") == []


@pytest.mark.fault("scoring", "features of another day are refused")
def test_features_of_another_day_are_refused(
    lake_root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    code, sentence = run(monkeypatch, caplog)
    assert code == 3
    assert f"gold.track_features/dt={DAY} has not been written: run the job track_features" in sentence


@pytest.mark.fault("scoring", "a catalogue of four tracks is refused")
def test_a_catalogue_of_four_tracks_is_refused(
    spark: SparkSession, lake_root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_tracks(4, neighbours=False)
    write("gold.last_sessions", context_rows({"a": [(0, 0), (1, 0)], "b": [(2, 0)]}, in_session=2))
    code, sentence = run(monkeypatch, caplog)
    assert code == 3
    assert "1 of 2 users have fewer than three unheard tracks to draw from (the catalogue has 4 tracks" in sentence
    assert read("scores.top3_recommendations") == []


def answers() -> list[tuple[Any, ...]]:
    return list(ask("SELECT dt, user_id, rank, track_id FROM latest_recommendations").rows)


@pytest.fixture
def yesterday(spark: SparkSession, lake_root: Path) -> list[tuple[Any, ...]]:
    """The answers of the day before DAY, published."""
    before = DAY - dt.timedelta(days=1)
    slate = {"user_id": "a", "score": 1.0, "propensity": 0.5, "source": "actor", "reason_code": "exploring"}
    rows = [{**slate, "dt": before, "rank": rank, "track_id": f"t{rank}", "model_id": "m"} for rank in (1, 2, 3)]
    lake.overwrite_rows("by_hand", rows, WritePartition.parse(f"scores.top3_recommendations/dt={before}"))
    shown = answers()
    assert [(row[0], row[2]) for row in shown] == [(before, 1), (before, 2), (before, 3)]
    return shown


@pytest.mark.fault("scoring", "a night whose scoring fails shows yesterday's answers")
def test_a_night_whose_scoring_fails_shows_yesterdays_answers(
    yesterday: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_tracks(4, neighbours=False)
    write("gold.last_sessions", context_rows({"a": [(0, 0), (1, 0)], "b": [(2, 0)]}, in_session=2))
    assert run(monkeypatch, caplog)[0] == 3
    assert answers() == yesterday


@pytest.mark.fault("scoring", "a chance that cannot be is refused by the table itself")
def test_a_chance_that_cannot_be_is_refused_by_the_table_itself(
    yesterday: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_tracks(12, neighbours=True)
    write("gold.last_sessions", context_rows({"a": [(0, 0), (1, 3)], "b": [(2, 0)]}, in_session=2))
    version = lake.version_of("scores.top3_recommendations")
    module = the_job("top3_recommendations")
    recommend = module.recommend
    monkeypatch.setattr(module, "recommend", lambda *given: recommend(*given).withColumn("propensity", F.lit(1.5)))
    monkeypatch.setattr(module, "refuse_faults", lambda *given: 0)
    code, sentence = run(monkeypatch, caplog, module)
    assert code == 3
    assert "6 of 6 rows break the check propensity_range (propensity is above 0 and at most 1)" in sentence
    assert "nothing was published, what stood there still stands" in sentence
    assert answers() == yesterday
    assert lake.version_of("scores.top3_recommendations") == version


@pytest.mark.fault("scoring", "without a champion item_knn answers, twice the same")
def test_without_a_champion_the_night_is_answered_by_item_knn(
    spark: SparkSession, lake_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tracks(12, neighbours=True)
    write("gold.last_sessions", context_rows({"a": [(0, 0), (1, 3)], "b": [(2, 0)], "new": []}, in_session=2))
    module = the_job("top3_recommendations")
    words = vars(job.parser("top3_recommendations").parse_args(job_words()))
    module.main(**words)
    first = sorted(read("scores.top3_recommendations"), key=lambda row: (row["user_id"], row["rank"]))
    assert [(row["user_id"], row["rank"]) for row in first] == [
        (user, rank) for user in ("a", "b", "new") for rank in (1, 2, 3)
    ]
    assert {row["model_id"] for row in first} == {"item_knn"}
    liked = {"a": "t000", "b": "t002"}
    for row in first:
        source = "item_knn" if row["user_id"] in liked else "popularity"
        assert row["source"] in (source, "explore")
        by_knn = row["source"] == "item_knn"
        assert row["because_track_id"] == (liked[row["user_id"]] if by_knn else None)
        assert (row["reason_code"] == "item_knn_of_liked") == by_knn
    assert [row["source"] for row in first].count("item_knn") >= 2
    module.main(**words)
    assert sorted(read("scores.top3_recommendations"), key=lambda row: (row["user_id"], row["rank"])) == first
