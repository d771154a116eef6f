"""The one place that makes Airflow operators: how a job is started, retried, and how its failure reads."""

from __future__ import annotations

import datetime as dt
import functools
import logging
import os
import re
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import BaseHook, BaseOperator, Context, Param, XComArg, get_current_context, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from musicbox_lib.contract import days as run_dates
from musicbox_lib.errors import DataRefused, MusicBoxError, UsageError, unknown_words
from musicbox_lib.landing import deliveries
from musicbox_lib.machine import environment, java, spark, stopping
from musicbox_lib.settings import PROJECT, settings

log = logging.getLogger("musicbox")

POOL = "spark"
"""One slot: two JVMs on two cores only make both slow, and on a local file system Delta guards a commit only inside
one JVM (the table locks are the second line)."""
REFUSALS = (UsageError.exit_code, DataRefused.exit_code)
"""The same words and the same data are refused again, so these exit codes are not retried."""
KILLED_WITHIN = 3.0
"""Seconds that a killed task's job has to end: Airflow kills the task's process after five."""
BY_SCHEDULE = ("scheduled", "backfill")
"""Run types whose days nobody named one by one: such a day without a delivery is skipped."""
CRASH = re.compile(r"^((?:\w+\.)*\w*(?:Error|Exception|Interrupt): .*)$", re.MULTILINE)
"""The last line of a traceback: what a job that crashed has to say."""
SENTENCE = re.compile(r"(?:ERROR musicbox|^musicbox): (.+)", re.MULTILINE)
"""How a job and the command line say why they stop."""

DEFAULTS: dict[str, Any] = {
    # One retry: what passes by itself (a lock held by another writer, a full disk being cleaned) passes in a minute;
    # a refusal is not retried at all.
    "retries": 1,
    "retry_delay": dt.timedelta(seconds=30),
    "owner": "musicbox",
}

RUN_DATE = Param(
    None,
    type=["null", "string"],
    format="date",
    description="The day delivered and to be processed, YYYY-MM-DD. Empty: the logical date, else yesterday (UTC).",
)


class Refused(AirflowFailException):
    """A job's own sentence: what is wrong, where, and what to do. Not retried."""


def sentence_of(text: str) -> str:
    """A job's last sentence in its output; empty where it gave none."""
    found = SENTENCE.findall(text)
    return str(found[-1]).strip() if found else ""


def fail(name: str, exit_code: int, output: str) -> None:
    """Raise for a job that ended with that code: Refused for wrong words or data and for a stop, else an error that is
    retried."""
    if exit_code in stopping.EXIT_CODES:
        raise stopped(name)
    crashed = CRASH.findall(output)
    reason = f" ({crashed[-1]}); its log has the rest." if crashed else " and no sentence; its log has the reason."
    sentence = sentence_of(output) or f"{name}: ended with exit code {exit_code}{reason}"
    if exit_code in REFUSALS:
        raise Refused(sentence)
    raise AirflowException(sentence)


def stopped(name: str) -> Refused:
    """What is raised for a job that was stopped: whoever stopped it does not want a second try."""
    return Refused(f"{name}: stopped: nothing more was published; run this day again to go on.")


def log_failure(context: Context) -> None:
    """Say in one sentence what failed for which run (DAG.on_failure_callback of every task)."""
    instance = context["ti"]
    log.error("%s of %s %s failed: %s", instance.task_id, instance.dag_id, instance.run_id, context.get("exception"))


def job_environment() -> dict[str, str]:
    """What every job finds in its environment; the run's id goes to the ledger."""
    return {
        "PYSPARK_PYTHON": str(environment.JOBS / "bin" / "python"),
        "MUSICBOX_RUN_ID": "{{ run_id }}",
        "GX_ANALYTICS_ENABLED": "false",
    }


class SparkJob(SparkSubmitOperator):
    """A job through spark-submit. The connection decides where it runs; in local mode the JVM gets `local_conf`."""

    conf: dict[str, str] | None
    """A local JVM: heap, garbage collector, compiler, class archive and Delta's jars (reasons in `spark.local_conf`).
    A cluster's settings are the cluster's: nothing is laid over them."""
    _is_stopped = False
    _is_local = False

    def _get_hook(self) -> Any:
        hook = super()._get_hook()
        # A group of its own: the JVM starts the job's Python, which outlives a JVM that is killed.
        hook.submit = functools.partial(hook.submit, process_group=0)
        return hook

    def execute(self, context: Context) -> None:
        """Submit the job and wait; a refusal is raised as the job's own sentence."""
        if stopping.requested.is_set():
            raise stopped(self.task_id)
        self._is_local = (BaseHook.get_connection(self._conn_id).host or "").startswith("local")
        try:
            if self._is_local:
                java.choose()
                self.conf = spark.local_conf()
        except MusicBoxError as missing:
            raise Refused(str(missing)) from missing
        try:
            super().execute(context)
        except AirflowException as failure:
            if self._is_stopped or stopping.requested.is_set():
                raise stopped(self.task_id) from failure
            submitted = getattr(self._hook, "_submit_sp", None)
            if submitted is None or not submitted.returncode:
                raise
            fail(self.task_id, submitted.returncode, str(failure))

    def on_kill(self) -> None:
        """End the job with its task: spark-submit, its JVM and the job's Python; on a cluster also what runs there.
        Airflow's own way kills spark-submit alone, and in local mode the Python lives on."""
        self._is_stopped = True
        if not self._is_local and self._hook is not None:
            super().on_kill()
        submitted = getattr(self._hook, "_submit_sp", None)
        if submitted is not None and submitted.returncode is None:
            stopping.end_group(submitted.pid, KILLED_WITHIN)


class Program(BaseOperator):
    """A program in an interpreter of its own, without a shell: its words are a list, so nothing needs quoting."""

    template_fields: Sequence[str] = ("words", "env_vars")

    def __init__(self, *, words: list[str], env_vars: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words = words
        self.env_vars = dict(env_vars)
        self._process: subprocess.Popen[str] | None = None
        self._is_stopped = False

    def execute(self, context: Context) -> None:  # noqa: ARG002 (Airflow's signature)
        """Run the program in the project's folder and wait; a refusal is raised as the program's own sentence."""
        if stopping.requested.is_set():
            raise stopped(self.task_id)
        tail: deque[str] = deque(maxlen=200)
        with subprocess.Popen(
            self.words,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **self.env_vars},
            cwd=PROJECT,
            # A group of its own, so that ending the task also ends what the program started.
            process_group=0,
        ) as self._process:
            for line in self._process.stdout or ():
                self.log.info(line.rstrip())
                tail.append(line)
        if self._is_stopped or stopping.requested.is_set():
            raise stopped(self.task_id)
        if self._process.returncode:
            fail(self.task_id, self._process.returncode, "".join(tail))

    def on_kill(self) -> None:
        """End the program with its task."""
        self._is_stopped = True
        if self._process is not None and self._process.returncode is None:
            stopping.end_group(self._process.pid, KILLED_WITHIN)


def spark_job(name: str, words: list[str]) -> SparkJob:
    """The task that submits `jobs/NAME.py WORDS…`."""
    return SparkJob(
        task_id=name,
        name=name,
        application=str(PROJECT / "jobs" / f"{name}.py"),
        application_args=words,
        conn_id="spark_default",
        env_vars=job_environment(),
        pool=POOL,
        on_failure_callback=log_failure,
    )


def trainer_job(name: str, words: list[str]) -> Program:
    """The task that runs `jobs/NAME.py WORDS…` in the training environment: Petastorm and Spark cannot share one
    (docs/decisions/0001)."""
    return Program(
        task_id=name,
        words=[str(environment.TRAIN / "bin" / "python"), str(PROJECT / "jobs" / f"{name}.py"), *words],
        env_vars=job_environment(),
        # TensorFlow fills both cores: no JVM beside it.
        pool=POOL,
        on_failure_callback=log_failure,
    )


def command(name: str, /, *words: str) -> Program:
    """The task that runs `musicbox WORDS…`, without a JVM."""
    return Program(
        task_id=name,
        words=[str(environment.JOBS / "bin" / "musicbox"), *words],
        env_vars=job_environment(),
        on_failure_callback=log_failure,
    )


def upkeep(step: str, /, *after: Program | XComArg) -> Program:
    """The task that runs `musicbox maintain STEP`, after the given ones and never beside a job that writes."""
    made = Program(
        task_id=step,
        words=[str(environment.JOBS / "bin" / "musicbox"), "maintain", step],
        env_vars=job_environment(),
        pool=POOL,
        on_failure_callback=log_failure,
    )
    for one in after:
        one >> made
    return made


def refuse_unknown_words(context: Context) -> None:
    """Raise Refused for a key of a run's `--conf` that its DAG does not have: Airflow takes it without a word and the
    run has the default instead."""
    known = list(context["dag"].params)
    if odd := unknown_words(context["dag_run"].conf or {}, known):
        takes = f"takes {', '.join(known)}" if known else "takes no parameter"
        raise Refused(f"{context['dag'].dag_id} {takes}, not {odd}: trigger it again with the right name.")


# Only what passes by itself is tried again, as an API server that is busy: a refusal is not.
@task(multiple_outputs=True, retries=2, on_failure_callback=log_failure)
def run_date() -> dict[str, str]:
    """The run's first task: the run date and the days counted from it, resolved once, printed, validated. A scheduled
    day without a delivery is skipped, with all that follows."""
    context = get_current_context()
    refuse_unknown_words(context)
    run = context["dag_run"]
    try:
        day = run_dates.resolve(
            context["params"].get("run_date"), run.logical_date, run.run_after, dt.datetime.now(dt.UTC)
        )
        deliveries.require_delivery(day)
    except DataRefused as missing:
        if run.run_type in BY_SCHEDULE:
            raise AirflowSkipException(f"skipped: {missing}") from missing
        raise Refused(str(missing)) from missing
    except MusicBoxError as wrong:
        raise Refused(str(wrong)) from wrong
    log.info("run date %s (parameter, else logical date, else the day before the run)", day)
    return {
        "run_date": str(day),
        "day_before": str(day - dt.timedelta(days=1)),
        "training_from": str(day - dt.timedelta(days=settings().training_days - 1)),
    }


@task(retries=2, on_failure_callback=log_failure)
def parameters() -> None:
    """The first task of a DAG without parameters: refuses a run that was given some."""
    refuse_unknown_words(get_current_context())


@task(retries=2, on_failure_callback=log_failure)
def backfill_days() -> list[dict[str, Any]]:
    """The nightly runs that a backfill starts: one for each delivered day, oldest first; none in a dry run."""
    refuse_unknown_words(get_current_context())
    params = get_current_context()["params"]
    try:
        days, empty = deliveries.plan(params["from_date"], params["to_date"])
    except UsageError as wrong:
        raise Refused(str(wrong)) from wrong
    log.info("with a delivery: %s", ", ".join(map(str, days)) or "none")
    log.info("without a delivery, left out: %s", ", ".join(map(str, empty)) or "none")
    if not days:
        raise Refused(f"no day from {params['from_date']} to {params['to_date']} has a delivery: land its logs first.")
    if params["dry_run"]:
        return []
    # The run's id is the day's: a second backfill of a day runs that run again instead of adding one.
    return [{"trigger_run_id": f"backfill__{day}", "conf": {"run_date": str(day)}} for day in days]


def nightly_runs(days: XComArg) -> Any:
    """Run the nightly DAG for each day, one at a time, and wait for each."""
    nightly = TriggerDagRunOperator.partial(
        task_id="nightly",
        trigger_dag_id="musicbox_nightly",
        reset_dag_run=True,
        wait_for_completion=True,
        poke_interval=5,
        # A paused DAG would let the backfill wait for ever.
        fail_when_dag_is_paused=True,
        # The nights read each other's tables: oldest first, never two at once.
        max_active_tis_per_dagrun=1,
        retries=0,
        on_failure_callback=log_failure,
    )
    return nightly.expand_kwargs(days)
