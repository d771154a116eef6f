"""Start `make airflow` N times with a delivery waiting, each time with a fresh lake and a fresh Airflow:
`PYTHONPATH=.:tests/support .venv/bin/python tests/faults/airflow_starts.py --times 10` (four minutes each, two cores).

Each time the scheduled night of yesterday must be green, no other run red, no port open but on loopback, and Ctrl-C
must end all of it within 20 s. Ends with 0 where all N did.
"""

from __future__ import annotations

import argparse
import datetime as dt
import ipaddress
import os
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from airflow_home import deliver_small_day, environment_file, made_airflow

from musicbox_lib.machine import stopping
from musicbox_lib.settings import PROJECT

NIGHT_WITHIN, STOP_WITHIN = 900.0, 20.0


def listening(pids: list[int]) -> set[str]:
    """The addresses on which these processes listen, as `127.0.0.1:8080`."""
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                target = str(link.readlink())
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    open_ports = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            local, state, inode = (line.split()[at] for at in (1, 3, 9))
            if state == "0A" and inode in inodes:
                address, port = local.split(":")
                # The kernel's words are in this machine's byte order.
                words = struct.pack(
                    f">{len(address) // 8}I", *struct.unpack(f"<{len(address) // 8}I", bytes.fromhex(address))
                )
                open_ports.add(f"{ipaddress.ip_address(words)}:{int(port, 16)}")
    return open_ports


def is_loopback(address: str) -> bool:
    """Whether nobody else can reach it; an IPv4 address mapped into IPv6 is that IPv4 address."""
    found = ipaddress.ip_address(address.rpartition(":")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    return bool((mapped or found).is_loopback)


def session_of(leader: int) -> list[int]:
    """The living processes of a session."""
    living = []
    for process in stopping.processes():
        try:
            if os.getsid(process.pid) == leader:
                living.append(process.pid)
        except ProcessLookupError:
            continue
    return living


def states(database: Path) -> dict[str, str]:
    """Each run's state by its DAG."""
    with closing(sqlite3.connect(database, timeout=30)) as opened:
        return dict(opened.execute("SELECT dag_id, state FROM dag_run"))


@dataclass
class Start:
    """What came of one start."""

    night: str = "none"
    others: dict[str, str] = field(default_factory=dict)
    night_seconds: float = 0.0
    ports: set[str] = field(default_factory=set)
    exit_code: int = 0
    stop_seconds: float = 0.0
    sentence: str = ""
    left: int = 0

    @property
    def is_green(self) -> bool:
        """Whether all of it was as it should be."""
        return (
            self.night == "success"
            and "failed" not in self.others.values()
            and bool(self.ports)
            and all(map(is_loopback, self.ports))
            and self.exit_code != 0
            and self.stop_seconds < STOP_WITHIN
            and self.sentence.startswith("musicbox: stopped by SIGINT during ")
            and self.left == 0
        )


def start_once(folder: Path) -> Start:
    """Deliver yesterday, start, wait for its night, stop."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = environment_file(folder, folder / "lake", AIRFLOW__API__PORT=str(port))
    made_airflow(environment)
    deliver_small_day(folder / "lake", dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1))
    terminal = folder / "said"
    with terminal.open("w") as said:
        words = ["make", "-o", ".setup/ready", f"ENVIRONMENT=. '{environment}'", "airflow"]
        make = subprocess.Popen(words, cwd=PROJECT, stdout=said, stderr=subprocess.STDOUT, start_new_session=True)
    came, begun = Start(), time.monotonic()
    try:
        while came.night not in ("success", "failed") and time.monotonic() < begun + NIGHT_WITHIN:
            if make.poll() is not None:
                break
            time.sleep(2)
            came.ports |= listening(session_of(make.pid))
            found = states(folder / "airflow" / "airflow.db")
            came.night = found.pop("musicbox_nightly", "none")
            came.others = found
        came.night_seconds = time.monotonic() - begun
        begun = time.monotonic()
        os.killpg(make.pid, signal.SIGINT)
        came.exit_code = make.wait(timeout=60)
        while session_of(make.pid) and time.monotonic() < begun + STOP_WITHIN:
            time.sleep(0.1)
        came.stop_seconds = time.monotonic() - begun
    finally:
        left = session_of(make.pid)
        came.left = len(left)
        stopping.send(set(left), signal.SIGKILL)
    sentences = [line for line in terminal.read_text().splitlines() if line.startswith("musicbox: ")]
    came.sentence = sentences[-1] if sentences else ""
    return came


def main() -> int:
    """Start N times; a line each, and how many were green."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    times = parser.parse_args().times
    green = 0
    for number in range(1, times + 1):
        with tempfile.TemporaryDirectory(prefix="musicbox-airflow-start-") as folder:
            came = start_once(Path(folder))
        green += came.is_green
        others = ", ".join(f"{name.removeprefix('musicbox_')} {state}" for name, state in sorted(came.others.items()))
        sys.stdout.write(
            f"start {number}: night {came.night} in {came.night_seconds:.0f} s ({others}); {len(came.ports)} ports, "
            f"not on loopback: {sorted(port for port in came.ports if not is_loopback(port)) or 'none'}; "
            f"stopped in {came.stop_seconds:.1f} s with {came.exit_code}, {came.left} processes left\n"
            f"  {came.sentence}\n"
        )
        sys.stdout.flush()
    sys.stdout.write(f"{green} of {times} green\n")
    return 0 if green == times else 1


if __name__ == "__main__":
    sys.exit(main())
