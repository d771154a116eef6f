"""Small things that a reader takes for facts: each is one."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from musicbox_lib.cli.app import app
from musicbox_lib.cli.recommend import REASONS, UserAnswer, show
from musicbox_lib.contract.tables import table
from musicbox_lib.evaluation.contenders import CHAMPION, LOGGED
from musicbox_lib.policies.listed import baselines
from musicbox_lib.reports.page.facts import NightFacts
from musicbox_lib.reports.page.page import render
from musicbox_lib.sql.ask import ask

NIGHT = dt.date(2026, 11, 5)


def skip_row(policy: str, skipped: float, matched: float) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(table("reports.skip_rate").column_names)
    row |= {"dt": NIGHT, "policy": policy, "segment": "all", "n": 100, "n_users": 9, "evidence": "low_ess"}
    return row | {"legacy_skip_rate": skipped, "legacy_matched": matched}


def facts(rows: list[dict[str, Any]]) -> NightFacts:
    served = {"users": 1, "tracks": 3, "model_id": "item_knn", "model_dt": None}
    track = {"track_id": "t1", "title": ":cat: [b]", "artist": None, "slots": 2, "plays": 3, "skip_rate_shrunk": 0.48}
    trend = [skip_row("popularity", 0.5, 1.0) | {"skip_rate_dr": 0.5, "skip_rate_dr_lo": 0.4, "skip_rate_dr_hi": 0.6}]
    lists: dict[str, Any] = {
        field.name: [] for field in dataclasses.fields(NightFacts) if field.name not in {"day", "served"}
    }
    varied: dict[str, Any] = dict.fromkeys(table("reports.diversity").column_names)
    varied |= {"dt": NIGHT, "policy": "item_knn", "segment": "all", "n_slates": 1}
    shown = {"skip_rate": rows, "diversity": [varied], "skip_trend": trend, "top_tracks": [track]}
    return NightFacts(day=NIGHT, served=served, **(lists | shown))


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def test_the_prototypes_rate_is_no_headline_and_of_few_matches_no_number() -> None:
    html = render(facts([skip_row("ddpg_w", 0.521, 2.0), skip_row("item_knn", 0.4, 212.0)]))
    text = words(html)
    assert "too few of 2" in text and "52.1 %" not in text and "52.1%" not in text
    assert "40.0% of 212" in text
    assert "it has no interval, and with fewer than 30 such tracks no number is given" in text
    # The row of ours is bold; this column is not.
    assert "tr.ours td.light { font-weight: 400; }" in html


def test_a_shrunk_rate_says_that_it_is_shrunk() -> None:
    text = words(render(facts([skip_row("item_knn", 0.4, 212.0)])))
    assert "skip rate so far shrunk to the mean" in text
    assert ":cat: [b]" in text


def test_a_policys_name_is_a_name_in_a_plot_too() -> None:
    html = render(facts([skip_row("$x_1$ & <b>", 0.4, 212.0)]))
    svg = html[html.index("<svg") : html.index("</svg>")]
    assert "$x_1$ &amp; &lt;b&gt;" in svg


@pytest.mark.parametrize("name", ["reports.skip_rate", "reports.policy_evaluation"])
def test_the_dictionary_names_every_policy(name: str) -> None:
    about = next(column.about for column in table(name).columns if column.name == "policy")
    listed = re.split(r"\W+", about)
    assert [policy for policy in (CHAMPION, *(one.name for one in baselines())) if policy not in listed] == []
    assert (LOGGED in listed) == (name == "reports.skip_rate")


def test_the_schema_knows_every_reason() -> None:
    found = next(check for check in table("scores.top3_recommendations").checks if check.name == "reason_known")
    assert set(re.findall(r"'(\w+)'", found.sql)) == set(REASONS)


def test_help_names_ids_that_can_exist() -> None:
    for command in ("recommend", "forget-user"):
        told = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).stdout
        assert "u_000017" in told and not re.search(r"\bu\d{6}\b", told)


@pytest.mark.parametrize("step", ["retention", "registry", "optimize", "vacuum"])
def test_an_upkeep_without_work_says_so_in_a_sentence(lake_root: Path, step: str) -> None:
    told = CliRunner().invoke(app, ["maintain", step, "--dry-run"])
    assert told.exit_code == 0
    assert re.fullmatch(r"(No|Every) [^\n]+\.\n", told.stdout)


def test_recommend_prints_titles_as_they_are_and_no_chance_as_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    slot = {"rank": 1, "track_id": "t1", "reason_code": "item_knn_of_heard", "because_track_id": "t2"}
    slot |= {"source": "item_knn", "propensity": 0.00000314, "model_id": "item_knn"}
    tracks = {"t1": {"title": "Day [/edit] :smile:"}, "t2": {"title": "Two\nlines", "artist": "[b]"}}
    show(UserAnswer(NIGHT, "u:cat:[/x]", [("t2", -1)], [slot], tracks))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "User u:cat:[/x], last session as known at the end of 2026-11-05:"
    assert "1 Two\\nlines by [b] no label" in lines
    assert "1 Day [/edit] :smile: heard together with Two\\nlines by [b] item_knn 3.1e-06" in lines


def test_a_near_name_is_never_one_of_duckdbs_own_catalogue(lake_root: Path) -> None:
    with pytest.raises(Exception, match="The nearest names: latest_writes") as refused:
        ask("SELECT * FROM latest_write")
    assert "pg_" not in str(refused.value)
