"""The weekly upkeep: what it takes away, what it never touches, and that no step changes a row it should not."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from deliveries import DAY, as_csv, deliver, plays, rows_of, run, versions
from small_night import write
from typer.testing import CliRunner

from musicbox_lib import lake
from musicbox_lib.cli.app import app
from musicbox_lib.cli.maintain import STEPS
from musicbox_lib.errors import Conflict, UsageError
from musicbox_lib.lake import files as lake_files
from musicbox_lib.models import old_folders
from musicbox_lib.privacy import retention
from musicbox_lib.settings import Settings, settings
from musicbox_lib.sql.ask import ask

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NOW = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)


def back(days: int) -> dt.date:
    return DAY - dt.timedelta(days=days)


def content(name: str) -> str:
    rows = sorted(str(sorted(row.items())) for row in rows_of(name))
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def write_features(*days: dt.date) -> None:
    for day in days:
        features = {"track_id": "t1", "plays": 3, "play_share": 0.2, "quality_by_fold": [0.0] * 10}
        write("gold.track_features", [features | {"dt": day}])


def test_a_limit_never_takes_what_the_newest_night_needs() -> None:
    days = [back(n) for n in (0, 1, 5, 60, 61)]
    assert retention.past(days, 60) == [back(61), back(60)]
    assert retention.past(days, 1) == [back(61), back(60), back(5)]
    assert retention.past(days, None) == []
    assert retention.past([back(90), back(30)], 1) == []


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"keep_bronze_days": 90}, "bronze would keep 90 days and landing all"),
        ({"keep_landing_days": 91, "keep_bronze_days": 90}, "MUSICBOX_KEEP_LANDING_DAYS to 90 or less"),
        ({"keep_landing_days": 70, "keep_bronze_days": 90, "keep_silver_days": 80}, "judges again"),
        ({"keep_landing_days": 7, "keep_bronze_days": 7, "keep_silver_days": 59}, "nights and trainings read 60"),
        ({"keep_gold_days": 0}, "MUSICBOX_KEEP_GOLD_DAYS is 0"),
    ],
)
def test_limits_that_would_lose_something_are_refused(given: dict[str, int], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        retention.limits(Settings(**given))  # type: ignore[arg-type]
    ordered = Settings(keep_landing_days=60, keep_bronze_days=60, keep_silver_days=60)
    assert retention.limits(ordered)["silver"] == 60


def test_retention_says_in_the_ledger_why_a_day_is_gone(spark: SparkSession, lake_root: Path) -> None:
    write_features(DAY, back(1), back(60), back(61))
    write("reports.diversity", [])
    before = versions()
    assert CliRunner().invoke(app, ["maintain", "retention", "--dry-run"]).exit_code == 0
    assert versions() == before
    shown = CliRunner().invoke(app, ["maintain", "retention"])
    assert "gold.track_features" in shown.output
    assert lake.days_of("gold.track_features") == [back(1), DAY]
    [line] = [row for row in rows_of("ops.run_ledger") if row["job"] == "retention"]
    assert (line["table"], line["days"], line["rows"]) == ("gold.track_features", [back(61), back(60)], 0)
    assert dict(line["inputs"]) == {"keep_days": "60", "rows_removed": "2"}
    after = versions()
    assert CliRunner().invoke(app, ["maintain", "retention"]).exit_code == 0
    assert versions() == after


def test_many_small_files_become_few_and_no_row_changes(spark: SparkSession, lake_root: Path) -> None:
    write_features(*[DAY] * 9, *[back(1)] * 3)
    before, version = content("gold.track_features"), lake.version_of("gold.track_features")
    assert lake_files.small_files("gold.track_features") == {str(DAY): 9}
    assert lake_files.optimize("gold.track_features") == (9, 1)
    assert content("gold.track_features") == before
    held = lake.snapshot("gold.track_features")
    assert held is not None
    assert len(held.file_uris()) == 4
    assert lake_files.optimize("gold.track_features") == (0, 0)
    [line] = rows_of("ops.run_ledger")
    assert (line["job"], line["days"], line["version"]) == ("optimize", [], version + 1)
    held.load_as_version(version)
    assert len(held.to_pyarrow_table()) == 12, "the version before is still there"


def test_vacuum_changes_no_row_and_an_old_version_fails_loudly(
    spark: SparkSession, lake_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_features(*[DAY] * 9)
    version, before = lake.version_of("gold.track_features"), content("gold.track_features")
    lake_files.optimize("gold.track_features")
    assert lake_files.vacuum("gold.track_features", lake_files.retention_days(7)) == 0
    open_before = ask("SELECT count(*) FROM gold.track_features")
    assert lake_files.vacuum("gold.track_features", 0) == 9
    assert content("gold.track_features") == before
    assert list(open_before.rows) == [(9,)]
    after = lake.version_of("gold.track_features")
    assert lake_files.vacuum("gold.track_features", 0) == 0, "the log still names the files that went"
    assert lake.version_of("gold.track_features") == after
    held = lake.snapshot("gold.track_features")
    assert held is not None
    held.load_as_version(version)
    with pytest.raises(FileNotFoundError):
        held.to_pyarrow_table()
    monkeypatch.setenv("MUSICBOX_VACUUM_DAYS", "6")
    settings.cache_clear()
    for words in (["maintain", "vacuum"], ["maintain", "vacuum", "--dry-run"], ["forget-user", "u"]):
        refusal = CliRunner().invoke(app, words).exception
        assert isinstance(refusal, UsageError)
        assert "set it to 7 or more" in str(refusal)


def test_a_spark_reader_of_a_vacuumed_version_fails_too(spark: SparkSession, lake_root: Path) -> None:
    write_features(*[DAY] * 9)
    version = lake.version_of("gold.track_features")
    lake_files.optimize("gold.track_features")
    lake_files.vacuum("gold.track_features", 0)
    reader = spark.read.format("delta")
    assert reader.load(lake.path_of("gold.track_features")).select("track_id").where("plays = 3").count() == 9
    old = spark.read.format("delta").option("versionAsOf", version).load(lake.path_of("gold.track_features"))
    with pytest.raises(Exception, match="(?i)file.*not.*exist|FileNotFound|FAILED_READ_FILE"):
        old.where("plays = 3").collect()


def test_a_table_in_other_hands_is_left_alone(
    spark: SparkSession, lake_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_features(*[DAY] * 9)
    monkeypatch.setenv("MUSICBOX_LOCK_SECONDS", "0.1")
    settings.cache_clear()
    with lake.table_lock("gold.track_features"):
        for step in (lake_files.optimize, lambda name: lake_files.vacuum(name, 7)):
            with pytest.raises(Conflict):
                step("gold.track_features")


def folder(root: Path, name: str, age: int) -> Path:
    made = root / "models" / name
    made.mkdir(parents=True)
    (made / "manifest.json").write_text("{}")
    moment = (NOW - dt.timedelta(days=age)).timestamp()
    os.utime(made, (moment, moment))
    return made


def test_the_registry_keeps_whatever_a_backfill_may_ask_for(spark: SparkSession, lake_root: Path) -> None:
    entry: dict[str, Any] = {"reason": "", "metrics": [], "inputs": [], "files": [], "code_version": ""}
    kinds = {"champion": True, "retired": True, "superseded": False, "old-candidate": False, "new-candidate": False}
    status = {"superseded": "retired", "old-candidate": "candidate", "new-candidate": "candidate"}
    for kind, promoted in kinds.items():
        name = f"ddpgw-2026-09-01-{kind}"
        folder(lake_root, name, 10 if kind == "new-candidate" else 80)
        write(
            "models.registry",
            [entry | {"model_id": name, "dt": back(0), "status": status.get(kind, kind), "promoted": promoted}],
        )
    for day, name in ((back(0), "baselines-2026-11-05-a"), (back(179), "baselines-2026-05-10-b")):
        folder(lake_root, name, 200)
        write("models.baselines", [{"dt": day, "policy": "als", "folder": name}])
    folder(lake_root, "baselines-2026-05-09-c", 200)
    write("models.baselines", [{"dt": back(180), "policy": "als", "folder": "baselines-2026-05-09-c"}])
    for name, age in (("ddpgw-2026-11-01-left", 8), ("ddpgw-2026-11-05-at-work", 6), (".making-abc", 8), ("mine", 900)):
        folder(lake_root, name, age)
    found = old_folders.to_remove(NOW)
    gone = {".making-abc", "baselines-2026-05-09-c", "ddpgw-2026-09-01-old-candidate", "ddpgw-2026-11-01-left"}
    assert {one.folder.name for one in found} == gone
    before = {path.name for path in (lake_root / "models").iterdir() if path.is_dir()}
    rows = (len(rows_of("models.registry")), len(rows_of("models.baselines")))
    old_folders.remove(found)
    left = {path.name for path in (lake_root / "models").iterdir() if (path / "manifest.json").exists()}
    assert left == {name for name in before - gone if (lake_root / "models" / name / "manifest.json").exists()}
    assert old_folders.to_remove(NOW) == []
    assert (len(rows_of("models.registry")), len(rows_of("models.baselines"))) == rows


def test_every_step_shows_an_empty_lake(lake_root: Path) -> None:
    for step in STEPS:
        for words in (["maintain", step], ["maintain", step, "--dry-run"]):
            assert CliRunner().invoke(app, words).exit_code == 0
    assert versions() == dict.fromkeys(versions(), -1)


@pytest.mark.slow
def test_the_next_night_takes_nothing_in_again(
    spark: SparkSession, lake_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TRAINING_DAYS", "ACTIVE_DAYS", "KEEP_LANDING_DAYS", "KEEP_BRONZE_DAYS", "KEEP_SILVER_DAYS"):
        monkeypatch.setenv(f"MUSICBOX_{name}", "2")
    settings.cache_clear()
    for n in range(5):
        rows = [row for number in range(3) for row in plays(f"s-{n}-{number}", day=back(n))]
        deliver(lake_root, as_csv(rows), day=back(n))
    run("session_events", back(1))
    run("listening_events", back(1))
    unread = deliver(lake_root, as_csv(plays("late", day=back(4))), "late.csv", back(4))
    retention.remove(retention.to_remove())
    kept = [back(2), back(1)]
    assert lake.days_of("bronze.session_events") == kept
    assert lake.days_of("silver.listening_events") == kept
    landed = {path.parent.name for path in (lake_root / "landing" / "session_logs").rglob("*.csv*")}
    assert landed == {f"dt={day}" for day in (back(4), back(2), back(1), back(0))}
    assert unread.exists(), "what no night has read is not thrown away"
    unread.unlink()
    assert retention.to_remove() == []
    ledger = len(rows_of("ops.run_ledger"))
    run("session_events")
    run("listening_events")
    lines = sorted(rows_of("ops.run_ledger"), key=lambda row: row["written_at"])[ledger:]
    assert {tuple(row["days"]) for row in lines} == {(DAY,)}
    assert lake.days_of("silver.listening_events") == [*kept, DAY]
