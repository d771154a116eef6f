"""The night's page: every section, from a lake written without a JVM."""

from __future__ import annotations

import datetime as dt
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from small_night import write
from typer.testing import CliRunner

from musicbox_lib.cli.app import app
from musicbox_lib.errors import DataRefused, UsageError
from musicbox_lib.reports.page.facts import night_facts
from musicbox_lib.reports.page.page import page_path, render, write_page
from musicbox_lib.settings import settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = dt.date(2026, 11, 5)
POLICIES = ("logged", "ddpg_w", "item_knn", "popularity", "random")


def with_interval(name: str, value: float) -> dict[str, float]:
    return {name: value, f"{name}_lo": value - 0.03, f"{name}_hi": value + 0.03}


def skip_rows(day: dt.date) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for segment in ("charts", "free", "premium", "all"):
        shares = {"skip_1_logged": 0.42, "skip_3_logged": 0.65, "not_skipped_logged": 0.33}
        of_log = {
            "policy": "logged",
            "n": 3456,
            "evidence": "ok",
            **shares,
            **with_interval("skip_rate_logged", 0.5197),
        }
        rows.append({"dt": day, "segment": segment, "n_users": 164, **of_log})
    for place, policy in enumerate(POLICIES[1:]):
        row = {"dt": day, "policy": policy, "segment": "all", "n": 3207, "n_users": 152, "ess": 353.4}
        if policy == "item_knn":
            rows.append({**row, "evidence": "low_ess", "ess": 15.8})
        else:
            estimates = {**with_interval("skip_rate_dr", 0.4 + place / 10), **with_interval("skip_rate_snips", 0.41)}
            rows.append({**row, "evidence": "ok", "skip_rate_predicted": 0.35, **estimates})
    return rows


def diversity_rows(day: dt.date) -> list[dict[str, Any]]:
    return [
        {
            "dt": day,
            "policy": policy,
            "segment": segment,
            "n_slates": 580,
            "diversity_ild": 0.3 + place / 10,
            "ild_space": "audio",
            "catalogue_coverage": 0.1 + place / 10,
            "aggregate_diversity": 0.2,
            "gini": 0.6,
            "entropy": 8.1,
            "novelty": 10.4,
            "tail_share": 0.5,
            "repetition": 0.11 if policy == "ddpg_w" else None,
            "legacy_diversity": 0.09,
        }
        for place, policy in enumerate(POLICIES)
        for segment in ("all", "free")
    ]


@pytest.fixture
def night(spark: SparkSession, lake_root: Path) -> Path:
    """Three nights of reports; the last with all that belongs to a night."""
    for back in (2, 1, 0):
        day = DAY - dt.timedelta(days=back)
        write("reports.skip_rate", skip_rows(day))
        write("reports.diversity", diversity_rows(day))
    comparison = {"dt": DAY, "policy": "ddpg_w", "segment": "all", "measure": "skip_rate_dr", "n": 3207}
    write(
        "reports.policy_comparison",
        [
            {**comparison, "versus": "popularity", "difference": -0.2, "lo": -0.25, "hi": -0.15, "evidence": "ok"},
            {**comparison, "versus": "item_knn", "evidence": "low_ess"},
        ],
    )
    slot = {
        "dt": DAY,
        "score": 1.0,
        "propensity": 0.5,
        "source": "actor",
        "reason_code": "near_liked_track",
        "model_id": "m-1105",
    }
    write(
        "scores.top3_recommendations",
        [{**slot, "user_id": user, "rank": rank, "track_id": f"t{rank}"} for user in "uv" for rank in (1, 2, 3)],
    )
    track = {"dt": DAY, "plays": 7, "quality_by_fold": [0.0] * 10, "skip_rate_shrunk": 0.44}
    titles = {"t1": "Rain & <b>Thunder</b>", "t2": "Slow Tide", "t3": None}
    write("gold.track_features", [{**track, "track_id": name, "title": title} for name, title in titles.items()])
    write(
        "models.registry",
        [{"model_id": "m-1105", "dt": dt.date(2026, 11, 3), "status": "champion", "promoted": True, "reason": "first"}],
    )
    rule = {"dt": DAY, "input": "session_logs", "evaluated": 3470, "unexpected_share": 0.0}
    write(
        "silver.validation_results",
        [
            {**rule, "rule": "hour_in_day", "severity": "quarantine", "about": "Hours are 0 to 23.", "unexpected": 14,
             "success": False, "decision": "quarantine"},
            {**rule, "rule": "enough_rows", "severity": "fail", "about": "At least one row.", "unexpected": 0,
             "success": True, "decision": "go_on"},
        ],
    )  # fmt: skip
    write(
        "silver.rejected_events",
        [{"dt": DAY, "file": "a.csv", "line": line, "rules": ["hour_in_day"]} for line in range(2, 16)],
    )
    written = dt.datetime(2026, 11, 6, 1, 2, 3, tzinfo=dt.UTC)
    write(
        "ops.run_ledger",
        [{"run_id": "manual__1", "job": "skip_rate", "table": "reports.skip_rate", "version": 3, "days": [DAY],
          "rows": 8, "inputs": [], "code_version": "abc1234", "written_at": written}],
    )  # fmt: skip
    return lake_root


class Outline(HTMLParser):
    """Tags that stay open, and every address the page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "link", "br", "img", "hr"}:
            self.open.append(tag)
        names = {"src", "href", "xlink:href", "action", "data"}
        self.addresses += [value or "" for name, value in attrs if name in names and not (value or "").startswith("#")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_the_page_says_what_the_tables_say(night: Path) -> None:
    path = write_page(DAY)
    assert path == night / "reports" / "html" / f"dt={DAY}" / "index.html"
    said = words(path.read_text())
    assert "2 users got three tracks each, from 3 different ones" in said
    assert "52.0% of 3,456 logged plays were skipped (95 %: 49.0% to 55.0%)" in said
    assert "m-1105 served, trained for 2026-11-03" in said
    assert "enough evidence 40.0% 37.0% to 43.0%" in said
    assert "too few comparable plays" in said
    assert "-20.0% -25.0% to -15.0%" in said
    assert "hour_in_day session_logs 14" in said
    assert "Slow Tide" in said
    assert "abc1234" in said
    assert "no model had been promoted" not in said


def test_the_page_is_whole_closed_and_fetches_nothing(night: Path) -> None:
    html = render(night_facts(DAY))
    outline = Outline()
    outline.feed(html)
    assert outline.open == []
    assert outline.addresses == []
    assert html.count("<svg") == 3
    assert "@import" not in html
    assert "url(http" not in html


def test_what_the_data_says_is_never_markup(night: Path) -> None:
    html = render(night_facts(DAY))
    assert "Rain &amp; &lt;b&gt;Thunder&lt;/b&gt;" in html
    assert "<b>Thunder" not in html


def test_the_same_tables_give_the_same_page(night: Path) -> None:
    assert render(night_facts(DAY)) == render(night_facts(DAY))


def test_plots_show_a_number_only_where_there_is_evidence(night: Path) -> None:
    html = render(night_facts(DAY))
    assert html.count("no number: too few comparable plays") == 1
    first = html[html.index("<svg") : html.index("</svg>")]
    assert {"52.0%", "40.0%", "60.0%", "70.0%"} <= set(re.findall(r"\d+\.\d%", first))


def test_a_bare_night_still_has_a_page(spark: SparkSession, lake_root: Path) -> None:
    """Two tables are enough: a log without propensities, no scores, no gold, no registry."""
    write("reports.skip_rate", [row for row in skip_rows(DAY) if row["policy"] == "logged"])
    write("reports.diversity", [])
    with pytest.raises(DataRefused, match=r"reports.diversity has no night 2026-11-05"):
        write_page(DAY)
    write("reports.diversity", diversity_rows(DAY)[:1])
    said = words(write_page(DAY).read_text())
    assert "0 users got three tracks" in said
    assert "Nothing was compared" in said


def test_a_baseline_that_stood_in_is_named(night: Path) -> None:
    slot = {"dt": DAY, "score": 1.0, "propensity": 0.5, "source": "item_knn", "reason_code": "near_liked_track"}
    later = DAY + dt.timedelta(days=1)
    write("reports.skip_rate", skip_rows(later))
    write("reports.diversity", diversity_rows(later))
    write(
        "scores.top3_recommendations",
        [{**slot, "dt": later, "user_id": "u", "rank": 1, "track_id": "t1", "model_id": "item_knn"}],
    )
    assert "item-kNN stood in: no model had been promoted yet" in words(render(night_facts(later)))


def test_an_unknown_night_is_one_sentence_and_exit_3(night: Path) -> None:
    with pytest.raises(DataRefused) as refused:
        write_page(dt.date(2026, 12, 1))
    assert str(refused.value) == (
        "reports.skip_rate has no night 2026-12-01: it has 3 nights from 2026-11-03 to 2026-11-05; "
        "run `make nightly RUN_DATE=2026-12-01` first."
    )
    assert refused.value.exit_code == 3
    assert not page_path(dt.date(2026, 12, 1)).exists()


def test_the_command_prints_the_path(night: Path) -> None:
    assert CliRunner().invoke(app, ["report", "--dt", "2026-11-05"]).stdout.strip() == str(page_path(DAY))
    asked = CliRunner().invoke(app, ["report", "--dt", "2026-11-31"])
    assert isinstance(asked.exception, UsageError)


def test_a_lake_elsewhere_has_no_folder_for_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSICBOX_LAKE", "s3a://bucket/lake")
    settings.cache_clear()
    with pytest.raises(UsageError, match="s3a://bucket/lake"):
        page_path(DAY)
    settings.cache_clear()


def result(rule: str, decision: str, **changed: Any) -> dict[str, Any]:
    known = {"dt": DAY, "input": "session_logs", "rule": rule, "severity": "fail", "evaluated": 3470, "unexpected": 14}
    return {**known, "unexpected_share": 0.0, "success": False, "decision": decision, **changed}


def example(line: int, column: str, value: str | None) -> dict[str, Any]:
    known = {"dt": DAY, "input": "session_logs", "rule": "hour_in_day", "file": "a<i>.csv", "line": line}
    return {**known, "column": column, "value": value, "why": "is not from 0 to 23"}


def test_the_lines_that_broke_a_rule_are_on_the_page_of_a_published_night(night: Path) -> None:
    values = {f"column_{number}": f"<u>{number}</u>\x00" for number in range(6)}
    write("silver.validation_examples", [example(7, name, value) for name, value in values.items()])
    write("silver.validation_examples", [example(9, "hour_of_day", None)])
    rejected = {"dt": DAY, "file": "tracks.csv", "line": 2, "rules": ["key_range"]}
    write("silver.rejected_tracks", [rejected])
    html = render(night_facts(DAY))
    said = words(html)
    assert "hour_in_day session_logs 14 of 3,470 a&lt;i&gt;.csv line 7 column_0 &#39;&lt;u&gt;0&lt;/u&gt;" in said
    assert "\\x00&#39; is not from 0 to 23" in said
    assert "column_3" in said and "column_4" not in said and "and 2 more" in said
    assert "line 9 hour_of_day is not from 0 to 23" in said
    assert "key_range tracks 1" in said
    assert "<u>" not in html and "<i>" not in html and "\x00" not in html
    assert "This night stopped" not in said


def test_a_night_that_ran_again_and_stopped_says_that_the_first_run_stands(night: Path) -> None:
    stop = result("rejected_share", "stop", value=0.5, expected_hi=0.2, evaluated=3470, unexpected=0)
    write("silver.validation_results", [stop, result("parsed", "quarantine", severity="quarantine", unexpected=1735)])
    said = words(render(night_facts(DAY)))
    assert "This night stopped It was run again and nothing of that run was published" in said
    assert "rejected_share: 1735 of 3470 rows of session_logs on 2026-11-05 are rejected (at most 20 % may be)" in said
    assert "parsed 1,735 of 3,470" in said
    assert "52.0% of 3,456 logged plays were skipped" in said


def test_a_stopped_night_says_whose_recommendations_still_stand(night: Path) -> None:
    later = DAY + dt.timedelta(days=1)
    stop = result("rejected_share", "stop", dt=later, value=0.5, expected_hi=0.2)
    write("silver.validation_results", [stop])
    html = write_page(later).read_text()
    said = words(html)
    assert "Nothing of it was published. The recommendations of 2026-11-05 still stand." in said
    assert "make nightly RUN_DATE=2026-11-06" in said
    outline = Outline()
    outline.feed(html)
    assert outline.open == []
    # The night before did not stop; a night that nobody ran is still unknown.
    assert "This night stopped" not in words(render(night_facts(DAY)))
    with pytest.raises(DataRefused, match="has no night 2026-11-09"):
        write_page(dt.date(2026, 11, 9))


def test_a_night_that_an_earlier_delivery_stopped_says_so(night: Path) -> None:
    later, last = DAY + dt.timedelta(days=1), DAY + dt.timedelta(days=2)
    write("silver.validation_results", [result("rejected_share", "stop", dt=later, value=0.5, expected_hi=0.2)])
    write("silver.validation_results", [result("parsed", "go_on", dt=last, success=True, unexpected=0)])
    said = words(write_page(last).read_text())
    assert "rejected_share: 1735 of 3470 rows of session_logs on 2026-11-06 are rejected" in said


def test_every_policy_and_evidence_has_words_on_the_page() -> None:
    from typing import get_args

    from musicbox_lib.evaluation.contenders import LOGGED
    from musicbox_lib.evaluation.estimators import Evidence
    from musicbox_lib.evaluation.rank_measures import MEASURES as RANKS
    from musicbox_lib.policies.listed import ALL
    from musicbox_lib.reports.page import plots
    from musicbox_lib.reports.policy_comparison import MEASURES

    assert set(plots.names()) == {LOGGED, *(policy.name for policy in ALL)}
    assert all(plots.names().values())
    assert set(get_args(Evidence)) == set(plots.EVIDENCE)
    assert {*MEASURES, *RANKS} == set(plots.MEASURES)
