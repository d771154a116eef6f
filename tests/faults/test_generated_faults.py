"""Faults that the generator wrote on purpose, held against what validation finds: each where the truth says."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import every_row
import pytest
from deliveries import run
from lake_content import the_lake

from musicbox_lib import lake
from musicbox_lib.cli import app
from musicbox_lib.contract.tables import table
from musicbox_lib.lake import ReadPartition
from musicbox_lib.synthetic.faults.kinds import KINDS
from musicbox_lib.synthetic.faults.plant import read_faults
from musicbox_lib.synthetic.generate import generate

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FROM, LAST = dt.date(2026, 11, 3), dt.date(2026, 11, 5)
EVERY = Path(app.__file__).parent.parent / "synthetic" / "faults" / "every_kind.yaml"


@dataclass(frozen=True)
class Judged:
    truth: dict[str, Any]
    broken: list[tuple[str, str, list[str]]]
    """(day, session_id as delivered, rules) of every row that breaks any."""


@pytest.fixture(scope="module")
def judged(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    from pyspark.sql import functions as F

    from musicbox_lib.landing.session_users import with_user
    from musicbox_lib.validation.session_facts import with_deliveries
    from musicbox_lib.validation.session_logs import flag, looked_at, sessions_of

    root = tmp_path_factory.mktemp("faults")
    with the_lake(root / "lake"):
        generate(
            users=150,
            tracks=100,
            days=3,
            seed=7006,
            from_date=FROM,
            lake=root / "lake",
            truth=root / "truth",
            faults=read_faults(EVERY),
            workers=1,
        )
        run("session_events", LAST)
        events = lake.read(spark, ReadPartition.parse(f"bronze.session_events/dt=..{LAST}"))
        users = spark.createDataFrame([], "session_id string, user_id string")
        accepted = spark.createDataFrame([], "session_id string, dt date")
        events = with_user(events, users)
        every = looked_at(events, with_deliveries(sessions_of(events), accepted))
        rows = every_row.judged(events, every, flag(every)).where(F.size("broken") > 0)
        told = rows.select(F.col("dt").cast("string"), F.substring_index("raw_line", ",", 1), "broken").collect()
        yield Judged(json.loads((root / "truth" / "faults.json").read_text()), [tuple(row) for row in told])


@pytest.mark.fault("planted faults", "each kind of the generator found by its rule, at its place")
@pytest.mark.parametrize("kind", KINDS)
def test_the_rule_that_the_truth_names_finds_the_fault(judged: Judged, kind: str) -> None:
    fault = judged.truth[kind]
    severity = {rule.rule: rule.severity for rule in table("silver.listening_events").expectations}
    assert fault["severity"] == severity[fault["rule"]]
    found = Counter((day, session) for day, session, rules in judged.broken if fault["rule"] in rules)
    for place in fault["where"]:
        assert found[place["day"], place["session_id"]] == place["rows"]


@pytest.mark.fault("planted faults", "none invented in the sessions beside them")
def test_nothing_is_found_where_nothing_was_written(judged: Judged) -> None:
    targets = {place["session_id"] for fault in judged.truth.values() for place in fault["where"]}
    # A row without a label is no fault: the real log has 2 % of them.
    assert {session for _, session, rules in judged.broken if rules != ["labelled"]} == targets


@pytest.mark.fault("planted faults", "as many rows as were planted")
def test_a_rule_finds_as_many_rows_as_its_kinds_wrote(judged: Judged) -> None:
    """Over the whole log, for the rules that no other kind breaks beside its own."""
    found = Counter(rule for _, _, rules in judged.broken for rule in rules)
    wrote = Counter[str]()
    for fault in judged.truth.values():
        wrote[fault["rule"]] += fault["rows"]
    beside = {"parsed", "no_duplicate", "context_type_known"}
    assert {rule: found[rule] for rule in wrote if rule not in beside} == {
        rule: rows for rule, rows in wrote.items() if rule not in beside
    }
    assert all(found[rule] >= wrote[rule] for rule in beside)
