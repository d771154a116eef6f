"""What the doctor finds wrong, and that each finding says what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from filelock import FileLock

from musicbox_lib import settings as settings_module
from musicbox_lib.cli import doctor
from musicbox_lib.errors import MusicBoxError
from musicbox_lib.machine import java


def test_pins_of_a_lock_file() -> None:
    text = "# made by uv\na2wsgi==1.10.10 \\\n    --hash=sha256:00\nruamel.yaml==0.18 ; python_version > '3'\n"
    text += "x[extra]==2\n"
    assert doctor.locked(text) == {"a2wsgi": "1.10.10", "ruamel-yaml": "0.18", "x": "2"}


def test_this_environment_is_as_locked() -> None:
    assert doctor.versions("jobs").advice == ""


def test_another_version_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    site = tmp_path / ".venv" / "lib" / "python3.11" / "site-packages"
    (site / "pyspark-4.1.0.dist-info").mkdir(parents=True)
    (site / "pyspark-4.1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: pyspark\nVersion: 4.1.0\n")
    monkeypatch.setitem(doctor.FOLDERS, "jobs", tmp_path / ".venv")
    found = doctor.versions("jobs")
    assert (found.found, found.advice) == ("pyspark 4.1.0 instead of 4.2.0", "run `make clean setup`.")
    monkeypatch.setitem(doctor.FOLDERS, "jobs", tmp_path / "nothing")
    assert doctor.versions("jobs").advice == "run `make setup`."
    assert doctor.imports("jobs").advice == "run `make setup`."


def test_no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> java.Java:
        raise MusicBoxError("there is no Java")

    monkeypatch.setattr(java, "choose", nothing)
    assert doctor.java_choice().advice == "there is no Java"


def test_no_jars_then_no_archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MUSICBOX_JARS", str(tmp_path))
    settings_module.settings.cache_clear()
    try:
        assert "network" in doctor.jars().advice
        (tmp_path / "io.delta_delta-spark_4.2_2.13-4.4.0.jar").touch()
        assert "make setup" in doctor.jars().advice
        (tmp_path / "classes.jsa").touch()
        assert doctor.jars().advice == ""
    finally:
        settings_module.settings.cache_clear()


def test_a_table_that_is_being_written(lake_root: Path) -> None:
    assert "does not exist yet" in doctor.lake_state().found
    (lake_root / ".locks").mkdir(parents=True)
    with FileLock(lake_root / ".locks" / "gold.track_features.lock"):
        found = doctor.lake_state()
    assert "being written: gold.track_features" in found.found
    assert found.advice
    assert doctor.lake_state().advice == ""


def test_airflows_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    assert doctor.airflow().advice == "run `make setup`."
    database = sqlite3.connect(tmp_path / "airflow.db")
    database.execute("CREATE TABLE slot_pool (pool TEXT, slots INTEGER)")
    database.commit()
    assert "no slots" in doctor.airflow().found
    database.execute("INSERT INTO slot_pool VALUES ('spark', 1)")
    database.commit()
    database.close()
    assert doctor.airflow().found.endswith("idle")
    with FileLock(tmp_path / "one_at_a_time.lock"):
        assert doctor.airflow().found.endswith("at work")
