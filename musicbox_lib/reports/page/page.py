"""The night's page: one HTML file with every number and plot, which opens without a network."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from musicbox_lib import lake
from musicbox_lib.errors import UsageError
from musicbox_lib.evaluation.contenders import CHAMPION, LOGGED
from musicbox_lib.reports.page import places, plots
from musicbox_lib.reports.page.dictionary import DICTIONARY, render_dictionary, templates
from musicbox_lib.reports.page.facts import NIGHTS, NightFacts, Row, night_facts

COMPARED = ("skip_rate_dr", "skip_rate_snips", "ndcg_20")
"""Measures of the comparison that the page shows: all seven against twelve policies would be 80 rows."""

LEAST_MATCHED = 30
"""Matched tracks from which the legacy skip rate is shown: it has no interval, and of fewer its 95 % would be
wider than a third."""


def page_path(day: dt.date) -> Path:
    """`LAKE/reports/html/dt=D/index.html`; raises UsageError for a lake that is not on a local file system."""
    folder = places.night_folder(day)
    if folder is None:
        raise UsageError(
            f"the page needs a folder to be written to, and {lake.root()} is none: run `musicbox sql` on its tables."
        )
    return folder / "index.html"


def write_page(day: dt.date) -> Path:
    """Write the night's page whole and return its path, also of a night that stopped; raises DataRefused where the
    night neither has reports nor stopped."""
    path = page_path(day)
    facts = night_facts(day)
    dictionary = path.parent.parent / DICTIONARY
    whole = {path: render(facts, links_of(path)), dictionary: render_dictionary(nights_beside(dictionary, day))}
    for place, text in whole.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        aside = place.with_suffix(f".{os.getpid()}")
        aside.write_text(text, encoding="utf-8")
        aside.replace(place)
    return path


def links_of(page: Path) -> list[tuple[str, str]]:
    """What a night's page points to, as (text, address beside it)."""
    links = [("Data dictionary", f"../{DICTIONARY}")]
    docs = f"{places.DATA_DOCS}/index.html"
    if (page.parent / docs).exists():
        links.append(("Great Expectations Data Docs of this night", docs))
        # Their index lists its pages by scripts from public networks: without a way there it stays empty.
        results = sorted((page.parent / places.DATA_DOCS / "validations").rglob("*.html"))
        links += [(f"its {result.stem}", result.relative_to(page.parent).as_posix()) for result in results]
    return links


def nights_beside(dictionary: Path, day: dt.date) -> list[str]:
    """The nights that have a page, that of `day` among them, newest first, as many as a trend shows."""
    written = {page.parent.name.removeprefix("dt=") for page in dictionary.parent.glob("dt=*/index.html")}
    return sorted(written | {str(day)}, reverse=True)[:NIGHTS]


def render(facts: NightFacts, links: Sequence[tuple[str, str]] = ()) -> str:
    """The page's HTML; of a night that stopped before it had reports, why."""
    from markupsafe import Markup

    environment = templates()
    environment.filters.update(
        percent=_percent, number=_number, whole=_whole, short=_short, expected=_expected, quoted=repr
    )
    measured = any(row.get("value") is not None for row in facts.validation)
    if not facts.is_published:
        return environment.get_template("stopped_night.html").render(facts=facts, links=links, measured=measured)
    of_all = [row for row in facts.skip_rate if row["segment"] == "all"]
    varied = [row for row in facts.diversity if row["segment"] == "all"]
    # The plots are our own SVG, made of numbers and fixed names.
    drawn = {
        "skip_plot": Markup(plots.skip_rates(of_all)),
        "trend_plot": Markup(plots.skip_trend(facts.skip_trend)),
        "diversity_plot": Markup(plots.diversity(varied)),
    }
    return environment.get_template("night.html").render(
        facts=facts,
        links=links,
        measured=measured,
        logged=facts.one(facts.skip_rate, LOGGED),
        ours=_ours(facts),
        skip_all=of_all,
        skip_parts=[row for row in facts.skip_rate if row["policy"] == LOGGED and row["segment"] != "all"],
        diversity_all=varied,
        comparison=[row for row in facts.comparison if row["segment"] == "all" and row["measure"] in COMPARED],
        names=plots.names(),
        champion=CHAMPION,
        measures=plots.MEASURES,
        evidence=plots.EVIDENCE,
        least_matched=LEAST_MATCHED,
        **drawn,
    )


def _ours(facts: NightFacts) -> dict[str, Any] | None:
    """The diversity row of what was served: ours, or the baseline's that stood in."""
    model = facts.served["model_id"]
    return facts.one(facts.diversity, model if model in plots.names() else CHAMPION)


def _percent(value: float | None, decimals: int = 1) -> str:
    return "–" if value is None else f"{value:.{decimals}%}"


def _number(value: float | None, decimals: int = 2) -> str:
    return "–" if value is None else f"{value:,.{decimals}f}"


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:,.4g}"


def _expected(row: Row) -> str:
    """The expected range in words; one end may be open."""
    lo, hi = row.get("expected_lo"), row.get("expected_hi")
    if lo is None:
        return f"at most {_short(hi)}"
    return f"at least {_short(lo)}" if hi is None else f"{_short(lo)} to {_short(hi)}"


def _whole(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"
