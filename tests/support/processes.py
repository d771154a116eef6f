"""Start `other_process.py`, ask it to run a job, and kill it with everything that it started."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from musicbox_lib.machine import environment

PROGRAM = Path(__file__).with_name("other_process.py")
Kind = Literal["spark", "both", "tensorflow"]


class OtherProcess:
    """A process in a group of its own, with its JVM."""

    def __init__(self, kind: Kind, folder: Path) -> None:
        python = str(environment.TRAIN / "bin" / "python") if kind == "tensorflow" else sys.executable
        folder.mkdir(parents=True, exist_ok=True)
        self.said = (folder / "stderr").open("ab")
        self.process = subprocess.Popen(
            [python, str(PROGRAM), kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            cwd=folder,
            bufsize=0,
            start_new_session=True,
        )
        self.is_ready = False

    def _line(self, seconds: float) -> str | None:
        """Its next line; None where none came in time."""
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            return None
        line = self.process.stdout.readline().decode()
        assert line, f"the process ended; its words are in {self.said.name}"
        return line

    def ask(self, job: str, words: Sequence[str], lake: Path) -> None:
        """Let it run a job."""
        if not self.is_ready:
            assert self._line(120) == "ready\n"
            self.is_ready = True
        assert self.process.stdin is not None
        request = {"job": job, "words": list(words), "lake": str(lake)}
        self.process.stdin.write((json.dumps(request) + "\n").encode())

    def answer(self, seconds: float = 300) -> dict[str, Any] | None:
        """What came of the job; None where it still runs after that time."""
        line = self._line(seconds)
        return None if line is None else dict(json.loads(line))

    def run(self, job: str, words: Sequence[str], lake: Path) -> float:
        """Run a job to its end; the seconds it took."""
        self.ask(job, words, lake)
        answer = self.answer()
        assert answer is not None and "refused" not in answer, answer
        return float(answer["seconds"])

    def kill(self) -> None:
        """SIGKILL to the whole group, and wait until none of it lives."""
        group = self.process.pid
        if _alive(group):
            os.killpg(group, signal.SIGKILL)
        self.process.wait()
        until = time.monotonic() + 30
        while _alive(group):
            assert time.monotonic() < until, f"process group {group} outlives its SIGKILL"
            time.sleep(0.01)
        for pipe in (self.process.stdin, self.process.stdout, self.said):
            if pipe is not None:
                pipe.close()


def _alive(group: int) -> bool:
    """Whether a process of the group runs; one that nobody has buried yet does not."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if int(pgrp) == group and state not in "ZX":
            return True
    return False
