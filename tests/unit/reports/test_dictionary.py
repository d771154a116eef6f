"""The data dictionary has all of the contract, its links resolve, and the night's page points to it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from musicbox_lib.contract.tables import Check, tables
from musicbox_lib.reports.page import page
from musicbox_lib.reports.page.dictionary import STAGES, render_dictionary, uses
from musicbox_lib.reports.page.facts import NightFacts
from musicbox_lib.reports.page.page import links_of, nights_beside, render
from musicbox_lib.sql.views import views

DAY = dt.date(2026, 11, 5)
LOGGED = {
    "dt": DAY,
    "policy": "logged",
    "skip_rate_logged": 0.5,
    "skip_rate_logged_lo": 0.4,
    "skip_rate_logged_hi": 0.6,
}
NO_ESTIMATE = dict.fromkeys(("skip_rate_dr", "skip_rate_dr_lo", "skip_rate_dr_hi"))
BARE = dataclasses.replace(
    NightFacts(DAY, {"users": 0, "tracks": 0, "model_id": None, "model_dt": None}, *([[]] * 9)),
    skip_trend=[LOGGED | NO_ESTIMATE],
)
RULE = {
    "rule": "skip_rate_drift", "severity": "warn", "about": "The skip rate is that of the last nights.",
    "evaluated": 3000, "unexpected": 0, "success": True, "decision": "go_on",
}  # fmt: skip


class Anchors(HTMLParser):
    """A page's ids and the addresses it points to; every tag must be closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "br"}:
            self.open.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.addresses += [value or "" for name, value in attrs if name in {"href", "src", "action", "data"}]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def words(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


@pytest.fixture(scope="module")
def html() -> str:
    return render_dictionary(["2026-11-05"])


@pytest.mark.parametrize("name", sorted(tables()))
def test_every_table_column_check_and_rule_is_there_with_its_sentence(html: str, name: str) -> None:
    found = tables()[name]
    begins = html.index(f'<section id="{name}">')
    section = words(html[begins : html.index("</section>", begins)])
    ids = set(Anchors(html).ids)
    assert found.about in section
    assert f"one row per {', '.join(found.grain)}" in section
    for column in found.columns:
        null = "may be null" if column.nullable else "never null"
        assert f"{column.name} {column.type} {null} {column.about}" in section
        assert f"{name}.{column.name}" in ids
    for check in found.checks:
        assert f"{check.name} {check.about} {check.sql}" in section
        assert f"{name}.check.{check.name}" in ids
    for rule in found.expectations:
        assert f"{rule.rule} {rule.severity} {rule.about}" in section
        assert f"{name}.rule.{rule.rule}" in ids


def test_every_view_is_there_and_every_link_leads_somewhere(html: str) -> None:
    anchors = Anchors(html)
    assert set(views()) <= set(anchors.ids)
    assert all(view.about in unescape(html) for view in views().values())
    assert len(anchors.ids) == len(set(anchors.ids))
    beside = [address for address in anchors.addresses if not address.startswith("#")]
    assert beside == ["dt=2026-11-05/index.html"]
    assert {address[1:] for address in anchors.addresses if address.startswith("#")} <= set(anchors.ids)
    assert {table.stage for table in tables().values()} == set(STAGES)


def test_who_writes_and_reads_a_table_comes_from_the_jobs() -> None:
    found = uses()
    assert found["gold.track_features"].written_by == ["track_features"]
    assert {"top3_recommendations", "trainer"} <= set(found["gold.track_features"].read_by)
    written = {name for name, table in tables().items() if table.format == "delta"} - {"ops.run_ledger"}
    assert {name for name, use in found.items() if use.written_by} == written
    assert found["landing.tracks"].read_by == []


def test_what_the_contract_says_is_never_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    found = tables()["reports.skip_rate"]
    odd = dataclasses.replace(found, about="<script>x</script>", checks=(Check("c", "a < b AND '&'", "A."),))
    monkeypatch.setattr("musicbox_lib.reports.page.dictionary.tables", lambda: {odd.name: odd})
    said = render_dictionary([])
    assert "<script>" not in said
    assert "a &lt; b AND &#39;&amp;&#39;" in said


def test_the_nights_page_and_the_dictionary_point_to_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = tmp_path / f"dt={DAY}" / "index.html"
    monkeypatch.setattr(page, "page_path", lambda day: night)
    monkeypatch.setattr(page, "night_facts", lambda day: BARE)
    inside = "validation/validations/session_logs/days/session_logs.days.html"
    results = night.parent / inside
    for docs in (False, True):
        if docs:
            results.parent.mkdir(parents=True)
            (night.parent / "validation" / "index.html").write_text("docs")
            results.write_text("what came out")
        page.write_page(DAY)
        addresses = [one for one in Anchors(night.read_text()).addresses if not one.startswith("#")]
        assert addresses == ["../dictionary.html", *(["validation/index.html", inside] if docs else [])]
        assert [(night.parent / address).resolve().exists() for address in addresses] == [True] * len(addresses)
        dictionary = tmp_path / "dictionary.html"
        beside = [one for one in Anchors(dictionary.read_text()).addresses if not one.startswith("#")]
        assert [(dictionary.parent / one).resolve() for one in beside] == [night.resolve()]
    assert [text for text, _ in links_of(night)[1:]] == [
        "Great Expectations Data Docs of this night", "its session_logs.days",
    ]  # fmt: skip
    (tmp_path / "dt=2026-11-04").mkdir()
    (tmp_path / "dt=2026-11-04" / "index.html").write_text("a night")
    assert nights_beside(tmp_path / "dictionary.html", DAY) == ["2026-11-05", "2026-11-04"]


def test_a_rules_measured_value_stands_beside_what_was_expected() -> None:
    measured = RULE | {"input": "session_logs", "value": 0.53125, "expected_lo": 0.45, "expected_hi": 0.6}
    ends = [
        measured,
        measured | {"rule": "rows", "expected_hi": None},
        measured | {"rule": "nulls", "expected_lo": None},
        measured | {"rule": "hours", "value": None, "expected_lo": None, "expected_hi": None},
    ]
    said = words(render(dataclasses.replace(BARE, validation=ends)))
    assert (
        "skip_rate_drift session_logs The skip rate is that of the last nights. 3,000 0 0.5312 0.45 to 0.6 held" in said
    )
    assert "0.5312 at least 0.45 held" in said
    assert "0.5312 at most 0.6 held" in said
    assert "3,000 0 – held" in said
    # An older lake has no such columns, and a page without measured rules has no column for them.
    older = words(render(dataclasses.replace(BARE, validation=[RULE])))
    assert "The skip rate is that of the last nights. 3,000 0 held" in older
    assert "expected" not in older[older.index("Rules") : older.index("What wrote it")]
