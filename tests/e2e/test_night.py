"""A training and a night, whole, on a small generated world; then the same night again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deliveries import rows_of
from lake_content import the_lake
from rendered import commands, run_dag

from musicbox_lib import lake
from musicbox_lib.contract.tables import tables
from musicbox_lib.evaluation.contenders import CHAMPION, LOGGED
from musicbox_lib.lake import ReadPartition, WritePartition
from musicbox_lib.orchestration import job
from musicbox_lib.policies.listed import baselines, of_catalogue
from musicbox_lib.settings import PROJECT
from musicbox_lib.sql.ask import ask
from musicbox_lib.sql.questions import read_questions
from musicbox_lib.synthetic.generate import generate

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Keras 3.15 hands its variables to numpy 2 in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FIRST = dt.date(2026, 11, 1)
TRAINED, LAST = dt.date(2026, 11, 3), dt.date(2026, 11, 5)
USERS = 80
BASELINES = {policy.name for policy in baselines()}
UNTRAINED = {policy.name for policy in of_catalogue()}


def every_row() -> dict[str, list[str]]:
    """Every row of every table but the ledger, which says when it was written."""
    names = [name for name, table in tables().items() if table.format == "delta" and name != "ops.run_ledger"]
    return {name: sorted(str(sorted(row.items(), key=str)) for row in rows_of(name)) for name in names}


@pytest.fixture(scope="module")
def lake_after_the_night(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A lake trained for 3 November and scored for 4 and 5 November."""
    root = tmp_path_factory.mktemp("night")
    with the_lake(root / "lake"):
        generate(
            users=USERS,
            tracks=200,
            days=5,
            seed=7,
            from_date=FIRST,
            lake=root / "lake",
            truth=root / "truth",
            workers=1,
        )
        run_dag("musicbox_training", TRAINED)
        for day in (dt.date(2026, 11, 4), LAST):
            run_dag("musicbox_nightly", day)
        yield root / "lake"


def test_every_active_user_has_three_unheard_tracks_by_the_champion(lake_after_the_night: Path) -> None:
    served = [row for row in rows_of("scores.top3_recommendations") if row["dt"] == LAST]
    heard = {
        row["user_id"]: set(row["track_ids"][-row["n_in_session"] :])
        for row in rows_of("gold.last_sessions")
        if row["dt"] == LAST
    }
    slates: dict[str, set[str]] = {}
    for row in served:
        slates.setdefault(row["user_id"], set()).add(row["track_id"])
        assert 0 < row["propensity"] <= 1
    assert set(slates) == set(heard)
    assert len(heard) > USERS / 2
    assert {len(slate) for slate in slates.values()} == {3}
    assert [user for user, slate in slates.items() if slate & heard[user]] == []
    [champion] = rows_of("models.registry")
    assert {row["model_id"] for row in served} == {champion["model_id"]}
    assert champion["status"] == "champion"


def test_nothing_delivered_is_lost_and_nothing_is_read_before_its_day(lake_after_the_night: Path) -> None:
    bronze = rows_of("bronze.session_events")
    assert len(bronze) == len(rows_of("silver.listening_events")) + len(rows_of("silver.rejected_events"))
    assert {row["dt"] for row in bronze} == {FIRST + dt.timedelta(days=n) for n in range(5)}
    features = {row["dt"]: 0 for row in rows_of("gold.track_features")}
    for row in rows_of("gold.track_features"):
        features[row["dt"]] += row["plays"]
    silver = [row["dt"] for row in rows_of("silver.listening_events")]
    assert features == {day: sum(one <= day for one in silver) for day in features}


def test_the_reports_have_every_policy_and_a_page(lake_after_the_night: Path) -> None:
    rates = {
        row["policy"]: row for row in rows_of("reports.skip_rate") if row["dt"] == LAST and row["segment"] == "all"
    }
    assert set(rates) == {LOGGED, CHAMPION, *BASELINES}
    assert {row["evidence"] for row in rates.values()}.isdisjoint({"no_history"})
    evaluated = [row for row in rows_of("reports.policy_evaluation") if row["dt"] == LAST]
    assert {row["policy"] for row in evaluated} == {CHAMPION, *BASELINES}
    held_against = [row for row in rows_of("reports.policy_comparison") if row["dt"] == LAST]
    assert {row["versus"] for row in held_against} == {LOGGED, *BASELINES}
    assert 0 < rates["logged"]["skip_rate_logged_lo"] < rates["logged"]["skip_rate_logged_hi"] < 1
    for row in rates.values():
        assert (row["skip_rate_dr"] is None) == (row["evidence"] != "ok" or row["policy"] == "logged")
    varied = {row["policy"] for row in rows_of("reports.diversity") if row["dt"] == LAST and row["segment"] == "all"}
    assert varied == {LOGGED, CHAMPION, *UNTRAINED}
    page = (lake_after_the_night / "reports" / "html" / f"dt={LAST}" / "index.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )


def test_every_write_names_the_versions_of_all_that_its_job_read(lake_after_the_night: Path) -> None:
    inputs: dict[str, list[dict[str, str]]] = {}
    for line in rows_of("ops.run_ledger"):
        inputs.setdefault(line["table"], []).append(dict(line["inputs"] or ()))
    written = set()
    for program, *words in (*commands("musicbox_training", LAST), *commands("musicbox_nightly", LAST)):
        name = Path(program if "/jobs/" in program else words[0]).stem
        if name in ("trainer", "report"):
            continue
        given = vars(job.parser(name).parse_args(words)).values()
        read = {one.table.name for one in given if isinstance(one, ReadPartition)}
        for one in given:
            if isinstance(one, WritePartition):
                written.add(one.table.name)
                for named in inputs[one.table.name]:
                    assert named, one.table.name
                    assert read - set(named) == set(), one.table.name
                    for table_read in read & set(named):
                        # A table's version, or the model that it named.
                        value = named[table_read]
                        is_model = table_read == "models.registry" and value.startswith("ddpgw-")
                        assert is_model or -1 <= int(value) <= lake.version_of(table_read), one.table.name
    assert written == {name for name, found in tables().items() if found.format == "delta"} - {"ops.run_ledger"}
    assert all(path.startswith("session_logs/dt=") for line in inputs["bronze.session_events"] for path in line)
    # The trainer writes no table: its model's row says what it read.
    read_by_trainer = {"training.transitions", "gold.track_features", "gold.track_embeddings"}
    [model] = rows_of("models.registry")
    assert set(dict(model["inputs"])) == read_by_trainer
    assert [line["model"] for line in inputs["models.registry"]] == [model["model_id"]]


def test_every_question_of_an_analyst_has_an_answer(lake_after_the_night: Path) -> None:
    asked = read_questions(PROJECT / "docs" / "questions.sql")
    unanswered = [question.words for question in asked if not list(ask(question.sql).rows)]
    # A clean world rejects nothing.
    assert unanswered == ["5. Which rules reject most, and in which delivered file?"]


def test_the_same_night_again_gives_the_same_rows(lake_after_the_night: Path) -> None:
    before = every_row()
    run_dag("musicbox_nightly", LAST)
    after = every_row()
    assert {name for name in before if before[name] != after[name]} == set()
    # Rows to compare everywhere but where a clean world of one night has none.
    assert {name for name, rows in before.items() if not rows} == {
        f"silver.{noun}" for noun in ("rejected_events", "rejected_tracks", "superseded_events", "validation_examples")
    }
