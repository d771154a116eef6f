"""A task that is killed takes its job with it and is not tried again; a word that no DAG has is refused."""

from __future__ import annotations

import datetime as dt
import importlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from musicbox_lib.errors import DataRefused
from musicbox_lib.landing import deliveries
from musicbox_lib.machine import java, spark, stopping
from musicbox_lib.orchestration import operators
from musicbox_lib.settings import PROJECT

sys.path.insert(0, str(PROJECT / "dags"))
NOW = dt.datetime(2026, 11, 6, tzinfo=dt.UTC)
PARAMETERS = {
    "musicbox_nightly": ["run_date"],
    "musicbox_training": ["run_date"],
    "musicbox_backfill": ["from_date", "to_date", "dry_run"],
    "musicbox_maintenance": [],
}


def dag(name: str) -> Any:
    return importlib.import_module(name).dag


@pytest.fixture
def pids(tmp_path: Path) -> Path:
    """A file to which the fake job writes the processes of its own."""
    return tmp_path / "pids"


def written(pids: Path) -> list[int]:
    """The two processes of the fake job, once both run."""
    until = time.monotonic() + 30
    while len(found := pids.read_text().split() if pids.exists() else []) < 2:
        assert time.monotonic() < until
        time.sleep(0.05)
    return [int(pid) for pid in found]


def living(wanted: list[int]) -> list[int]:
    return [process.pid for process in stopping.processes() if process.pid in wanted]


def killed_while_it_runs(operator: Any, pids: Path) -> tuple[BaseException, list[int], float]:
    """Execute an operator, kill its task once the job runs; what it raised, what is left, and the seconds it took."""
    killed: list[float] = []

    def kill() -> None:
        written(pids)
        killed.append(time.monotonic())
        operator.on_kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(operators.Refused) as raised:
        operator.execute({})
    killer.join()
    return raised.value, living(written(pids)), time.monotonic() - killed[0]


JOB = """#!{python}
import os, subprocess, sys
open({pids!r}, "a").write(f"{{os.getpid()}}\\n")
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open({pids!r}, "a").write(f"{{child.pid}}\\n")
child.wait()
"""


@pytest.fixture
def job(tmp_path: Path, pids: Path) -> Path:
    """A program in place of spark-submit, which starts the job's Python as a JVM does."""
    program = tmp_path / "spark-submit"
    program.write_text(JOB.format(python=sys.executable, pids=str(pids)))
    program.chmod(0o755)
    return program


@pytest.fixture
def spark_job(job: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("PATH", f"{job.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(java, "choose", lambda: None)
    monkeypatch.setattr(spark, "local_conf", dict)
    made = operators.spark_job("session_events", [])
    yield made
    if made._hook is not None and made._hook._submit_sp is not None:
        # The provider reads to its end and leaves it open.
        made._hook._submit_sp.stdout.close()


def test_a_killed_task_ends_spark_submit_and_the_jobs_python(spark_job: Any, pids: Path) -> None:
    refused, left, seconds = killed_while_it_runs(spark_job, pids)
    assert (str(refused), left) == (
        "session_events: stopped: nothing more was published; run this day again to go on.",
        [],
    )
    assert seconds < 15


def test_a_killed_program_ends_with_what_it_started(job: Path, pids: Path) -> None:
    program = operators.Program(task_id="trainer", words=[str(job)], env_vars={})
    refused, left, seconds = killed_while_it_runs(program, pids)
    assert (str(refused), left) == ("trainer: stopped: nothing more was published; run this day again to go on.", [])
    assert seconds < 15


@pytest.mark.parametrize("exit_code", [143, 130, -15])
def test_a_job_that_was_stopped_is_not_tried_again(exit_code: int) -> None:
    with pytest.raises(operators.Refused, match=r"^diversity: stopped: nothing more was published; "):
        operators.fail("diversity", exit_code, "Traceback (most recent call last):\nKeyError: 'x'")


def test_after_a_stop_no_other_job_starts(
    spark_job: Any, job: Path, pids: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested = threading.Event()
    requested.set()
    monkeypatch.setattr(stopping, "requested", requested)
    for operator in (spark_job, operators.Program(task_id="report", words=[str(job)], env_vars={})):
        with pytest.raises(operators.Refused, match="stopped"):
            operator.execute({})
    assert not pids.exists()


def context_of(name: str, conf: dict[str, Any], run_type: str = "manual") -> dict[str, Any]:
    run = SimpleNamespace(
        conf=conf, run_type=run_type, logical_date=dt.datetime(2026, 11, 5, tzinfo=dt.UTC), run_after=NOW
    )
    found = dag(name)
    return {"dag": found, "dag_run": run, "params": {**found.params.dump(), **conf}}


def first_task(name: str) -> Callable[[], Any]:
    (root,) = dag(name).roots
    function: Callable[[], Any] = root.python_callable
    return function


@pytest.mark.parametrize("name", PARAMETERS)
def test_each_dag_refuses_a_parameter_that_it_does_not_have(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(dag(name).params) == PARAMETERS[name]
    context = context_of(name, {"run_dat": "2026-11-05"})
    monkeypatch.setattr(operators, "get_current_context", lambda: context)
    with pytest.raises(operators.Refused, match=rf"^{name} takes .*, not 'run_dat'") as said:
        first_task(name)()
    assert ("did you mean run_date?" in str(said.value)) == ("run_date" in PARAMETERS[name])


def test_no_parameter_is_no_unknown_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "get_current_context", lambda: context_of("musicbox_maintenance", {}))
    assert first_task("musicbox_maintenance")() is None


def nothing_delivered(day: dt.date) -> None:
    raise DataRefused(f"there is no delivery for {day}")


@pytest.mark.parametrize("name", ["musicbox_nightly", "musicbox_training"])
@pytest.mark.parametrize("run_type", ["scheduled", "backfill"])
def test_a_scheduled_day_without_a_delivery_is_skipped(
    name: str, run_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "require_delivery", nothing_delivered)
    monkeypatch.setattr(operators, "get_current_context", lambda: context_of(name, {}, run_type))
    with pytest.raises(AirflowSkipException, match="there is no delivery for 2026-11-05"):
        first_task(name)()


def test_a_day_that_somebody_named_fails_without_a_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "require_delivery", nothing_delivered)
    context = context_of("musicbox_nightly", {"run_date": "2026-11-04"})
    monkeypatch.setattr(operators, "get_current_context", lambda: context)
    with pytest.raises(operators.Refused, match=r"^there is no delivery for 2026-11-04$"):
        first_task("musicbox_nightly")()


def test_the_first_task_is_tried_again_where_it_crashes() -> None:
    """The first one of a fresh scheduler once met an API server that did not listen yet."""
    assert {name: dag(name).roots[0].retries for name in PARAMETERS} == {
        "musicbox_nightly": 2,
        "musicbox_training": 2,
        "musicbox_backfill": 2,
        "musicbox_maintenance": 2,
    }
