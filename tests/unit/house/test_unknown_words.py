"""A word that nobody reads is refused, and the near one is named: settings, keys of YAML files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from musicbox_lib.contract import tables
from musicbox_lib.errors import UsageError, unknown_words
from musicbox_lib.machine import environment, make_variables
from musicbox_lib.settings import NOT_SETTINGS, PROJECT, refuse_unknown, settings
from musicbox_lib.synthetic.faults.plant import read_faults

AIRFLOW = str(environment.AIRFLOW / "bin" / "python")
ENTRANCES = {
    "musicbox": [sys.executable, "-c", "from musicbox_lib.cli.app import main; main()", "doctor"],
    "job": [sys.executable, "jobs/session_events.py", "--run-date", "2026-11-05"],
    "run_dag": [AIRFLOW, "-m", "musicbox_lib.orchestration.run_dag", "musicbox_nightly", "--run-date", "2026-11-05"],
    "run_airflow": [AIRFLOW, "-m", "musicbox_lib.orchestration.run_airflow"],
    "demo": [sys.executable, "-m", "musicbox_lib.cli.demo"],
    "sql_server": [sys.executable, "-m", "musicbox_lib.sql.server"],
    "bench": [sys.executable, "-m", "bench", "--name", "skew"],
}


@pytest.fixture(autouse=True)
def read_anew() -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_every_entrance_refuses_a_setting_that_nobody_reads(entrance: str, tmp_path: Path) -> None:
    done = subprocess.run(
        ENTRANCES[entrance],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "AIRFLOW_HOME": str(tmp_path), "MUSICBOX_LAEK": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr
    assert "'MUSICBOX_LAEK' (did you mean MUSICBOX_LAKE?), which no part of MusicBox reads" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_value_that_does_not_parse_is_told_by_its_variable_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSICBOX_ACTIVE_DAYS", "thirty")
    monkeypatch.setenv("MUSICBOX_LOCK_SECONDS", "long")
    with pytest.raises(
        UsageError, match=r"^the environment .* MUSICBOX_ACTIVE_DAYS \(.*integer.*MUSICBOX_LOCK"
    ) as said:
        settings()
    assert "thirty" not in str(said.value)
    assert "\n" not in str(said.value)


def test_every_variable_that_the_project_names_is_a_setting_or_declared() -> None:
    ours = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    files = [PROJECT / name for name in ours.split("\0") if name and name != "tests/unit/house/test_unknown_words.py"]
    text = "\n".join(file.read_text(errors="replace") for file in files if file.is_file())
    # Not MUSICBOX_KEEP_…_DAYS, which stands for several.
    names = set(re.findall(r"\bMUSICBOX_[A-Z_]*[A-Z]\b(?!…)", text))
    assert {*NOT_SETTINGS, "MUSICBOX_LAKE", "MUSICBOX_TRUTH"} <= names
    refuse_unknown(names)


def test_names_outside_the_prefix_are_nobodys_business() -> None:
    refuse_unknown(["PATH", "MUSIC", "XMUSICBOX_LAEK", "musicbox_lake"])
    with pytest.raises(UsageError, match=r"'MUSICBOX_ZZZ', which no part"):
        refuse_unknown(["MUSICBOX_ZZZ"])


def test_the_nearest_known_name_is_named_once() -> None:
    assert unknown_words(["run_date"], ["run_date"]) == ""
    assert unknown_words(["run_dat", "zzz"], ["run_date"]) == "'run_dat' (did you mean run_date?), 'zzz'"
    assert unknown_words(["Run_Date"], ["run_date"]) == "'Run_Date' (did you mean run_date?)"
    assert unknown_words([5], ["run_date"]) == "5"


@pytest.mark.parametrize(
    ("place", "key", "complaint"),
    [
        ((), "partitions", r"the table has 'partitions' \(did you mean partition\?\)"),
        (("columns", 0), "nulable", r"column dt has 'nulable' \(did you mean nullable\?\)"),
        (("expectations", 0), "severty", r"expectation \w+ has 'severty' \(did you mean severity\?\)"),
        (("expectations", 0), "usual", r"`usual` of \w+ has 'flor' \(did you mean floor\?\)"),
        (("checks", 0), "sqll", r"check \w+ has 'sqll' \(did you mean sql\?\)"),
    ],
)
def test_an_unknown_key_of_the_contract_is_refused(
    tmp_path: Path, place: tuple[str | int, ...], key: str, complaint: str
) -> None:
    raw = yaml.safe_load((PROJECT / "schemas" / "3_silver" / "listening_events.yaml").read_text())
    raw.setdefault("checks", [{"name": "c", "sql": "true", "about": "c."}])
    part = raw
    for step in place:
        part = part[step]
    part[key] = {"flor": 1.0} if key == "usual" else False
    path = tmp_path / "listening_events.yaml"
    path.write_text(yaml.safe_dump(raw, sort_keys=False))
    with pytest.raises(UsageError, match=complaint) as said:
        tables._load(path)
    assert str(path) in str(said.value)


def test_an_unknown_kind_of_fault_is_refused_with_the_near_one(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text("nul_bite: 3\n")
    with pytest.raises(UsageError, match=r"there is no fault 'nul_bite' \(did you mean nul_byte\?\)"):
        read_faults(path)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (" -- RUNDATE=2026-11-05", r"^make knows no 'RUNDATE' \(did you mean RUN_DATE\?\)"),
        ("k -- TO=2026-11-05 FROM=2026-11-01 DRYRUN=1", r"^make knows no 'DRYRUN' \(did you mean DRY_RUN\?\)"),
        (" -- run_date=2026-11-05", r"^make knows no 'run_date' \(did you mean RUN_DATE\?\)"),
        (" -- q=SELECT\\ 1", r"^make knows no 'q' \(did you mean Q\?\)"),
        (" -- NAM=scoring", r"^make knows no 'NAM' \(did you mean NAME\?\)"),
    ],
)
def test_a_mistyped_variable_of_make_is_refused(flags: str, complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKEFLAGS", flags)
    with pytest.raises(UsageError, match=complaint):
        make_variables.refuse_mistyped()


@pytest.mark.parametrize(
    "flags",
    ["", " -- RUN_DATE=2026-11-05", " -- MUSICBOX_LAKE=/x UV=uv KILLS=2 ENVIRONMENT=x", r" -- Q=WHERE\ fro=1\ size=2"],
)
def test_other_variables_of_make_are_its_own_affair(flags: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKEFLAGS", flags)
    make_variables.refuse_mistyped()
