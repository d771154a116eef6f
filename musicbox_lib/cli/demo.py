"""`make demo`: a small generated world goes the whole way, and what came out is shown."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from musicbox_lib import lake
from musicbox_lib.errors import Conflict, MusicBoxError, UsageError
from musicbox_lib.landing.land import land
from musicbox_lib.machine import environment, stopping
from musicbox_lib.settings import PROJECT, settings

FIRST_DAY = dt.date(2026, 10, 23)
DAYS = 14
NIGHTS = 2
"""The training reads what came before the last two days; each of them is then a night of its own."""
WORLD = {"users": 600, "tracks": 2000, "days": DAYS, "seed": 20261105}
SOURCE = PROJECT / "demo"
"""Where the world is generated, before it is delivered day by day."""
MARK = ".demo"
"""A file in the lake that says the demo made it: only such a lake, or an empty one, is filled."""
# Three decimals: with every digit of a number a row is wider than a terminal.
SKIP_RATES = """SELECT policy, n, evidence, round(coalesce(skip_rate_dr, skip_rate_logged), 3) AS skip_rate,
       round(coalesce(skip_rate_dr_lo, skip_rate_logged_lo), 3) AS lo,
       round(coalesce(skip_rate_dr_hi, skip_rate_logged_hi), 3) AS hi, round(ess, 1) AS ess
FROM skip_rate_trend"""
DIVERSITY = """SELECT policy, n_slates, round(diversity_ild, 3) AS ild, round(catalogue_coverage, 3) AS coverage,
       round(gini, 3) AS gini, round(repetition, 3) AS repetition
FROM diversity_trend"""
STARTED = float(os.environ.get("MUSICBOX_DEMO_STARTED") or time.time())


def say(line: str = "") -> None:
    """A line for the person who watches, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


CHAPTERS: list[str] = []
"""Those begun."""


def chapter(title: str) -> None:
    """A heading with the minutes gone by."""
    CHAPTERS.append(title)
    gone = int(time.time() - STARTED)
    say(f"\n── {gone // 60}:{gone % 60:02d} ── {title}")


def musicbox(*words: str) -> None:
    """Run `musicbox WORDS…` with its output shown."""
    _run([str(environment.JOBS / "bin" / "musicbox"), *words])


def run_dag(dag_id: str, *days: str) -> None:
    """Run that DAG with Airflow for `--run-date D` or `--from-date D --to-date D`, as `make` does."""
    _run([str(environment.AIRFLOW / "bin" / "python"), "-m", "musicbox_lib.orchestration.run_dag", dag_id, *days])


def _run(words: list[str]) -> None:
    # In a group of its own, an interrupt of the terminal's reaches it through this process alone.
    ended = subprocess.run(words, cwd=PROJECT, check=False, process_group=0).returncode
    if ended:
        tried = " ".join(words[-4:])
        why = "was stopped" if ended in stopping.EXIT_CODES else f"ended with {ended}, for the reason above"
        raise MusicBoxError(f"the demo stops here: `{tried}` {why}.")


def free_lake() -> Path:
    """The demo's lake, empty or from an earlier demo; raises Conflict where other data lies in it."""
    if not lake.is_local(lake.root()):
        raise UsageError(f"the demo fills a lake on this machine: unset MUSICBOX_LAKE (it is {lake.root()}).")
    place = lake.local_path(lake.root())
    if place.exists() and any(place.iterdir()) and not (place / MARK).exists():
        raise Conflict(f"{place} holds data that the demo did not make: run `make demo MUSICBOX_LAKE=./demo_lake`.")
    place.mkdir(parents=True, exist_ok=True)
    (place / MARK).write_text(f"filled by make demo: {WORLD}\n")
    return place


def generate(source: Path) -> dict[dt.date, list[Path]]:
    """Generate the world into `source` and its truth into MUSICBOX_TRUTH; returns each day's session logs."""
    shutil.rmtree(source, ignore_errors=True)
    options = [word for name, value in WORLD.items() for word in (f"--{name}", str(value))]
    musicbox(
        "generate", *options, "--from-date", str(FIRST_DAY), "--out", str(source), "--truth", str(settings().truth)
    )
    return {
        day: sorted((source / "landing" / "session_logs" / f"dt={day}").glob("*.csv*"))
        for day in (FIRST_DAY + dt.timedelta(days=n) for n in range(DAYS))
    }


def deliver(day: dt.date, logs: list[Path], tracks: Path | None = None) -> None:
    """Land a day's delivery, as `musicbox land --log FILE --dt D` does."""
    landed = [file for log in logs for file in land(day, log, None)] + (land(day, None, tracks) if tracks else [])
    for file in landed:
        say(f"  landed {file.relative_to(lake.local_path(lake.root()))}")


def show(day: dt.date) -> None:
    """What the last night gave: a user's list, the reports, and what only a generated world can tell, the truth."""
    chapter("one listener: the last session, and three tracks for the morning")
    musicbox("recommend", "--dt", str(day))
    chapter("how many would be skipped, how varied the lists are")
    musicbox("sql", f"{SKIP_RATES} WHERE dt = '{day}'")
    musicbox("sql", f"{DIVERSITY} WHERE dt = '{day}'")
    chapter("held against the generated truth, which no job may open")
    musicbox("evaluate", "--dt", str(day))
    chapter("the night's page")
    musicbox("report", "--dt", str(day))


def run() -> None:
    """Generate, land, train, two nights, show."""
    free_lake()
    chapter("a world of {users} listeners and {tracks} tracks, {days} days, all generated".format(**WORLD))
    deliveries = generate(SOURCE)
    days = sorted(deliveries)
    before, nights = days[:-NIGHTS], days[-NIGHTS:]
    chapter(f"landing {len(before)} days, one delivery each")
    track_table = next((SOURCE / "landing" / "tracks").glob("*.csv*"))
    for day in before:
        deliver(day, deliveries[day], track_table if day == FIRST_DAY else None)
    chapter("training")
    run_dag("musicbox_training", "--run-date", str(before[-1]))
    chapter(f"the nights of {' and '.join(map(str, nights))}")
    for day in nights:
        deliver(day, deliveries[day])
    run_dag("musicbox_nightly", "--from-date", str(nights[0]), "--to-date", str(nights[-1]))
    show(nights[-1])
    gone = int(time.time() - STARTED)
    say(f"\nThe demo took {gone // 60} min {gone % 60} s. Next:")
    say(f"  make nightly RUN_DATE={nights[-1]}    the same night again: the same rows")
    say("""  make sql Q="SELECT * FROM latest_recommendations LIMIT 6\"""")
    say("  make airflow    the scheduler and its UI")


def main() -> int:
    """Run the demo; returns the exit code of a refusal."""
    try:
        settings()
        with stopping.stoppable(
            lambda: f"the demo ({CHAPTERS[-1] if CHAPTERS else 'its start'})",
            "`make demo`",
            # The command at work has its own time to end what it started.
            end=lambda: stopping.end_children(15),
            unwinding=1,
        ):
            run()
    except MusicBoxError as refusal:
        sys.stderr.write(f"musicbox: {refusal}\n")
        return refusal.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
