"""SIGTERM and SIGINT to the commands that run jobs: they end, with a sentence, and leave nothing at work."""

from __future__ import annotations

import datetime as dt
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from airflow_home import PLAYS, SESSIONS, deliver_small_day, environment_file, made_airflow, sourced
from deltalake import DeltaTable

from musicbox_lib.machine import stopping
from musicbox_lib.settings import PROJECT

DAY = dt.date(2026, 11, 5)
WITHIN = 20.0
"""Seconds that a stop may take, until nothing is left."""
RUN_DAG = "python -m musicbox_lib.orchestration.run_dag"
pytestmark = [pytest.mark.slow]


@dataclass(frozen=True)
class House:
    """A lake with one small day, and an Airflow of its own."""

    lake: Path
    home: Path
    environment: Path


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    folder = tmp_path_factory.mktemp("stops")
    made = House(folder / "lake", folder / "airflow", environment_file(folder, folder / "lake"))
    made_airflow(made.environment)
    deliver_small_day(made.lake, DAY)
    return made


class Started:
    """A command in a session of its own, with what it says."""

    def __init__(self, words: list[str], folder: Path) -> None:
        self.terminal = folder / "said"
        with self.terminal.open("w") as said:
            self.process = subprocess.Popen(
                words, cwd=PROJECT, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
            )

    @property
    def said(self) -> str:
        return self.terminal.read_text()

    def of_its_session(self) -> list[int]:
        """Its living processes: a session stays the same through groups and new parents."""

        def session(pid: int) -> int:
            try:
                return os.getsid(pid)
            except ProcessLookupError:
                return 0

        return [process.pid for process in stopping.processes() if session(process.pid) == self.process.pid]

    def wait_for(self, text: str, seconds: float = 120) -> None:
        until = time.monotonic() + seconds
        while text not in self.said:
            assert self.process.poll() is None and time.monotonic() < until, self.said
            time.sleep(0.1)

    def stop(self, number: signal.Signals, to: str) -> tuple[int, float]:
        """Its exit code, and the seconds from the signal until none of it is left."""
        begun = time.monotonic()
        (os.killpg if to == "all" else os.kill)(self.process.pid, number)
        code = self.process.wait(timeout=60)
        while self.of_its_session():
            assert time.monotonic() < begun + 60, self.of_its_session()
            time.sleep(0.1)
        return code, time.monotonic() - begun


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Started]]:
    """Commands that are killed where a test fails."""
    commands: list[Started] = []
    yield commands
    for command in commands:
        for pid in command.of_its_session():
            os.kill(pid, signal.SIGKILL)


def runs(home: Path) -> dict[str, set[tuple[str, int]]]:
    """Of each run in Airflow's database: its state with the states and tries of its tasks."""
    with closing(sqlite3.connect(home / "airflow.db")) as database:
        return {
            f"{run} {state}": set(
                database.execute(
                    "SELECT state, try_number FROM task_instance WHERE run_id = ? AND try_number > 0", (run,)
                )
            )
            for run, state in database.execute("SELECT run_id, state FROM dag_run")
        }


def rows_published(lake: Path) -> int:
    """The rows of the first job's table, which may not exist yet."""
    table = lake / "bronze/session_events"
    return DeltaTable(table).to_pyarrow_table().num_rows if DeltaTable.is_deltatable(str(table)) else 0


CASES = {
    "run_dag, SIGTERM": (f"{RUN_DAG} musicbox_nightly --run-date {DAY}", "session_events …", 4, "SIGTERM", "leader"),
    "run_dag, SIGINT": (f"{RUN_DAG} musicbox_nightly --run-date {DAY}", "session_events …", 4, "SIGINT", "leader"),
    "make nightly, SIGTERM to make": (f"nightly RUN_DATE={DAY}", "session_events …", 1, "SIGTERM", "leader"),
    "make nightly, SIGINT to make": (f"nightly RUN_DATE={DAY}", "session_events …", 4, "SIGINT", "leader"),
    "make nightly, Ctrl-C": (f"nightly RUN_DATE={DAY}", "session_events …", 3, "SIGINT", "all"),
    "make train, SIGTERM while Airflow starts": (f"train RUN_DATE={DAY}", "everything it says", 1, "SIGTERM", "leader"),
    "make train, Ctrl-C": (f"train RUN_DATE={DAY}", "session_events …", 3, "SIGINT", "all"),
    "make backfill, SIGTERM": (f"backfill FROM={DAY} TO={DAY}", "session_events …", 3, "SIGTERM", "leader"),
}
"""What runs, when it is stopped (a line, and seconds after it), and the signal: to its first process or to all."""


@pytest.mark.fault("a stop", "SIGTERM and SIGINT to run_dag and make, before and during a job")
@pytest.mark.parametrize("case", CASES)
def test_a_stopped_run_ends_with_its_job_and_is_not_tried_again(
    case: str, house: House, started: list[Started], tmp_path: Path
) -> None:
    words, line, later, name, to = CASES[case]
    number = signal.Signals[name]
    by_make = "make" in case
    command = Started(
        ["make", "-o", ".setup/ready", f"ENVIRONMENT=. '{house.environment}'", *words.split()]
        if by_make
        else sourced(house.environment, words.replace("python", ".venv-airflow/bin/python", 1)),
        tmp_path,
    )
    started.append(command)
    before = runs(house.home)
    command.wait_for(line)
    time.sleep(later)
    assert command.process.poll() is None, command.said
    code, seconds = command.stop(number, to)
    assert seconds < WITHIN
    # make ends by the signal itself, the command by its number.
    assert code == (-number if by_make else 128 + number)
    (sentence,) = [line for line in command.said.splitlines() if line.startswith("musicbox: ")]
    at_work = "session_events" if "session" in line else "the start of Airflow"
    again = f"`make {words}`" if by_make else f"`make nightly RUN_DATE={DAY}`"
    assert sentence == (
        f"musicbox: stopped by {name} during {at_work}: nothing more was published; run it again with {again}."
    )
    assert "Traceback" not in command.said
    after = {run: tasks for run, tasks in runs(house.home).items() if run not in before}
    assert all(run.endswith(" failed") for run in after)
    assert all(tries == 1 and state != "running" for tasks in after.values() for state, tries in tasks)
    # A stop may fall behind the commits of the first job: then its rows are there whole.
    assert rows_published(house.lake) in (0, SESSIONS * PLAYS)


DEMO = """import musicbox_lib.cli.demo as d
d.SOURCE = d.lake.local_path(d.lake.root()).with_name("generated")
raise SystemExit(d.main())"""
OTHERS = {
    "musicbox replay-rejected": (f"musicbox replay-rejected --dt {DAY}", "", 6, "`musicbox replay-rejected`"),
    "make bench": ("python -m bench --name generate", "", 4, "the bench (generate)"),
    "make demo": (f"python -c '{DEMO}'", "everything it says", 1, "the demo (training)"),
}
"""What runs, when it is stopped (a line, and seconds after it), and what is then at work."""


@pytest.mark.fault("a stop", "SIGTERM and SIGINT to the commands that start others")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("name", OTHERS)
def test_a_stopped_command_ends_with_what_it_started(
    name: str, number: signal.Signals, house: House, started: list[Started], tmp_path: Path
) -> None:
    words, line, later, doing = OTHERS[name]
    lake = tmp_path / "lake"
    if name == "musicbox replay-rejected":
        deliver_small_day(lake, DAY)
    environment = environment_file(tmp_path, lake, MUSICBOX_TRUTH=str(tmp_path / "truth"))
    if name == "make demo":
        made_airflow(environment)
    command = Started(sourced(environment, words), tmp_path)
    started.append(command)
    command.wait_for(line)
    time.sleep(later)
    assert command.process.poll() is None, command.said
    code, seconds = command.stop(number, "leader")
    assert seconds < WITHIN
    assert code == 128 + number
    sentences = [line for line in command.said.splitlines() if " stopped by " in line]
    assert len(sentences) == 1 and f" during {doing}: " in sentences[0], command.said
    assert "Traceback" not in command.said
