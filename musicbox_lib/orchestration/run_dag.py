"""Run one DAG once, here and now, with Airflow:
`python -m musicbox_lib.orchestration.run_dag musicbox_nightly --run-date D`.

Airflow runs the tasks one after the other in this process, without a scheduler (docs/decisions/0006): what a schedule
or a trigger would run, task by task, with Airflow's own retries, callbacks and history. The terminal gets one line per
task, a file gets everything.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib
import os
import sys
import time
from typing import TYPE_CHECKING, TextIO

from filelock import FileLock, Timeout

from musicbox_lib import lake
from musicbox_lib.contract import days as run_dates
from musicbox_lib.errors import Conflict, DataRefused, MusicBoxError, UsageError
from musicbox_lib.landing import deliveries
from musicbox_lib.machine import environment, java, make_variables, stopping
from musicbox_lib.settings import PROJECT, settings

if TYPE_CHECKING:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

DAGS = {"musicbox_nightly": "nightly", "musicbox_training": "train"}
"""Each DAG with its make target."""
UNWINDING = 5.0
"""Seconds that Airflow has to end a stopped run by itself, once the run's job has ended."""


def hold() -> FileLock:
    """Hold Airflow for this process; raises Conflict while a scheduler or another run by hand has it: a scheduler
    would start the tasks of this run a second time."""
    lock = FileLock(environment.airflow_home() / "one_at_a_time.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise Conflict(
            "Airflow is in use by `make airflow` or another run: stop it, or start the run there with "
            """`airflow dags trigger musicbox_nightly --conf '{"run_date":"YYYY-MM-DD"}'`."""
        ) from None
    return lock


class Progress:
    """One line on the terminal when a task starts and when it ends."""

    def __init__(self, terminal: TextIO) -> None:
        self.terminal = terminal
        self.started: dict[str, float] = {}
        self.at_work = "the start of Airflow"
        self.has_run = False

    def say(self, line: str) -> None:
        """Print a line at once, also into a pipe; after a stop nothing: what fails then fails of the stop."""
        if stopping.requested.is_set():
            return
        self.terminal.write(line + "\n")
        self.terminal.flush()

    def start(self, name: str) -> None:
        """A task begins."""
        self.at_work = name
        self.started[name] = time.monotonic()
        self.say(f"  {dt.datetime.now():%H:%M:%S}  {name} …")

    def end(self, name: str, outcome: str) -> None:
        """A task ended: `done`, or what went wrong."""
        seconds = time.monotonic() - self.started.get(name, time.monotonic())
        self.say(f"  {dt.datetime.now():%H:%M:%S}  {name} {outcome} in {seconds:.0f} s")

    def failed(self, name: str, error: object) -> None:
        """A task failed, with the job's sentence."""
        self.end(name, "FAILED")
        first_line = (str(error).strip().splitlines() or [repr(error)])[0]
        self.say(f"            {first_line}")


def _listen(progress: Progress) -> None:
    from airflow.listeners import hookimpl
    from airflow.sdk.listener import get_listener_manager

    class Listener:
        @hookimpl
        def on_task_instance_running(self, task_instance: RuntimeTaskInstance) -> None:
            progress.start(task_instance.task_id)

        @hookimpl
        def on_task_instance_success(self, task_instance: RuntimeTaskInstance) -> None:
            progress.end(task_instance.task_id, "done")

        @hookimpl
        def on_task_instance_failed(self, task_instance: RuntimeTaskInstance, error: object) -> None:
            progress.failed(task_instance.task_id, error)

    get_listener_manager().add_listener(Listener())


def runs_at_work(by_hand: bool = False) -> list[tuple[str, str]]:
    """DAG and id of each run that Airflow's database has as running or queued; `by_hand`: only those of this module."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunTriggeredByType
    from sqlalchemy import select

    at_work = DagRun.state.in_(("running", "queued"))
    if by_hand:
        at_work &= DagRun.triggered_by == DagRunTriggeredByType.TEST
    with create_session() as database:
        return [
            (dag_id, run_id) for dag_id, run_id in database.execute(select(DagRun.dag_id, DagRun.run_id).where(at_work))
        ]


def close_aborted_runs(runs: list[tuple[str, str]]) -> None:
    """Mark runs that were stopped or killed as failed, with their tasks: a scheduler would go on with them days later.
    Only for the holder of Airflow's lock."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import update

    begun = TaskInstance.state.in_(("running", "queued", "scheduled", "restarting", "up_for_retry", "deferred"))
    failed = {"state": "failed", "end_date": dt.datetime.now(dt.UTC)}
    with create_session() as database:
        for dag_id, run_id in runs:
            tasks = (TaskInstance.dag_id == dag_id) & (TaskInstance.run_id == run_id)
            database.execute(update(TaskInstance).where(tasks & begun).values(**failed))
            run = (DagRun.dag_id == dag_id) & (DagRun.run_id == run_id)
            database.execute(update(DagRun).where(run).values(**failed))


def run(dag_id: str, days: list[dt.date], progress: Progress) -> int:
    """Run the DAG for those days, oldest first, until one fails; returns 0 when every task succeeded, else 1."""
    java.choose()
    with hold():
        now = dt.datetime.now(dt.UTC)
        log = environment.airflow_home() / "logs" / "by_hand" / f"{dag_id}_{days[-1]}_{now:%Y%m%dT%H%M%S}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        progress.say(f"{dag_id} for {', '.join(map(str, days))} on {lake.root()}\n  everything it says: {log}")
        # Airflow, Spark and TensorFlow write to the process's own outputs: all of it goes to the file.
        with log.open("w") as file:
            os.dup2(file.fileno(), sys.stdout.fileno())
            os.dup2(file.fileno(), sys.stderr.fileno())
        sys.path.insert(0, str(PROJECT / "dags"))
        dag = importlib.import_module(dag_id).dag
        _listen(progress)
        close_aborted_runs(runs_at_work(by_hand=True))
        for day in days:
            if stopping.requested.is_set():
                return 1
            progress.has_run = True
            started = time.monotonic()
            # A logical date of its own for each run: the run date is the parameter's.
            finished = dag.test(logical_date=dt.datetime.now(dt.UTC), run_conf={"run_date": str(day)})
            state = str(getattr(finished.state, "value", finished.state))
            progress.say(f"{dag_id} for {day}: {state} in {time.monotonic() - started:.0f} s")
            if state != "success":
                return 1
    return 0


def run_until_stopped(words: argparse.Namespace, days: list[dt.date]) -> int:
    """As `run`; a stop ends the run's job with its run, and is told where the command was given."""
    terminal = os.fdopen(os.dup(sys.stderr.fileno()), "w")
    progress = Progress(os.fdopen(os.dup(sys.stdout.fileno()), "w"))

    def say(sentence: str) -> None:
        terminal.write(f"musicbox: {sentence}\n")
        terminal.flush()

    def close() -> None:
        # Before, there is nothing to close, and the main thread imports Airflow: two threads that import each other's
        # halves of it wait for each other for ever.
        if progress.has_run:
            close_aborted_runs(runs_at_work(by_hand=True))

    given = f"FROM={words.from_date} TO={words.to_date}" if words.from_date else f"RUN_DATE={days[0]}"
    again = f"`make {'backfill' if words.from_date else DAGS[words.dag]} {given}`"
    with stopping.stoppable(lambda: progress.at_work, again, say=say, unwinding=UNWINDING, before_leaving=close):
        return run(words.dag, days, progress)


def days_of(words: argparse.Namespace) -> list[dt.date]:
    """The days that the command line names: one, or the delivered ones of a range."""
    make_variables.refuse_mistyped()
    now = dt.datetime.now(dt.UTC)
    if words.run_date is not None:
        if not words.run_date:
            raise UsageError("which day? Name it, as in RUN_DATE=2026-11-05.")
        day = run_dates.resolve(words.run_date, None, now, now)
        deliveries.require_delivery(day)
        return [day]
    if not words.from_date or not words.to_date:
        raise UsageError("which days? Name them, as in FROM=2026-11-01 TO=2026-11-03.")
    days, empty = deliveries.plan(words.from_date, words.to_date)
    sys.stdout.write(f"with a delivery: {', '.join(map(str, days)) or 'none'}\n")
    sys.stdout.write(f"without one, left out: {', '.join(map(str, empty)) or 'none'}\n")
    sys.stdout.flush()
    if not days:
        raise DataRefused(f"no day from {words.from_date} to {words.to_date} has a delivery: land its logs first.")
    return days


def main() -> None:
    """Parse the words, run the DAG, end the process with what came of it."""
    parser = argparse.ArgumentParser(prog="run_dag", description=__doc__)
    parser.add_argument("dag", choices=DAGS)
    parser.add_argument("--run-date", metavar="DAY")
    parser.add_argument("--from-date", metavar="DAY")
    parser.add_argument("--to-date", metavar="DAY")
    parser.add_argument("--dry-run", action="store_true")
    words = parser.parse_args()
    try:
        settings()
        days = days_of(words)
        sys.exit(0 if words.dry_run else run_until_stopped(words, days))
    except MusicBoxError as refusal:
        sys.stderr.write(f"musicbox: {refusal}\n")
        sys.exit(refusal.exit_code)


if __name__ == "__main__":
    main()
