"""Run a DAG's tasks one after the other in the test's own Spark session, with the very words that the DAG renders."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
from pathlib import Path

from deliveries import the_job

from musicbox_lib import lake
from musicbox_lib.orchestration import job
from musicbox_lib.reports.page.page import write_page
from musicbox_lib.settings import PROJECT

RENDERED = PROJECT / "tests" / "golden" / "commands"
RENDERED_FOR = dt.date(2026, 11, 5)


def commands(dag_id: str, day: dt.date) -> list[list[str]]:
    """Program and words of each task, in order, as the golden file of `tests/dags` has them, moved to another day."""

    def moved(found: re.Match[str]) -> str:
        return str(dt.date.fromisoformat(found.group()) + (day - RENDERED_FOR))

    text = re.sub(r"\d{4}-\d{2}-\d{2}", moved, (RENDERED / f"{dag_id}.txt").read_text())
    text = text.replace("PROJECT", str(PROJECT)).replace("/lake/models", f"{lake.root()}/models")
    tasks = re.split(r"^\w+\n", text, flags=re.MULTILINE)[1:]
    return [[line.strip() for line in task.splitlines()] for task in tasks]


def run_dag(dag_id: str, day: dt.date) -> None:
    """All of the DAG's tasks for that day; the first refusal is raised."""
    for program, *words in commands(dag_id, day):
        if program.endswith("/python"):
            done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr[-2000:]
        elif program.endswith("/musicbox"):
            write_page(day)
        else:
            name = Path(program).stem
            job.call(the_job(name).main, name, words)
