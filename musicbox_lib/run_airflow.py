"""Scheduler and UI for development: `python -m musicbox_lib.run_airflow`, on this machine's own address only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import FrameType

from musicbox_lib import java, lake
from musicbox_lib.errors import MusicBoxError
from musicbox_lib.run_dag import close_aborted_runs, hold


def serve() -> int:
    """Run `airflow standalone` until it is stopped; returns its exit code. Its login lets everybody on this machine in
    as admin (SimpleAuthManager), which is why it listens on 127.0.0.1 and is not for production."""
    java.choose()
    with hold():
        close_aborted_runs()
        address = f"http://{os.environ['AIRFLOW__API__HOST']}:{os.environ['AIRFLOW__API__PORT']}"
        sys.stdout.write(
            f"Airflow on {lake.root()}, in about 20 s at {address} (for development: no password, this machine only).\n"
            "In another terminal: . .setup/environment.sh\n"
            """  airflow dags trigger musicbox_nightly --conf '{"run_date":"2026-11-05"}'\n"""
            """  airflow dags trigger musicbox_backfill --conf '{"from_date":"2026-11-03","to_date":"2026-11-05"}'\n"""
        )
        sys.stdout.flush()
        # A shell starts what runs in the background with interrupts ignored, and Airflow would inherit that.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        served = subprocess.Popen(["airflow", "standalone"])

        def stop(_number: int, _frame: FrameType | None) -> None:
            served.send_signal(signal.SIGINT)

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        return served.wait()


if __name__ == "__main__":
    try:
        sys.exit(serve())
    except MusicBoxError as refusal:
        sys.stderr.write(f"musicbox: {refusal}\n")
        sys.exit(refusal.exit_code)
