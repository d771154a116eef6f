"""An Airflow of a test's own: home, database and a file to source, apart from the project's."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
from pathlib import Path

from deliveries import as_csv, deliver, plays

from musicbox_lib.machine import environment
from musicbox_lib.settings import PROJECT, settings

SESSIONS, PLAYS, TRACKS = 12, 10, 40


def environment_file(folder: Path, lake: Path, **given: str) -> Path:
    """What `make setup` writes, with an Airflow home and a lake below that folder; `given` wins over both."""
    home = folder / "airflow"
    script = re.sub(r"^export AIRFLOW_HOME=.*$", f"export AIRFLOW_HOME='{home}'", environment.script(), flags=re.M)
    wins = {"PYTHONPATH": str(PROJECT), "MUSICBOX_LAKE": str(lake), "MUSICBOX_JARS": str(settings().jars), **given}
    file = folder / "environment.sh"
    lines = [f"export {name}='{value}'" for name, value in wins.items()]
    file.write_text("\n".join([*lines, script, ""]))
    return file


def sourced(file: Path, words: str) -> list[str]:
    """A command line that runs the words after sourcing the file, as a user's shell does."""
    return ["bash", "-c", f". '{file}' && exec {words}"]


def made_airflow(file: Path) -> None:
    """The database and the pool, as `make setup` makes them."""
    for words in ("airflow db migrate", "airflow pools set spark 1 'one JVM at a time'"):
        done = subprocess.run(sourced(file, words), cwd=PROJECT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]


def deliver_small_day(lake: Path, day: dt.date) -> None:
    """Twelve sessions of ten plays over forty tracks: the least that a night can serve from."""
    rows = [
        {**row, "track_id_clean": f"t_{(7 * session + at) % TRACKS:03d}"}
        for session in range(SESSIONS)
        for at, row in enumerate(plays(f"s_{day}_{session}", PLAYS, day))
    ]
    deliver(lake, as_csv(rows), day=day)
