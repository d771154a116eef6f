"""What was measured, as markdown: the policies' table, the targets beside it, the altered worlds, the judge."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import Console
from rich.markdown import Markdown

Found = dict[str, Any]
REFERENCE = {
    "random": (0.738, -0.74),
    "popularity": (0.568, -0.06),
    "logging policy": (0.552, 0.0),
    "audio_centroid": (0.465, 0.34),
    "als": (0.435, 0.46),
    "item_knn": (0.403, 0.59),
    "skip_logistic": (0.389, 0.665),
    "ddpg_w_actor": (0.47, 0.315),
    "ddpg_w": (0.3855, 0.66),
    "oracle": (0.299, 1.0),
}
"""True skip and gap closed of the pilot on worlds of its own, midpoints of ranges (docs/method.md#the-prototype)."""
INTRODUCTION = """Written by `make bench NAME=quality SIZE=full`.

Generated worlds of {users:,} users, {tracks:,} tracks and {days} days, trained and scored by the DAGs' jobs as of the
last day; seeds {seeds}, on which nothing was tuned.

True skip is the chance of skip_2 of a policy's likeliest three tracks as the next play after each user's last session.
Gap closed is 0 for the logging policy and 1 for the oracle that knows the mood. Coverage is the share of the catalogue
in any slate, ILD 1 - mean pairwise cosine within a slate on the tracks' true places. `served` is what the scores table
holds: drawn with exploring slots, spread by audio and artist. `ddpg_w_actor` is the actor without critics and
neighbours.
"""
SUPERVISED = ("skip_logistic", "skip_lightgbm", "skip_lstm")


def show(text: str) -> None:
    """Print the markdown to the terminal."""
    Console(width=140).print(Markdown(text))


def markdown(cells: list[Found], judged: list[Found]) -> str:
    """The whole page."""
    default = [cell for cell in cells if cell["world"] == "default"]
    altered = [cell for cell in cells if cell["world"] != "default"]
    first = default[0]
    parts = [
        "# Quality\n",
        INTRODUCTION.format(**first, seeds=", ".join(str(cell["seed"]) for cell in default)),
        "## Policies on the default world\n",
        _policies(default),
        "## Against the targets\n",
        _targets(default, judged),
    ]
    if altered:
        seeds = sorted({cell["seed"] for cell in altered})
        told = f"Each of one seed ({', '.join(map(str, seeds))}); default is the mean of its seeds.\n"
        parts += ["## Altered worlds, gap closed\n", told, _altered(default, altered)]
    parts += ["## The judge itself\n", "\n".join(f"- {row['case']}" for row in judged), ""]
    return "\n".join(parts)


def _value(cell: Found, policy: str, name: str, segment: str = "all") -> float:
    for value in cell["values"]:
        if (value["policy"], value["segment"]) == (policy, segment):
            return float("nan") if value[name] is None else float(value[name])
    return float("nan")


def _over(cells: list[Found], policy: str, name: str, segment: str = "all", form: str = ".2f") -> str:
    """A column's mean over cells, and the least and greatest where there are several."""
    numbers = [_value(cell, policy, name, segment) for cell in cells]
    if not np.isfinite(numbers).any():
        return "–"
    mean = f"{np.nanmean(numbers):{form}}"
    return mean if len(numbers) == 1 else f"{mean} ({np.nanmin(numbers):{form}} to {np.nanmax(numbers):{form}})"


def _names(cells: list[Found]) -> list[str]:
    """Policies, worst first."""
    names = dict.fromkeys(value["policy"] for cell in cells for value in cell["values"])
    return sorted(names, key=lambda name: -float(np.nanmean([_value(cell, name, "skip") for cell in cells])))


def _policies(cells: list[Found]) -> str:
    lines = [
        "| policy | true skip | gap closed | held-out users' gap | coverage | ILD | pilot's skip, gap |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in _names(cells):
        skip, gap = REFERENCE.get(name, (None, None))
        columns = [
            name,
            _over(cells, name, "skip", form=".3f"),
            _over(cells, name, "gap_closed"),
            _over(cells, name, "gap_closed", "held out"),
            _over(cells, name, "coverage"),
            _over(cells, name, "ild"),
            "" if skip is None else f"{skip:.3f}, {gap:.2f}",
        ]
        lines.append(f"| {' | '.join(columns)} |")
    return "\n".join(lines) + "\n"


def _lead(cells: list[Found], versus: tuple[str, ...]) -> str:
    """The champion's gap less the best one's of `versus`, and in how many cells the interval of the difference in skips
    lies below zero."""
    leads, told = [], 0
    for cell in cells:
        best = max(versus, key=lambda name, cell=cell: np.nan_to_num(_value(cell, name, "gap_closed"), nan=-9))  # type: ignore[misc]
        leads.append(_value(cell, "ddpg_w", "gap_closed") - _value(cell, best, "gap_closed"))
        told += sum(
            pair["hi"] < 0
            for pair in cell["differences"]
            if (pair["policy"], pair["versus"], pair["segment"]) == ("ddpg_w", best, "all")
        )
    span = f"{np.mean(leads):+.2f} ({min(leads):+.2f} to {max(leads):+.2f})"
    return f"{span}, fewer skips, significant in {told} of {len(cells)}"


def _targets(cells: list[Found], judged: list[Found]) -> str:
    served = " / ".join(_over(cells, "served", name) for name in ("gap_closed", "coverage", "ild"))
    minutes = [float(cell["seconds"]) / 60 for cell in cells]
    rows = [
        ("generator inside every tolerance", "all", "checked by tests/unit/synthetic/test_synthetic_marginals.py"),
        ("DDPG-W gap closed, mean of seeds (each)", "≥ .77 (≥ .73)", _over(cells, "ddpg_w", "gap_closed")),
        ("lead over the better item-kNN", "+.20, interval above 0", _lead(cells, ("item_knn", "item_knn_by_user"))),
        ("lead over the best supervised greedy policy", "+.04, interval above 0", _lead(cells, SUPERVISED)),
        ("the served list: gap / coverage / ILD", ".68 / .35 / .40", served),
        ("actor alone", "≥ .72", _over(cells, "ddpg_w_actor", "gap_closed")),
        ("DR and SNIPS intervals that contain the truth", ".93-.97", _held(judged)),
        (
            "real log: MAA, next-step accuracy, calibration",
            "≥ .59, ≥ .74, ≤ .02",
            "[Skip prediction](skip_prediction.md)",
        ),
        (
            f"about {4 * cells[0]['users']:,} sessions, everything",
            "10,000 in ≤ 5 min",
            f"{np.nanmean(minutes):.1f} min",
        ),
        (
            "10,000 users; 15-step score; autoencoders; action-head DQN; the prototype's pair",
            "as planned",
            "not measured yet",
        ),
    ]
    lines = ["| what | target | measured |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {what} | {target} | {measured} |" for what, target, measured in rows)]) + "\n"


def _held(judged: list[Found]) -> str:
    """The share of all policies' intervals together, by estimator."""
    told = []
    for measure in ("dr", "snips"):
        rows = [row for row in judged if f", {measure}: " in row["case"]]
        given = sum(row["given"] for row in rows)
        held = sum(row["value"] * row["given"] for row in rows)
        told.append(f"{measure.upper()} {held / max(given, 1):.3f} of {given}")
    return ", ".join(told)


def _altered(default: list[Found], altered: list[Found]) -> str:
    """Policies down, worlds across; the default world first."""
    worlds = {"default": default}
    for cell in altered:
        worlds.setdefault(cell["world"], []).append(cell)
    names = [name for name in _names(default) if name not in ("oracle", "logging policy")]
    lines = [f"| policy | {' | '.join(worlds)} |", f"|---|{'---|' * len(worlds)}"]
    for name in names:
        gaps = [_over(cells, name, "gap_closed") for cells in worlds.values()]
        lines.append(f"| {name} | {' | '.join(gap.split(' (')[0] for gap in gaps)} |")
    spans = [
        f"{np.mean([_value(c, 'logging policy', 'skip') for c in cells]):.3f} → "
        f"{np.mean([_value(c, 'oracle', 'skip') for c in cells]):.3f}"
        for cells in worlds.values()
    ]
    lines.append(f"| *skip: logging policy → oracle* | {' | '.join(spans)} |")
    return "\n".join(lines) + "\n"
