"""After `. .setup/environment.sh` every command by its bare name is the right one, on an empty lake too."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from airflow_home import environment_file, sourced

from musicbox_lib.cli import doctor
from musicbox_lib.cli.app import app
from musicbox_lib.machine import environment
from musicbox_lib.settings import PROJECT, settings

# Programs of the suite, a second or more each: not for `make quick`.
pytestmark = pytest.mark.spark
NAMES = sorted(command.name or command.callback.__name__.replace("_", "-") for command in app.registered_commands)  # type: ignore[union-attr]
OF_ENVIRONMENT = {
    "musicbox": environment.JOBS,
    "python": environment.JOBS,
    "spark-submit": environment.JOBS,
    "beeline": environment.JOBS,
    "airflow": environment.AIRFLOW,
}
ON_AN_EMPTY_LAKE = {
    "musicbox sql 'SELECT 1 AS answer' --format csv": (0, "answer\n1\n"),
    "musicbox sql 'SELECT * FROM silver.listening_events'": (None, ""),
    "musicbox report --dt 2026-11-05": (None, ""),
    "musicbox recommend --dt 2026-11-05": (None, ""),
    "musicbox evaluate --dt 2026-11-05": (None, ""),
    "musicbox restore reports.skip_rate --list": (None, ""),
    "musicbox forget-user u_000017 --dry-run": (None, ""),
    "musicbox maintain optimize --dry-run": (0, None),
    "musicbox land --dt 2026-11-05": (2, ""),
}
"""Exit code and output; None where either may come: the sentence counts."""
Run = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run words in a shell that sourced the file, from a folder that is not the project's."""
    file = environment_file(tmp_path, tmp_path / "lake", MUSICBOX_TRUTH=str(tmp_path / "truth"))
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PATH")}
    clean["PATH"] = os.pathsep.join(["/usr/local/bin", "/usr/bin", "/bin"])

    def called(words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            sourced(file, words), cwd=tmp_path, env=clean, capture_output=True, text=True, check=False, timeout=120
        )

    return called


@pytest.mark.parametrize("name", OF_ENVIRONMENT)
def test_a_bare_name_is_the_program_of_its_environment(name: str, run: Run) -> None:
    found = run(f"which {name}").stdout.strip()
    assert Path(found) == OF_ENVIRONMENT[name] / "bin" / name


def test_a_command_left_over_in_another_environment_is_not_the_one_that_is_meant(run: Run) -> None:
    """Set-ups of before put a `musicbox` into Airflow's environment, where it finds none of what it imports."""
    path = run("printenv PATH").stdout.split(os.pathsep)
    assert path.index(str(environment.JOBS / "bin")) < path.index(str(environment.AIRFLOW / "bin"))
    assert shutil.which("airflow", path=str(environment.JOBS / "bin")) is None


@pytest.mark.parametrize("name", NAMES)
def test_every_command_shows_its_help(name: str, run: Run) -> None:
    done = run(f"musicbox {name} --help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: musicbox" in done.stdout and "Example" in done.stdout


@pytest.mark.parametrize("words", ON_AN_EMPTY_LAKE)
def test_every_command_has_a_sentence_for_an_empty_lake(words: str, run: Run) -> None:
    code, output = ON_AN_EMPTY_LAKE[words]
    done = run(words)
    assert "Traceback" not in done.stdout + done.stderr
    if code is None:
        assert done.returncode in (1, 2, 3), done
        assert done.stderr.startswith("musicbox: ") and done.stderr.count("\n") == 1
    else:
        assert done.returncode == code, done
    if output is not None:
        assert done.stdout == output


def test_a_job_by_itself_is_a_program(run: Run) -> None:
    """As CONTRIBUTING.md has it; what spark-submit starts on this machine has no Delta, and says so."""
    words = f"{PROJECT}/jobs/last_sessions.py --listening-events silver.listening_events/dt=..2026-11-05"
    words += " --last-sessions gold.last_sessions/dt=2026-11-05"
    program, submitted = run(f"python {words}"), run(f"spark-submit {words}")
    assert program.returncode == 3
    assert "silver.listening_events has not been written" in program.stderr.splitlines()[-1]
    assert submitted.returncode == 2
    assert "call the job as a program, `python" in submitted.stdout
    assert "Traceback" not in program.stderr + submitted.stdout + submitted.stderr


def test_a_submitted_job_runs_where_its_submitter_says(run: Run, tmp_path: Path) -> None:
    """A cluster's master and memory stand; they were laid over by this machine's, without a word."""
    program = tmp_path / "program.py"
    program.write_text(
        "from musicbox_lib.machine.spark import session\n"
        "context = session('x').sparkContext\n"
        "print('RUNS', context.master, context.getConf().get('spark.driver.memory'))\n"
    )
    jars = f"--conf 'spark.driver.extraClassPath={settings().jars}/*'"
    done = run(f"spark-submit --master 'local[1]' --driver-memory 900m {jars} {program}")
    assert "RUNS local[1] 900m\n" in done.stdout, done.stderr[-2000:]


def test_the_doctor_by_its_bare_name_finds_its_own_environment_right(run: Run) -> None:
    done = run("musicbox doctor")
    assert done.returncode in (0, 1)
    assert ".venv imports" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_the_doctor_sees_another_musicbox_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "musicbox"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.bare_command() == doctor.Check(
        "Commands", f"musicbox is {other}", "run `. .setup/environment.sh` again."
    )
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert doctor.bare_command().advice == ""
