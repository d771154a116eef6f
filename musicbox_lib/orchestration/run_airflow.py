"""Scheduler and UI for development: `python -m musicbox_lib.orchestration.run_airflow`.

On this machine's own address only.

The components are started one by one instead of by `airflow standalone`: that starts all at once, and the scheduler
queued a waiting night 16 s before the API server, without which no task runs, listened.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from musicbox_lib import lake
from musicbox_lib.errors import Conflict, MusicBoxError
from musicbox_lib.machine import environment, java, stopping
from musicbox_lib.orchestration.run_dag import close_aborted_runs, hold, runs_at_work
from musicbox_lib.settings import settings

# A log server listens on every address, whatever Airflow's settings say (3.3.2). Nobody needs it here: the API server
# reads the same folder.
COMPONENTS = {
    "api-server": ["api-server"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
}
"""In the order of their start: the scheduler comes when there is something for its tasks to talk to."""
HEALTHY_WITHIN = 120.0
"""Seconds that the API server has to answer: about 15 on two idle cores."""
TASKS_END_WITHIN, COMPONENTS_END_WITHIN = 9.0, 3.0
"""Seconds that each has between SIGTERM and SIGKILL."""


class Airflow:
    """The components at work, in the order of their start."""

    def __init__(self) -> None:
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.logs = environment.airflow_home() / "logs" / "components"

    def start(self, name: str) -> None:
        """Start a component; what it says goes to a file of its own."""
        self.logs.mkdir(parents=True, exist_ok=True)
        with (self.logs / f"{name}.log").open("w") as log:
            words = [str(environment.AIRFLOW / "bin" / "airflow"), *COMPONENTS[name]]
            self.running[name] = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT, process_group=0)

    def require_all(self) -> None:
        """Raise MusicBoxError where a component has ended."""
        for name, process in self.running.items():
            if process.poll() is not None and not stopping.requested.is_set():
                raise MusicBoxError(
                    f"Airflow's {name} ended with {process.returncode}: {self.logs / f'{name}.log'} has the reason."
                )

    def end(self) -> None:
        """End the tasks first, while the API server still takes their word; then the components; then close the runs
        that were at work."""
        if (scheduler := self.running.get("scheduler")) is not None:
            # The scheduler waits for its tasks to be done: it is asked together with them.
            tree = {scheduler.pid, *stopping.descendants(scheduler.pid)}
            stopping.end_all(lambda: tree & living(), lambda: tree, TASKS_END_WITHIN)
        stopping.end_children(COMPONENTS_END_WITHIN)
        close_aborted_runs(runs_at_work())


def living() -> set[int]:
    """Every living process of this machine."""
    return {process.pid for process in stopping.processes()}


def address() -> tuple[str, int]:
    """Where the API server listens; in a container it is every address, and this one too."""
    return "127.0.0.1", int(os.environ["AIRFLOW__API__PORT"])


def refuse_a_taken_port() -> None:
    """Raise Conflict where somebody listens on the API server's port: Airflow would wait for it without a word."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address())
        except OSError as error:
            host, port = address()
            raise Conflict(
                f"port {port} on {host} cannot be had ({error.strerror}): stop what listens there or set "
                "AIRFLOW__API__PORT."
            ) from None


def is_healthy() -> bool:
    """Whether the API server answers that it has its database."""
    host, port = address()
    # No proxy: the address is this machine's.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{host}:{port}/api/v2/monitor/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def wait_until_healthy(airflow: Airflow) -> None:
    """Return when the API server answers; raises MusicBoxError where it does not in time."""
    until = time.monotonic() + HEALTHY_WITHIN
    while not is_healthy():
        airflow.require_all()
        if time.monotonic() > until:
            log = airflow.logs / "api-server.log"
            raise MusicBoxError(f"Airflow's API server does not answer after {HEALTHY_WITHIN:.0f} s: look at {log}.")
        stopping.requested.wait(0.5)


def say(line: str) -> None:
    """A line for the person who watches, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def serve() -> None:
    """Run Airflow until it is stopped. Its login lets everybody on this machine in as admin (SimpleAuthManager), which
    is why it listens on 127.0.0.1 and is not for production."""
    java.choose()
    with hold():
        refuse_a_taken_port()
        close_aborted_runs(runs_at_work(by_hand=True))
        airflow = Airflow()
        url = f"http://{os.environ['AIRFLOW__API__HOST']}:{os.environ['AIRFLOW__API__PORT']}"
        say(
            f"Airflow on {lake.root()}, in about 20 s at {url} (for development: no password, this machine only).\n"
            f"What each part says: {airflow.logs}\n"
            "In another terminal: . .setup/environment.sh\n"
            """  airflow dags trigger musicbox_nightly --conf '{"run_date":"2026-11-05"}'\n"""
            """  airflow dags trigger musicbox_backfill --conf '{"from_date":"2026-11-03","to_date":"2026-11-05"}'"""
        )
        with stopping.stoppable(
            lambda: ", ".join(f"{dag_id} {run_id}" for dag_id, run_id in runs_at_work()) or "its wait for work",
            "`make airflow`",
            end=airflow.end,
        ):
            try:
                watch(airflow)
            finally:
                if not stopping.requested.is_set():
                    airflow.end()


def watch(airflow: Airflow) -> None:
    """Start the components and look after them; raises MusicBoxError when one of them ends."""
    for name in COMPONENTS:
        airflow.start(name)
        if name == "api-server":
            wait_until_healthy(airflow)
    say("Airflow is ready; Ctrl-C stops it.")
    while not stopping.requested.wait(1):
        airflow.require_all()


if __name__ == "__main__":
    try:
        settings()
        serve()
    except MusicBoxError as refusal:
        sys.stderr.write(f"musicbox: {refusal}\n")
        sys.exit(refusal.exit_code)
