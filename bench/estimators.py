"""Our estimators beside the field's library, the Open Bandit Pipeline (obp 0.5.7), on the same log: the same numbers to
1e-6, and how long each takes. The library lives in `.venv-obp`, made at the first run; it is no part of the suite."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bench.measured import Row, measure
from musicbox_lib.blocks.draws import keys_of
from musicbox_lib.evaluation.estimators import CLIP, estimate, sums_of
from musicbox_lib.settings import PROJECT

ENVIRONMENT = PROJECT / ".venv-obp"
# The package alone: what it pins cannot be had for Python 3.11, and its estimators need none of it.
PACKAGES = ("obp==0.5.7", "numpy<2", "scipy", "scikit-learn", "pandas<3", "tqdm", "pyyaml")
SIZES = {"small": (20_000, 50), "full": (200_000, 50)}
"""Plays and tracks."""
TOLERANCE = 1e-6


def environment() -> Path:
    """The library's own interpreter, made if need be."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        uv = shutil.which("uv") or str(PROJECT / ".uv" / "bin" / "uv")
        subprocess.run([uv, "venv", "--quiet", "--python", "3.11", str(ENVIRONMENT)], check=True)
        install = [uv, "pip", "install", "--quiet", "--python", str(python)]
        subprocess.run([*install, "--no-deps", PACKAGES[0]], check=True)
        subprocess.run([*install, *PACKAGES[1:]], check=True)
    return python


def log_of(plays: int, tracks: int, seed: int) -> dict[str, Any]:
    """A random log, a policy and a reward model that are all a little right."""
    random = np.random.default_rng(seed)
    taste = random.normal(size=(plays, tracks))

    def chances(scores: Any) -> Any:
        weights = np.exp(scores)
        return weights / weights.sum(axis=1, keepdims=True)

    logging = 0.8 * chances(taste + random.normal(size=(plays, tracks))) + 0.2 / tracks
    action = (logging.cumsum(axis=1) < random.random(plays)[:, None]).sum(axis=1).clip(max=tracks - 1)
    skip = 1 / (1 + np.exp(taste))
    return {
        "action": action,
        "reward": (random.random(plays) < skip[np.arange(plays), action]).astype(float),
        "pscore": logging[np.arange(plays), action],
        "action_dist": chances(1.5 * taste),
        "model": 0.5 * skip + 0.25,
        "clip": np.array(CLIP),
    }


def ours(log: dict[str, Any], draws: int) -> dict[str, float]:
    """The five estimates, as a night's report makes them."""
    rows = np.arange(len(log["action"]))
    weights = log["action_dist"][rows, log["action"]] / log["pscore"]
    expected = (log["action_dist"] * log["model"]).sum(axis=1)
    keys = keys_of([f"u{at}" for at in rows // 20])
    [sums] = sums_of([(weights, expected, log["model"][rows, log["action"]])], log["reward"], keys, seed=1, draws=draws)
    return {name: one.value for name, one in estimate(sums).intervals.items()}


def run(size: str) -> list[Row]:
    """Rows of the bench; raises where a number differs by more than 1e-6."""
    plays, tracks = SIZES[size]
    log = log_of(plays, tracks, seed=1)
    python = environment()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log.npz"
        np.savez(path, **log)
        words = [str(python), str(Path(__file__).parent / "obp_estimates.py"), str(path)]
        started = time.perf_counter()
        theirs = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
        seconds = time.perf_counter() - started
    mine = ours(log, draws=50)
    gaps = {name: abs(mine[name] - value) for name, value in theirs.items()}
    worst = max(gaps, key=lambda name: gaps[name])
    if set(mine) != set(theirs) or gaps[worst] > TOLERANCE:
        raise SystemExit(f"bench estimators: {worst} differs by {gaps[worst]:.2e}: {mine} against {theirs}")
    peer: Row = {
        "case": "obp, process and all", "size": size, "seconds": seconds, "rate": plays / seconds, "peak_mb": None,
    }  # fmt: skip
    row = measure("ours, with 50 bootstrap draws", size, plays, lambda: ours(log, draws=50))
    # No ratio: the peer's seconds are mostly its imports.
    return [peer, {**row, "case": f"{row['case']}; five estimates agree to {gaps[worst]:.0e}"}]
