"""What a stop signal does to a command and to what it started: real processes, real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from musicbox_lib.machine import stopping
from musicbox_lib.settings import PROJECT

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

START = """
import ctypes, os, signal, subprocess, sys, time
from musicbox_lib.machine import stopping
def ready(): print("ready", flush=True)
def started(words, **kwargs):
    child = subprocess.Popen(words, **kwargs)
    print("child", child.pid, flush=True)
    return child
"""
WORK = "with stopping.stoppable(lambda: 'a test', '`make test`'):\n    "
SENTENCE = "musicbox: stopped by {} during a test: nothing more was published; run it again with `make test`.\n"


class Command:
    """A Python program with its output, and the children that it names."""

    def __init__(self, program: str, *before: str) -> None:
        self.process = subprocess.Popen(
            [*before, sys.executable, "-c", START + program],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            start_new_session=True,
        )
        self.children: list[int] = []
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line == "ready\n":
                break
            self.children.append(int(line.split()[-1]))

    def stop(self, number: signal.Signals, times: int = 1) -> tuple[int, str, float]:
        """Exit code, what was said and the seconds that it took."""
        begun = time.monotonic()
        for _ in range(times):
            os.kill(self.process.pid, number)
        return *self.end(), time.monotonic() - begun

    def end(self) -> tuple[int, str]:
        """Exit code and what was said."""
        said = self.process.communicate(timeout=20)[1]
        return self.process.returncode, said

    def living(self) -> list[int]:
        """The children that still run."""
        return [process.pid for process in stopping.processes() if process.pid in self.children]


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_a_stop_is_told_in_one_sentence_and_its_exit_code(number: signal.Signals) -> None:
    code, said, _ = Command(WORK + "ready(); time.sleep(60)").stop(number)
    assert (code, said) == (128 + number, SENTENCE.format(number.name))


def test_a_second_signal_changes_nothing() -> None:
    code, said, _ = Command(WORK + "ready(); time.sleep(60)").stop(signal.SIGINT, times=3)
    assert (code, said) == (130, SENTENCE.format("SIGINT"))


def test_native_code_that_does_not_return_is_no_obstacle() -> None:
    """A handler in Python would run a minute later."""
    code, said, seconds = Command(WORK + "ready(); ctypes.CDLL(None).usleep(60_000_000)").stop(signal.SIGTERM)
    assert (code, said) == (143, SENTENCE.format("SIGTERM"))
    assert seconds < 10


def test_another_handler_in_its_place_is_no_obstacle() -> None:
    """Airflow's task runner sets one at every task."""
    taken = WORK + "signal.signal(signal.SIGTERM, lambda *_: None); ready(); time.sleep(60)"
    code, said, _ = Command(taken).stop(signal.SIGTERM)
    assert (code, said) == (143, SENTENCE.format("SIGTERM"))


def test_children_of_children_in_groups_of_their_own_end_too() -> None:
    grand = "subprocess.Popen(['sleep', '60'], process_group=0)"
    child = (
        f"import subprocess, time; print('child', {grand}.pid, flush=True); print('ready', flush=True); time.sleep(60)"
    )
    command = Command(WORK + f"started([sys.executable, '-c', {child!r}], process_group=0); time.sleep(60)")
    assert len(command.living()) == 2
    code, said, seconds = command.stop(signal.SIGTERM)
    assert (code, said, command.living()) == (143, SENTENCE.format("SIGTERM"), [])
    assert seconds < stopping.GRACE


def test_a_child_that_takes_no_notice_is_killed() -> None:
    child = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    command = Command(WORK + f"started([sys.executable, '-c', {child!r}]); time.sleep(60)")
    code, _, seconds = command.stop(signal.SIGTERM)
    assert (code, command.living()) == (143, [])
    assert stopping.GRACE <= seconds < stopping.GRACE + 8


def test_what_fails_of_the_stop_is_not_told_beside_it() -> None:
    waits = WORK + "subprocess.check_call(['bash', '-c', 'echo ready; exec sleep 60'], process_group=0)"
    code, said, _ = Command(waits).stop(signal.SIGTERM)
    assert (code, said) == (143, SENTENCE.format("SIGTERM"))


def test_what_fails_of_the_stop_is_not_logged_beside_it() -> None:
    """As py4j does when its JVM has gone."""
    logs = WORK + (
        "import logging\n"
        "    try: subprocess.check_call(['bash', '-c', 'echo ready; exec sleep 60'], process_group=0)\n"
        "    except subprocess.CalledProcessError: logging.exception('the child has gone'); time.sleep(60)\n"
    )
    code, said, _ = Command(logs).stop(signal.SIGTERM)
    assert (code, said) == (143, SENTENCE.format("SIGTERM"))


def test_a_stop_is_told_once_by_the_command_that_was_given() -> None:
    inner = START + WORK + "ready(); time.sleep(60)"
    code, said, _ = Command(WORK + f"started([sys.executable, '-c', {inner!r}]); time.sleep(60)").stop(signal.SIGTERM)
    assert (code, said) == (143, SENTENCE.format("SIGTERM"))


def test_a_forked_process_has_its_own_signals() -> None:
    forks = WORK + (
        "pid = os.fork()\n"
        "    if not pid: time.sleep(60)\n"
        "    os.kill(pid, signal.SIGTERM); status = os.waitpid(pid, 0)[1]; time.sleep(0.5)\n"
        "    print('child', os.WTERMSIG(status), flush=True); ready()\n"
    )
    command = Command(forks)
    assert command.end() == (0, "")
    assert command.children == [signal.SIGTERM]


def test_after_the_work_signals_mean_what_they_meant() -> None:
    code, said, _ = Command(WORK + "pass\nready(); time.sleep(60)").stop(signal.SIGTERM)
    assert (code, said) == (-signal.SIGTERM, "")


def test_an_end_without_a_stop_is_as_it_was() -> None:
    command = Command(WORK + "ready(); sys.exit(3)")
    assert command.end() == (3, "")


def test_nohup_lets_it_live_without_its_terminal() -> None:
    command = Command(WORK + "ready(); time.sleep(1.5)", "nohup")
    os.kill(command.process.pid, signal.SIGHUP)
    assert command.end()[0] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_make_alone_reaches_the_recipe(tmp_path: Path, number: signal.Signals) -> None:
    """GNU make passes SIGTERM on; SIGINT it keeps to itself and waits."""
    program = tmp_path / "work.py"
    program.write_text(START + WORK + "started(['sleep', '60'], process_group=0); ready(); time.sleep(60)")
    (tmp_path / "Makefile").write_text(f"work:\n\t@true && exec {sys.executable} {program}\n")
    with subprocess.Popen(
        ["make", "-C", str(tmp_path), "--no-print-directory"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "MAKEFLAGS": ""},
        start_new_session=True,
    ) as make:
        assert make.stdout is not None and make.stderr is not None
        child = int(make.stdout.readline().split()[-1])
        assert make.stdout.readline() == "ready\n"
        make.send_signal(number)
        assert make.wait(timeout=20) == -number
        said = make.stderr.read()
    assert said.startswith(SENTENCE.format(number.name))
    assert f"Error {128 + number}" in said
    assert child not in {process.pid for process in stopping.processes()}


def test_a_step_that_hangs_does_not_keep_the_process() -> None:
    hangs = (
        "stopping.LIMIT = 1.0\n"
        "with stopping.stoppable(lambda: 'a test', '`make test`', before_leaving=lambda: time.sleep(60)):\n    "
    )
    command = Command(hangs + "started(['sleep', '60']); ready(); time.sleep(60)")
    code, said, seconds = command.stop(signal.SIGTERM)
    assert (code, said, command.living()) == (143, SENTENCE.format("SIGTERM"), [])
    assert seconds < 10


def test_a_step_that_fails_does_not_keep_the_sentence() -> None:
    fails = "with stopping.stoppable(lambda: 'a test', '`make test`', end=lambda: 1 / 0):\n    "
    code, said, _ = Command(fails + "ready(); time.sleep(60)").stop(signal.SIGTERM)
    assert (code, said) == (143, SENTENCE.format("SIGTERM"))


def test_a_spark_session_leaves_ctrl_c_to_the_program_that_starts_it(spark: SparkSession) -> None:
    handler = signal.getsignal(signal.SIGINT)
    assert spark.sparkContext is not None and "SparkContext" not in getattr(handler, "__qualname__", "")
