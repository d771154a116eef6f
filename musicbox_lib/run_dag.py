"""Run one DAG once, here and now, with Airflow: `python -m musicbox_lib.run_dag musicbox_nightly --run-date D`.

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

from musicbox_lib import backfills, environment, java, lake, run_dates
from musicbox_lib.errors import Conflict, DataRefused, MusicBoxError, UsageError
from musicbox_lib.settings import PROJECT

if TYPE_CHECKING:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

DAGS = ("musicbox_nightly", "musicbox_training")


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
        self.failures: list[str] = []

    def say(self, line: str) -> None:
        """Print a line at once, also into a pipe."""
        self.terminal.write(line + "\n")
        self.terminal.flush()

    def start(self, name: str) -> None:
        """A task begins."""
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


def close_aborted_runs() -> int:
    """Mark runs by hand that were killed as failed; returns how many. Airflow's database still has them as running, and
    a scheduler would go on with them days later. Only for the holder of Airflow's lock."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunTriggeredByType
    from sqlalchemy import update

    by_hand = (DagRun.triggered_by == DagRunTriggeredByType.TEST) & (DagRun.state == "running")
    with create_session() as database:
        return int(database.execute(update(DagRun).where(by_hand).values(state="failed")).rowcount)


def run(dag_id: str, days: list[dt.date]) -> int:
    """Run the DAG for those days, oldest first, until one fails; returns 0 when every task succeeded, else 1."""
    java.choose()
    with hold():
        now = dt.datetime.now(dt.UTC)
        log = environment.airflow_home() / "logs" / "by_hand" / f"{dag_id}_{days[-1]}_{now:%Y%m%dT%H%M%S}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        progress = Progress(os.fdopen(os.dup(sys.stdout.fileno()), "w"))
        progress.say(f"{dag_id} for {', '.join(map(str, days))} on {lake.root()}\n  everything it says: {log}")
        # Airflow, Spark and TensorFlow write to the process's own outputs: all of it goes to the file.
        with log.open("w") as file:
            os.dup2(file.fileno(), sys.stdout.fileno())
            os.dup2(file.fileno(), sys.stderr.fileno())
        sys.path.insert(0, str(PROJECT / "dags"))
        dag = importlib.import_module(dag_id).dag
        _listen(progress)
        close_aborted_runs()
        for day in days:
            started = time.monotonic()
            # A logical date of its own for each run: the run date is the parameter's.
            finished = dag.test(logical_date=dt.datetime.now(dt.UTC), run_conf={"run_date": str(day)})
            state = str(getattr(finished.state, "value", finished.state))
            progress.say(f"{dag_id} for {day}: {state} in {time.monotonic() - started:.0f} s")
            if state != "success":
                return 1
    return 0


def days_of(words: argparse.Namespace) -> list[dt.date]:
    """The days that the command line names: one, or the delivered ones of a range."""
    now = dt.datetime.now(dt.UTC)
    if words.run_date is not None:
        if not words.run_date:
            raise UsageError("which day? Name it, as in RUN_DATE=2026-11-05.")
        day = run_dates.resolve(words.run_date, None, now, now)
        backfills.require_delivery(day)
        return [day]
    if not words.from_date or not words.to_date:
        raise UsageError("which days? Name them, as in FROM=2026-11-01 TO=2026-11-03.")
    days, empty = backfills.plan(words.from_date, words.to_date)
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
        days = days_of(words)
        sys.exit(0 if words.dry_run else run(words.dag, days))
    except MusicBoxError as refusal:
        sys.stderr.write(f"musicbox: {refusal}\n")
        sys.exit(refusal.exit_code)


if __name__ == "__main__":
    main()
