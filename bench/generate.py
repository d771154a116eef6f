"""Sessions generated per second, landing files and truth written, by `musicbox generate` in a process of its own,
against a plain loop that draws, answers and writes one session after the other."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.measured import Row, against, measure
from musicbox_lib.synthetic.context_level import context_levels
from musicbox_lib.synthetic.generate import workers_for
from musicbox_lib.synthetic.listeners import draw_listeners
from musicbox_lib.synthetic.logging_policy import affinities, policy_probabilities
from musicbox_lib.synthetic.sessions import plan_sessions
from musicbox_lib.synthetic.tracks import Tracks, draw_tracks
from musicbox_lib.synthetic.world import Floats, World, load_world

SIZES = {"small": (2_000, 2_000), "full": (250_000, 50_000)}
"""Listeners, with four sessions each on average, and tracks."""
DAYS, SEED, FROM = 60, 7001, dt.date(2026, 9, 7)
LOOPED = 25
"""Listeners of the plain loop; its rate does not depend on how many there are."""


def generated(size: str) -> Row:
    """One run of the command, also at full size: minutes long, it is not repeated.

    `peak_mb` is the largest process's memory times the number of processes, so an upper bound of all together.
    """
    users, tracks = SIZES[size]
    words = ["generate", "--users", str(users), "--tracks", str(tracks), "--days", str(DAYS), "--seed", str(SEED)]
    command = [sys.executable, "-c", "from musicbox_lib.cli.app import main; main()", *words, "--from-date", str(FROM)]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        subprocess.run(
            [*command, "--out", f"{folder}/lake", "--truth", f"{folder}/truth"], check=True, stdout=subprocess.DEVNULL
        )
        seconds = time.perf_counter() - started
        sessions = _sessions(Path(folder) / "truth")
    workers = workers_for(users)
    processes = 1 if workers == 1 else 1 + workers
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10
    return {
        "case": f"generate, {tracks:,} tracks, {sessions:,} sessions",
        "size": size,
        "seconds": seconds,
        "rate": sessions / seconds,
        "peak_mb": largest * processes,
    }


def _sessions(truth: Path) -> int:
    import pyarrow.dataset as ds

    return int(ds.dataset(truth / "sessions").count_rows())


def looped(world: World, tracks: Tracks, levels: Floats) -> int:
    """The plain way: per session all chances for each play, one draw, one answer, one line; returns the sessions."""
    rng = np.random.default_rng(1)
    listeners = draw_listeners(world, tracks, 0, LOOPED, SEED)
    plan = plan_sessions(world, listeners, DAYS, SEED)
    out = io.StringIO()
    lines = csv.writer(out)
    for row, session_id in enumerate(plan.ids):
        owner = plan.listener[row]
        affinity = affinities(plan.mood[row : row + 1], tracks)
        streak, fatigue, heard = 0.0, np.zeros(world.clusters), set[int]()
        for at in range(int(plan.length[row])):
            context = plan.context[row, at : at + 1]
            chances = policy_probabilities(world, tracks, affinity, context, np.zeros(1, np.int64))[0]
            track = int(rng.choice(tracks.size, p=chances / chances.sum()))
            eta = (
                world.base_level
                + listeners.level[owner]
                + plan.level[row]
                + levels[context[0]]
                + world.position_effect[at]
                + world.premium_effect * listeners.premium[owner]
                - world.affinity_weight * (affinity[0, track] - world.affinity_centre)
                - tracks.quality[track]
                + world.streak_weight * streak
                + world.fatigue_weight * fatigue[tracks.cluster[track]]
                + world.repeat_weight * (track in heard)
            )
            skipped = bool(eta + rng.logistic() > 0)
            streak = world.streak_decay * streak + (1 - world.streak_decay) * (skipped - 0.5)
            fatigue *= world.fatigue_decay
            fatigue[tracks.cluster[track]] += 1
            heard.add(track)
            lines.writerow([session_id, at + 1, int(plan.length[row]), tracks.ids[track], skipped, chances[track]])
    gzip.compress(out.getvalue().encode(), compresslevel=5)
    return len(plan.ids)


def run(size: str) -> list[Row]:
    """Rows of the bench: the plain loop on a slice, and the command."""
    world = load_world()
    tracks = draw_tracks(world, SIZES[size][1], SEED, DAYS)
    levels = context_levels(world, tracks, SEED)
    sessions = looped(world, tracks, levels)
    loop = measure(
        f"a loop over sessions, {tracks.size:,} tracks", size, sessions, lambda: looped(world, tracks, levels)
    )
    return [loop, against(generated(size), loop)]
