"""`musicbox doctor`: what this machine has, what is wrong with it, and what to do."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from filelock import FileLock, Timeout

from musicbox_lib import lake
from musicbox_lib.cli.grid import plain_console, shown
from musicbox_lib.errors import MusicBoxError
from musicbox_lib.machine import environment, java
from musicbox_lib.settings import PROJECT, settings

LEAST_DISK_GB = 5.0
"""The three environments take 5 GB, and a demo's lake is below 100 MB: what is left must hold one more lake."""
LEAST_MEMORY_GB = 5.0
"""A job's JVM takes up to 3 GB and its Python worker about one; Airflow takes half a gigabyte beside it."""
KEY_IMPORTS = {
    "jobs": "pyspark, delta, deltalake, duckdb, great_expectations",
    "airflow": "airflow.sdk, airflow.providers.apache.spark, airflow.providers.standard",
    "train": "petastorm, pyarrow, deltalake",
}
FOLDERS = {"jobs": environment.JOBS, "airflow": environment.AIRFLOW, "train": environment.TRAIN}


@dataclass(frozen=True)
class Check:
    """One thing looked at: what was found, and what to do where it is wrong (empty where it is right)."""

    name: str
    found: str
    advice: str = ""


def locked(text: str) -> dict[str, str]:
    """Name (normalised) and version of every pin in a lock file."""
    pins = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", text, re.MULTILINE)
    return {normalised(name): version for name, version in pins}


def normalised(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def python() -> Check:
    """The interpreter that runs this."""
    version = ".".join(map(str, sys.version_info[:3]))
    wrong = "" if sys.version_info[:2] == (3, 11) else "run `make setup`: the suite is locked for Python 3.11."
    return Check("Python", f"{version} in {sys.prefix}", wrong)


def java_choice() -> Check:
    """The Java that jobs run on."""
    try:
        chosen = java.choose()
    except MusicBoxError as missing:
        return Check("Java", "none that Spark 4.2 runs on", str(missing))
    others = ", ".join(str(one.version) for one in java.installed() if one.home != chosen.home)
    return Check("Java", f"{chosen.version} in {chosen.home}" + (f" (passed over: {others})" if others else ""))


def versions(group: str) -> Check:
    """An environment's packages against its lock."""
    name = f"{FOLDERS[group].name} packages"
    site = FOLDERS[group] / "lib" / "python3.11" / "site-packages"
    if not site.is_dir():
        return Check(name, "missing", "run `make setup`.")
    pins = locked((PROJECT / "locks" / f"{group}.txt").read_text())
    there = {normalised(one.name): one.version for one in distributions(path=[str(site)])}
    # A pin for another platform (a marker of the lock) is not installed here: only a wrong version is wrong.
    wrong = [f"{one} {there[one]} instead of {pin}" for one, pin in pins.items() if there.get(one, pin) != pin]
    count = sum(one in there for one in pins)
    if wrong or count < len(pins) * 0.9:
        return Check(name, "; ".join(wrong[:3]) or f"{count} of {len(pins)} there", "run `make clean setup`.")
    return Check(name, f"{count} as in locks/{group}.txt")


def imports(group: str) -> Check:
    """Whether an environment's key packages import, tried in its own interpreter."""
    name = f"{FOLDERS[group].name} imports"
    program = FOLDERS[group] / "bin" / "python"
    if not program.exists():
        return Check(name, "missing", "run `make setup`.")
    words = [str(program), "-W", "ignore", "-c", f"import {KEY_IMPORTS[group]}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        return Check(name, (done.stderr.strip().splitlines() or ["no reason given"])[-1], "run `make clean setup`.")
    return Check(name, KEY_IMPORTS[group])


def bare_command() -> Check:
    """Which `musicbox` a shell finds, where it finds any."""
    path = shutil.which("musicbox")
    if path is None:
        return Check("Commands", "not on the path: . .setup/environment.sh puts them there")
    right = Path(path).parent.resolve() == (environment.JOBS / "bin").resolve()
    return Check("Commands", f"musicbox is {path}", "" if right else "run `. .setup/environment.sh` again.")


def jars() -> Check:
    """Delta's jars and the class archive."""
    found = sorted(settings().jars.glob("*.jar"))
    if not any("delta-spark" in jar.name for jar in found):
        return Check("Delta's jars", f"none in {settings().jars}", "run `make setup` once with a network.")
    archive = settings().jars / "classes.jsa"
    if not archive.exists():
        advice = "jobs start seconds later: remove .setup/classes and run `make setup`."
        return Check("Delta's jars", f"{len(found)} jars, no class archive", advice)
    return Check("Delta's jars", f"{len(found)} jars, class archive of {archive.stat().st_size / 1e6:.0f} MB")


def disk() -> Check:
    """Free space where the lake is."""
    place = lake.local_path(lake.root()) if lake.is_local(lake.root()) else PROJECT
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 1e9
    advice = f"free {LEAST_DISK_GB:.0f} GB, or point MUSICBOX_LAKE to another disk."
    return Check("Disk", f"{free:.0f} GB free at {place}", "" if free > LEAST_DISK_GB else advice)


def memory() -> Check:
    """Memory that can be had now."""
    try:
        text = Path("/proc/meminfo").read_text()
    except OSError:
        return Check("Memory", "not told by this system")
    known = {name: int(value) for name, value in re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)}
    free = known.get("MemAvailable", 0) / 1e6
    advice = f"{LEAST_MEMORY_GB:.0f} GB are wanted: stop something, or set MUSICBOX_DRIVER_MEMORY=1g for small lakes."
    return Check("Memory", f"{free:.1f} GB available", "" if free >= LEAST_MEMORY_GB else advice)


def lake_state() -> Check:
    """The lake: there or to be made, and whether somebody is writing to it."""
    root = lake.root()
    if not lake.is_local(root):
        return Check("Lake", f"{root} (not looked into: no JVM is started here)")
    place = lake.local_path(root)
    if not place.exists():
        return Check("Lake", f"{root} does not exist yet; the first landing makes it")
    held = []
    for file in sorted(place.glob(".locks/*.lock")):
        try:
            with FileLock(file, timeout=0):
                pass
        except Timeout:
            held.append(file.stem)
        except OSError as error:
            return Check("Lake", f"{root}: {error}", "make the lake writable for this user or set MUSICBOX_LAKE.")
    if held:
        return Check("Lake", f"{root}, being written: {', '.join(held)}", "wait for that run, or stop it.")
    return Check("Lake", f"{root}, nobody writes to it")


def airflow() -> Check:
    """Airflow's database, its pool, and whether a run has it."""
    file = environment.airflow_home() / "airflow.db"
    if not file.exists():
        return Check("Airflow", "no database", "run `make setup`.")
    try:
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
            slots = database.execute("SELECT slots FROM slot_pool WHERE pool = 'spark'").fetchone()
        database.close()
    except sqlite3.Error as error:
        return Check("Airflow", f"{file}: {error}", "remove .airflow and .setup/airflow-db, then run `make setup`.")
    if slots != (1,):
        return Check(
            "Airflow", f"pool spark has {slots[0] if slots else 'no'} slots", "`airflow pools set spark 1 ''`."
        )
    try:
        with FileLock(environment.airflow_home() / "one_at_a_time.lock", timeout=0):
            return Check("Airflow", f"{file}, pool spark of one slot, idle")
    except Timeout:
        return Check("Airflow", f"{file}, pool spark of one slot, a scheduler or a run is at work")


def checks() -> Iterator[Check]:
    """Everything looked at, in the order in which it is needed; the environments' imports are tried side by side."""
    looks: list[Callable[[], Check]] = [python, java_choice, bare_command]
    with ThreadPoolExecutor(max_workers=2) as pool:
        tried = {group: pool.submit(imports, group) for group in FOLDERS}
        for look in looks:
            yield look()
        for group in FOLDERS:
            yield versions(group)
            yield tried[group].result()
    for look in (jars, disk, memory, lake_state, airflow):
        yield look()


def show() -> int:
    """Print the table; returns how many things are wrong."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title="musicbox doctor", show_lines=False)
    for heading in ("", "looked at", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    wrong = 0
    for check in checks():
        wrong += bool(check.advice)
        mark = Text("✗", "red") if check.advice else Text("✓", "green")
        table.add_row(mark, *(Text(shown(words)) for words in (check.name, check.found, check.advice)))
    plain_console().print(table)
    return wrong
