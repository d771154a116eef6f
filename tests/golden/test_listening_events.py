"""Each case is a session of ten plays whose fifth line is changed: which rules that line breaks, which the others.

`REBUILD_GOLDENS=yes` rewrites the answers and skips, so that a rebuild never passes silently.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import every_row
import pytest
from deliveries import DAY, as_csv, deliver, play, plays, run
from lake_content import the_lake

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

CASES = Path(__file__).parent / "listening_events" / "one_changed_row.jsonl"
TWICE = ("session-twice", "session-conflict", "session-cut")


def cases() -> list[dict[str, Any]]:
    return [json.loads(line) for line in CASES.read_text().splitlines()]


def session_of(number: int) -> str:
    return f"session-{number:02d}"


def planted() -> bytes:
    rows: list[dict[str, str] | str] = []
    for number, case in enumerate(cases()):
        session = plays(session_of(number))
        rows += session[:4]
        rows.append(case.get("raw") or session[4] | case["change"])
        rows += session[5:]
    rows += plays(TWICE[0]) * 2
    rows += [*plays(TWICE[1]), play(TWICE[1], 3) | {"track_id_clean": "t_other"}]
    rows += plays(TWICE[2])[:-1]
    rows += [as_csv([play("latin", position)]).decode().splitlines()[1] for position in range(1, 10)]
    content = as_csv(rows)
    latin = as_csv([play("latin", 10) | {"track_id_clean": "t_é"}]).splitlines()[1]
    content += latin.replace("é".encode(), b"\xe9") + b"\n"
    # Good sessions, and two whose ids are wrong.
    for good in [f"good-{number:03d}" for number in range(60)]:
        content += b"\n".join(as_csv(plays(good)).splitlines()[1:]) + b"\n"
    content += as_csv([play("a session", 1, 1)]).splitlines()[1] + b"\n"
    return content


@dataclass(frozen=True)
class Judged:
    events: DataFrame
    sessions: DataFrame
    looked_at: DataFrame
    flagged: DataFrame


@pytest.fixture(scope="module")
def judged(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    """The planted delivery through bronze, and what the rules make of it."""
    from musicbox_lib import lake
    from musicbox_lib.lake import ReadPartition
    from musicbox_lib.landing.session_users import with_user
    from musicbox_lib.validation.session_facts import with_deliveries
    from musicbox_lib.validation.session_logs import flag, looked_at, sessions_of

    root = tmp_path_factory.mktemp("planted") / "lake"
    with the_lake(root):
        deliver(root, planted())
        deliver(root, as_csv(plays("good-000")), name="log_2.csv")
        run("session_events")
        events = lake.read(spark, ReadPartition.parse(f"bronze.session_events/dt={DAY}"))
        users = spark.createDataFrame([], "session_id string, user_id string")
        before = [("good-001", DAY.replace(day=1)), ("good-002", DAY.replace(day=6))]
        versions = [(session, day, 10, f"u-{session}", True) for session, day in before]
        declared = "session_id string, dt date, length int, user_id string, is_sound boolean"
        accepted = spark.createDataFrame(versions, declared)
        events = with_user(events, users)
        sessions = with_deliveries(sessions_of(events), accepted).persist()
        rows = looked_at(events, sessions).persist()
        yield Judged(events, sessions, rows, flag(rows, None, accepted).persist())


@pytest.fixture(scope="module")
def broken(judged: Judged) -> dict[tuple[str, int], list[str]]:
    """(file, line) -> the rules it breaks, warnings among them."""
    rows = every_row.judged(judged.events, judged.looked_at, judged.flagged).collect()
    return {(row.file, row.line): sorted(row.broken) for row in rows}


def test_each_changed_row_breaks_what_its_case_says(broken: dict[tuple[str, int], list[str]]) -> None:
    answered = []
    for number, case in enumerate(cases()):
        first = 2 + 10 * number
        others = {tuple(broken["log.csv.gz", line]) for line in range(first, first + 10) if line != first + 4}
        assert len(others) == 1, f"the nine untouched rows of one session differ: {others} ({case['why']})"
        answered.append(case | {"row": broken["log.csv.gz", first + 4], "others": list(others.pop())})
    if os.environ.get("REBUILD_GOLDENS") == "yes":
        CASES.write_text("".join(json.dumps(case) + "\n" for case in answered))
        pytest.skip(f"{CASES.name} was rewritten: read the difference, then run again without REBUILD_GOLDENS")
    for case, answer in zip(cases(), answered, strict=True):
        assert answer == case, case["why"]


def test_sessions_that_come_twice_differ_or_break_off(broken: dict[tuple[str, int], list[str]]) -> None:
    line = 2 + 10 * len(cases())
    twice = [broken["log.csv.gz", at] for at in range(line, line + 20)]
    assert twice == [[]] * 10 + [["no_duplicate"]] * 10, "the first delivery of a row is kept, its repetition set aside"
    line += 20
    conflict = [broken["log.csv.gz", at] for at in range(line, line + 11)]
    assert conflict[2] == ["no_conflict"]
    assert conflict[10] == ["no_conflict", "no_duplicate"]
    assert conflict[:2] + conflict[3:10] == [[]] * 9, "a conflict costs its own position only"
    line += 11
    assert [broken["log.csv.gz", at] for at in range(line, line + 9)] == [["session_complete"]] * 9
    line += 9
    assert broken["log.csv.gz", line + 9] == ["track_id_pattern", "utf_8"]
    good = line + 10
    assert [broken["log.csv.gz", at] for at in range(good, good + 10)] == [[]] * 10, "the other file repeats this one"
    assert [broken["log_2.csv", at] for at in range(2, 12)] == [["no_duplicate"]] * 10
    assert broken["log.csv.gz", good + 10] == ["first_delivery"], "an earlier day delivered good-001"
    assert broken["log.csv.gz", good + 20] == [], "a later day's delivery is not known yet"
    assert broken["log.csv.gz", good + 600] == ["session_id_pattern", "user_id_pattern"]


def test_great_expectations_counts_what_the_split_counts(judged: Judged) -> None:
    """Every row rule is broken at least once here, so none agrees by being silent."""
    from musicbox_lib.contract.tables import table
    from musicbox_lib.validation.history import counts_by_day
    from musicbox_lib.validation.measures import sums_of
    from musicbox_lib.validation.rules import row_rules
    from musicbox_lib.validation.session_facts import breaks
    from musicbox_lib.validation.session_logs import unsuspected, warned
    from musicbox_lib.validation.suite import Judge

    found = table("silver.listening_events")
    rules = row_rules(found)
    counts = Counter(counts_by_day(judged.flagged, found, [DAY], "session_id")[DAY])
    names = {rule.rule: breaks(rule.rule) for rule in warned()}
    sums = sums_of(judged.sessions, list(names.values()))[DAY]
    counts += Counter({rule: sums[name] for rule, name in names.items()})
    others = unsuspected(judged.looked_at)
    ours = {rule.rule: counts.get(rule.rule, 0) for rule in rules}
    asked = judged.flagged.select(*others.columns).unionByName(others)
    assert asked.count() == judged.events.count()
    assert Judge().rows("session_logs", asked, rules, judged.events.count()) == ours
    assert [name for name, rows in ours.items() if rows == 0] == ["session_size"], "a giant has a test of its own"
