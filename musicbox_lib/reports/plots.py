"""A night's plots as SVG text to stand inside a page: no script, no font file, no address."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = dict[str, Any]

NAMES = {
    "logged": "as logged",
    "ddpg_w": "DDPG-W (ours)",
    "item_knn": "item-kNN",
    "popularity": "popularity",
    "random": "random",
    "popularity_in_context": "popularity in context",
    "audio_centroid": "liked sound",
    "session_knn": "session-kNN",
    "item_knn_by_user": "item-kNN over users",
    "als": "ALS",
    "skip_logistic": "skip model, logistic",
    "skip_lightgbm": "skip model, trees",
    "skip_lstm": "skip model, LSTM",
    "bandit": "bandit",
}
"""Policies as the page calls them."""
TREND = ("logged", "ddpg_w", "item_knn", "popularity", "random")
"""Those of the trend plot: more lines than five cannot be told apart."""
MEASURES = {
    "skip_rate_dr": "skip rate, doubly robust",
    "skip_rate_dr_clipped": "the same, weights at most 10",
    "skip_rate_snips": "skip rate, weights alone (SNIPS)",
    "hit_rate_3": "liked play among the first 3",
    "hit_rate_20": "liked play among the first 20",
    "ndcg_20": "NDCG of liked plays at 20",
    "mrr": "mean reciprocal rank of liked plays",
}
"""Measures of the comparison as the page calls them."""
EVIDENCE = {
    "ok": "enough evidence",
    "low_ess": "too few comparable plays",
    "no_propensity": "no propensities in the log",
    "no_support": "plays what the log never plays",
    "no_liked_play": "no play that was not skipped",
    "no_history": "not known the day before",
}
"""The evidence flags in plain words."""
# Okabe and Ito's palette: told apart by readers who do not see red and green.
_COLOURS = {
    "logged": "#4d4d4d",
    "ddpg_w": "#0072b2",
    "item_knn": "#009e73",
    "popularity": "#e69f00",
    "random": "#cc79a7",
}


def skip_rates(rows: list[Row]) -> str:
    """Each policy's skip rate with its interval, as far as the evidence carries one. `rows`: reports.skip_rate, one
    segment."""
    shown = [(str(row["policy"]), str(row["evidence"]), *_measured(row)) for row in rows]
    figure, axes = _figure(6.4, 0.55 * len(shown) + 0.8)
    for place, (policy, evidence, value, lo, hi) in enumerate(reversed(shown)):
        if value is None or lo is None or hi is None:
            why = f"  no number: {EVIDENCE.get(evidence, evidence)}"
            across = axes.get_yaxis_transform()
            axes.text(0.0, place, why, va="center", color="#888888", style="italic", transform=across)
            continue
        axes.plot([lo, hi], [place, place], color=_COLOURS.get(policy, "#888888"), linewidth=3, alpha=0.45)
        axes.plot([value], [place], "o", color=_COLOURS.get(policy, "#888888"), markersize=8)
        axes.text(value, place + 0.22, f"{value:.1%}", ha="center", fontsize=9, color="#333333")
    axes.set_yticks(range(len(shown)), [NAMES.get(policy, policy) for policy, *_ in reversed(shown)])
    axes.set_ylim(-0.6, len(shown) - 0.3)
    _percent(axes.xaxis)
    axes.set_xlabel("skip rate (skip_2), 95 % interval")
    axes.grid(axis="x", color="#e5e5e5")
    return _svg(figure, "skip-rates")


def skip_trend(rows: list[Row]) -> str:
    """The logged skip rate of the last nights with its band, and each policy's doubly robust one where it stands."""
    figure, axes = _figure(6.4, 3.0)
    days = sorted({row["dt"] for row in rows})
    for policy in TREND:
        of_policy = {row["dt"]: row for row in rows if row["policy"] == policy}
        values = [_measured(of_policy[day]) if day in of_policy else (None, None, None) for day in days]
        if all(value is None for value, _, _ in values):
            continue
        line, lo, hi = ([math.nan if one is None else one for one in column] for column in zip(*values, strict=True))
        places = range(len(days))
        axes.plot(places, line, "o-", color=_COLOURS[policy], label=NAMES[policy], linewidth=2, markersize=5)
        if policy in ("logged", "ddpg_w"):
            axes.fill_between(places, lo, hi, color=_COLOURS[policy], alpha=0.13, linewidth=0)
    _days(axes, days)
    _percent(axes.yaxis)
    axes.grid(axis="y", color="#e5e5e5")
    axes.legend(frameon=False, fontsize=9, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    return _svg(figure, "skip-trend")


def diversity(rows: list[Row]) -> str:
    """Each policy's slates by how unlike the three tracks are, and how much of the catalogue they reach together."""
    figure, axes = _figure(6.4, 3.6)
    for row in rows:
        across, up = row["catalogue_coverage"], row["diversity_ild"]
        if across is None or up is None:
            continue
        axes.plot([across], [up], "o", color=_COLOURS.get(row["policy"], "#888888"), markersize=11)
        axes.annotate(NAMES.get(row["policy"], str(row["policy"])), (across, up), xytext=(0, 9),
                      textcoords="offset points", ha="center", fontsize=10)  # fmt: skip
    axes.margins(0.18, 0.22)
    _percent(axes.xaxis)
    axes.set_xlabel("share of the catalogue that is recommended at all")
    axes.set_ylabel("unlikeness within a slate")
    axes.grid(color="#e5e5e5")
    return _svg(figure, "diversity")


def _measured(row: Row) -> tuple[float | None, float | None, float | None]:
    name = "skip_rate_logged" if row["policy"] == "logged" else "skip_rate_dr"
    return row[name], row[f"{name}_lo"], row[f"{name}_hi"]


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _percent(axis: Any) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    axis.set_major_locator(MaxNLocator(6))


def _days(axes: Axes, days: list[Any]) -> None:
    step = max(1, math.ceil(len(days) / 7))
    places = range(0, len(days), step)
    axes.set_xticks(places, [f"{days[place]:%d %b}" for place in places])
    axes.set_xlim(-0.5, len(days) - 0.5)


def _svg(figure: Figure, name: str) -> str:
    """The figure as an <svg> element, the same bytes for the same numbers."""
    import matplotlib
    from matplotlib.text import Text

    for label in figure.findobj(Text):
        # A name is a name: `$` begins no formula. Of what is drawn later (tick labels) the setting below says the same.
        label.set_parse_math(False)
    drawn = io.StringIO()
    plain = {"Creator": None, "Date": None, "Format": None, "Type": None}
    # Text stays text: the browser's own font, and a third of the bytes. The salt keeps element names apart.
    plain_text = {"svg.fonttype": "none", "font.family": "sans-serif", "text.parse_math": False}
    with matplotlib.rc_context(plain_text | {"svg.hashsalt": name}):
        figure.savefig(drawn, format="svg", metadata=plain, transparent=True)
    text = drawn.getvalue()
    return text[text.index("<svg") :]
