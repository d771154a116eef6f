"""A night's plots as SVG text to stand inside a page: no script, no font file, no address."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

from musicbox_lib.evaluation.contenders import CHAMPION, LOGGED
from musicbox_lib.policies import listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = dict[str, Any]

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
_LOG_COLOUR, _CHAMPION_COLOUR, _OTHER_COLOUR = "#4d4d4d", "#0072b2", "#888888"
_COLOURS = ("#009e73", "#e69f00", "#cc79a7")
"""Of the first policies over a night's own catalogue."""


def names() -> dict[str, str]:
    """Policies as the page calls them, by name."""
    return {LOGGED: "as logged"} | {policy.name: policy.label for policy in listed.registered()}


def trend() -> dict[str, str]:
    """The colours of the policies in the trend plot: more lines than five cannot be told apart."""
    others = [policy.name for policy in listed.of_catalogue()]
    return {LOGGED: _LOG_COLOUR, CHAMPION: _CHAMPION_COLOUR} | dict(zip(others, _COLOURS, strict=False))


def skip_rates(rows: list[Row]) -> str:
    """Each policy's skip rate with its interval, as far as the evidence carries one. `rows`: reports.skip_rate, one
    segment."""
    colours, labels = trend(), names()
    shown = [(str(row["policy"]), str(row["evidence"]), *_measured(row)) for row in rows]
    figure, axes = _figure(6.4, 0.55 * len(shown) + 0.8)
    for place, (policy, evidence, value, lo, hi) in enumerate(reversed(shown)):
        if value is None or lo is None or hi is None:
            why = f"  no number: {EVIDENCE.get(evidence, evidence)}"
            across = axes.get_yaxis_transform()
            axes.text(0.0, place, why, va="center", color="#888888", style="italic", transform=across)
            continue
        axes.plot([lo, hi], [place, place], color=colours.get(policy, _OTHER_COLOUR), linewidth=3, alpha=0.45)
        axes.plot([value], [place], "o", color=colours.get(policy, _OTHER_COLOUR), markersize=8)
        axes.text(value, place + 0.22, f"{value:.1%}", ha="center", fontsize=9, color="#333333")
    axes.set_yticks(range(len(shown)), [labels.get(policy, policy) for policy, *_ in reversed(shown)])
    axes.set_ylim(-0.6, len(shown) - 0.3)
    _percent(axes.xaxis)
    axes.set_xlabel("skip rate (skip_2), 95 % interval")
    axes.grid(axis="x", color="#e5e5e5")
    return _svg(figure, "skip-rates")


def skip_trend(rows: list[Row]) -> str:
    """The logged skip rate of the last nights with its band, and each policy's doubly robust one where it stands."""
    figure, axes = _figure(6.4, 3.0)
    days = sorted({row["dt"] for row in rows})
    colours, labels = trend(), names()
    for policy, colour in colours.items():
        of_policy = {row["dt"]: row for row in rows if row["policy"] == policy}
        values = [_measured(of_policy[day]) if day in of_policy else (None, None, None) for day in days]
        if all(value is None for value, _, _ in values):
            continue
        line, lo, hi = ([math.nan if one is None else one for one in column] for column in zip(*values, strict=True))
        places = range(len(days))
        axes.plot(places, line, "o-", color=colour, label=labels[policy], linewidth=2, markersize=5)
        if policy in (LOGGED, CHAMPION):
            axes.fill_between(places, lo, hi, color=colour, alpha=0.13, linewidth=0)
    _days(axes, days)
    _percent(axes.yaxis)
    axes.grid(axis="y", color="#e5e5e5")
    axes.legend(frameon=False, fontsize=9, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    return _svg(figure, "skip-trend")


def diversity(rows: list[Row]) -> str:
    """Each policy's slates by how unlike the three tracks are, and how much of the catalogue they reach together."""
    colours, labels = trend(), names()
    figure, axes = _figure(6.4, 3.6)
    for row in rows:
        across, up = row["catalogue_coverage"], row["diversity_ild"]
        if across is None or up is None:
            continue
        axes.plot([across], [up], "o", color=colours.get(row["policy"], _OTHER_COLOUR), markersize=11)
        axes.annotate(labels.get(row["policy"], str(row["policy"])), (across, up), xytext=(0, 9),
                      textcoords="offset points", ha="center", fontsize=10)  # fmt: skip
    axes.margins(0.18, 0.22)
    _percent(axes.xaxis)
    axes.set_xlabel("share of the catalogue that is recommended at all")
    axes.set_ylabel("unlikeness within a slate")
    axes.grid(color="#e5e5e5")
    return _svg(figure, "diversity")


def _measured(row: Row) -> tuple[float | None, float | None, float | None]:
    name = "skip_rate_logged" if row["policy"] == LOGGED else "skip_rate_dr"
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
