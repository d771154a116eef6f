"""The DAGs as Airflow sees them: order, names, arguments, and what happens when a job refuses."""

from __future__ import annotations

import copy
import datetime as dt
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import timezone
from airflow.sdk.exceptions import AirflowException

from musicbox_lib.contract.jobs import JOBS, job, writer_of
from musicbox_lib.contract.tables import tables
from musicbox_lib.machine import environment
from musicbox_lib.orchestration import operators
from musicbox_lib.settings import PROJECT

DAGS = ("musicbox_nightly", "musicbox_training", "musicbox_backfill", "musicbox_maintenance")
GOLDEN = PROJECT / "tests" / "golden" / "commands"
DAYS = {"run_date": "2026-11-05", "day_before": "2026-11-04", "training_from": "2026-09-07"}

sys.path.insert(0, str(PROJECT / "dags"))


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    return {name: importlib.import_module(name).dag for name in DAGS}


class Resolved:
    """The only thing that the templates ask of a task instance."""

    def xcom_pull(self, task_ids: str, key: str, **_: object) -> str:
        assert task_ids == "run_date"
        return DAYS[key]


def words_of(task: Any) -> list[str]:
    """A task's rendered command: the program or job, then its words."""
    context = {"task_instance": Resolved(), "ti": Resolved(), "run_id": "run"}
    if isinstance(task, operators.SparkJob):
        return [task.application, *task.render_template(task.application_args, context)]
    return list(task.render_template(task.words, context))


def jobs_of(dag: Any) -> list[Any]:
    return [task for task in dag.topological_sort() if hasattr(task, "words") or hasattr(task, "application")]


def rendered(dag: Any) -> str:
    return "".join(
        f"{task.task_id}\n" + "".join(f"    {word}\n" for word in words_of(task)).replace(str(PROJECT), "PROJECT")
        for task in jobs_of(dag)
    )


@pytest.mark.parametrize("name", ["musicbox_nightly", "musicbox_training", "musicbox_maintenance"])
def test_the_rendered_commands_are_the_golden_ones(dags: dict[str, Any], name: str) -> None:
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("REBUILD_GOLDENS") == "yes":
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(rendered(dags[name]))
        pytest.skip(f"{golden} was rebuilt: look at its diff")
    assert rendered(dags[name]) == golden.read_text()


def test_every_job_understands_its_rendered_arguments(dags: dict[str, Any]) -> None:
    """In the jobs' own environment, by each job's own parser."""
    commands = [
        words
        for name in ("musicbox_nightly", "musicbox_training")
        for task in jobs_of(dags[name])
        if "/jobs/" in " ".join(words := words_of(task))
    ]
    commands = [words[words.index(next(word for word in words if word.endswith(".py"))) :] for words in commands]
    program = """
import json, sys
from pathlib import Path
from musicbox_lib.orchestration import job
for path, *words in json.load(sys.stdin):
    job.parser(Path(path).stem).parse_args(words)
"""
    done = subprocess.run(
        [str(environment.JOBS / "bin" / "python"), "-c", program],
        input=json.dumps(commands), capture_output=True, text=True, check=False, cwd=PROJECT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(commands) >= 10


def test_a_task_is_named_after_the_table_its_job_writes(dags: dict[str, Any]) -> None:
    nouns = {table.noun for table in tables().values()}
    for name in ("musicbox_nightly", "musicbox_training"):
        for task in jobs_of(dags[name]):
            if isinstance(task, operators.SparkJob):
                assert task.task_id in nouns
                assert Path(task.application) == PROJECT / "jobs" / f"{task.task_id}.py"


def partitions_of(task: Any) -> list[str]:
    """The words of a task that name a table of the lake."""
    return [word for word in words_of(task) if word.partition("/")[0] in tables()]


def test_a_task_reads_and_writes_what_its_job_declares(dags: dict[str, Any]) -> None:
    seen = set()
    for name in ("musicbox_nightly", "musicbox_training"):
        for task in jobs_of(dags[name]):
            if task.task_id == "report":
                continue
            declared = job(task.task_id)
            named = {word.partition("/")[0] for word in partitions_of(task)}
            assert named == {*declared.reads, *declared.writes}, task.task_id
            trains = str(environment.TRAIN / "bin" / "python") in words_of(task)
            assert trains == (declared.environment == "train"), task.task_id
            seen.add(task.task_id)
    assert seen == {declared.name for declared in JOBS}


def test_a_job_comes_after_every_job_whose_table_it_reads(dags: dict[str, Any]) -> None:
    """Where the DAG has both: the night reads models that an earlier training wrote, and what the day before left."""
    read = set()
    for name in ("musicbox_nightly", "musicbox_training"):
        tasks = {task.task_id for task in jobs_of(dags[name])}
        for task in jobs_of(dags[name]):
            if task.task_id == "report":
                continue
            before = {upstream.task_id for upstream in task.get_flat_relatives(upstream=True)}
            written_here = set(job(task.task_id).writes)
            for word in partitions_of(task):
                table = word.partition("/")[0]
                if table in written_here or word.endswith(DAYS["day_before"]) or writer_of(table) not in tasks:
                    continue
                assert writer_of(table) in before, (name, task.task_id, word)
                read.add(table)
    # Tables whose job has another name count as well.
    assert {"gold.track_embeddings", "silver.known_tracks", "bronze.tracks"} <= read


def test_every_run_starts_with_its_date(dags: dict[str, Any]) -> None:
    for name in ("musicbox_nightly", "musicbox_training"):
        assert [task.task_id for task in dags[name].roots] == ["run_date"]


def test_one_run_and_one_jvm_at_a_time(dags: dict[str, Any]) -> None:
    for dag in dags.values():
        assert (dag.max_active_runs, dag.catchup) == (1, False)
        for task in dag.tasks:
            if isinstance(task, operators.SparkJob):
                assert (task.pool, task.pool_slots) == ("spark", 1)


def run_after(dag: Any, now: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    """Logical date and start of the last scheduled run before `now`."""
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import TimeRestriction

    timetable = coerce_to_core_timetable(dag.timetable)
    window = TimeRestriction(earliest=timezone.coerce_datetime(now - dt.timedelta(days=8)), latest=None, catchup=True)
    found = timetable.next_dagrun_info(last_automated_data_interval=None, restriction=window)
    while found.run_after <= now:
        last = found
        found = timetable.next_dagrun_info(last_automated_data_interval=found.data_interval, restriction=window)
    return last.logical_date, last.run_after


def test_the_schedules_mean_the_day_that_just_ended(dags: dict[str, Any]) -> None:
    now = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)
    assert run_after(dags["musicbox_nightly"], now) == (
        dt.datetime(2026, 11, 24, tzinfo=dt.UTC), dt.datetime(2026, 11, 25, tzinfo=dt.UTC)
    )  # fmt: skip
    # Monday the 23rd trains on everything up to Sunday the 22nd.
    assert run_after(dags["musicbox_training"], now) == (
        dt.datetime(2026, 11, 22, tzinfo=dt.UTC), dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
    )  # fmt: skip
    # Sunday noon, between two nights.
    assert run_after(dags["musicbox_maintenance"], now)[1] == dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


def test_the_upkeep_waits_for_whoever_writes(dags: dict[str, Any]) -> None:
    upkeep = dags["musicbox_maintenance"]
    assert [task.task_id for task in upkeep.topological_sort()][-1] == "vacuum"
    assert {task.task_id for task in upkeep.get_task("vacuum").get_flat_relatives(upstream=True)} == {
        *("parameters", "registry", "retention", "optimize"),
    }
    assert {(task.pool, task.pool_slots) for task in jobs_of(upkeep)} == {("spark", 1)}


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("musicbox_nightly", {"run_date": "05.11.2026"}),
        ("musicbox_training", {"run_date": 5}),
        ("musicbox_backfill", {"from_date": "2026-11-31", "to_date": "2026-12-01"}),
        ("musicbox_backfill", {"from_date": "2026-11-01", "to_date": "2026-11-02", "dry_run": "perhaps"}),
    ],
)
def test_an_impossible_parameter_is_refused_when_a_run_is_triggered(
    dags: dict[str, Any], name: str, params: dict[str, Any]
) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    given = copy.deepcopy(dags[name].params)
    with pytest.raises(ParamValidationError):
        for key, value in params.items():
            given[key] = value


def test_a_refusal_is_not_retried_and_says_the_jobs_own_sentence() -> None:
    output = "26/11/05 INFO Context\n01:00:00 ERROR musicbox: track_features: there is nothing to read.\nmore"
    with pytest.raises(operators.Refused, match=r"^track_features: there is nothing to read\.$"):
        operators.fail("track_features", 3, output)


def test_the_command_lines_sentence_counts_too() -> None:
    with pytest.raises(operators.Refused, match=r"^reports.skip_rate has no day 2026-11-05\.$"):
        operators.fail("report", 2, "musicbox: reports.skip_rate has no day 2026-11-05.\n")


def test_a_crash_is_told_by_the_last_line_of_its_traceback() -> None:
    output = "Traceback (most recent call last):\n  File x\nValueError: first\nModuleNotFoundError: No module\nbye"
    with pytest.raises(AirflowException, match=r"^report: ended with exit code 1 \(ModuleNotFoundError: No module\); "):
        operators.fail("report", 1, output)


@pytest.mark.parametrize("exit_code", [1, 4, 137])
def test_a_crash_or_a_conflict_is_retried(exit_code: int) -> None:
    with pytest.raises(AirflowException, match="its log has the rest") as raised:
        operators.fail("diversity", exit_code, "Traceback (most recent call last):\nKeyError: 'x'")
    assert not isinstance(raised.value, operators.Refused)


def test_a_program_gets_its_words_unquoted_and_untouched() -> None:
    """A shell would run the second half of this word."""
    odd = "a b; exit 9 $(exit 9) '\""
    check = f"import sys; sys.exit(0 if sys.argv[1] == {odd!r} else 3)"
    operators.Program(task_id="echo", words=[sys.executable, "-c", check, odd], env_vars={}).execute({})
    with pytest.raises(operators.Refused, match=r"^echo: no\.$"):
        shout = "import sys; print('ERROR musicbox: echo: no.'); sys.exit(3)"
        operators.Program(task_id="echo", words=[sys.executable, "-c", shout], env_vars={}).execute({})


def test_no_value_from_a_trigger_is_templated_into_a_shell(dags: dict[str, Any]) -> None:
    for dag in dags.values():
        assert not any("Bash" in type(task).__name__ for task in dag.tasks)


def test_the_backfill_gives_each_day_a_run_of_its_own_name(dags: dict[str, Any]) -> None:
    nightly = dags["musicbox_backfill"].get_task("nightly")
    assert nightly.partial_kwargs["reset_dag_run"]
    assert nightly.partial_kwargs["wait_for_completion"]
    assert nightly.partial_kwargs["max_active_tis_per_dagrun"] == 1


def test_the_dags_survive_serialization(dags: dict[str, Any]) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    for dag in dags.values():
        again = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
        assert {task.task_id for task in again.tasks} == {task.task_id for task in dag.tasks}
        assert not re.search(r"(?i)password|secret", json.dumps(DagSerialization.to_dict(dag), default=str))
