"""The one sentence that says why a night stops."""

from __future__ import annotations

import datetime as dt
from typing import Any

from musicbox_lib.validation import stops
from musicbox_lib.validation.decision import Result

DAY = dt.date(2026, 11, 5)
ABOUT = "what the rule says"


def share(rows: int, value: float, day: dt.date = DAY, of: str = "session_logs") -> Result:
    return Result(day, of, "rejected_share", "fail", ABOUT, rows, 0, 0.0, False, "stop", value, None, 0.2)


def broken(rule: str, unexpected: int, rows: int = 120, of: str = "session_logs") -> Result:
    return Result(DAY, of, rule, "quarantine", ABOUT, rows, unexpected, unexpected / rows, False, "quarantine")


def example(rule: str, column: str, value: str | None, why: str, line: int = 2, **changed: str) -> dict[str, Any]:
    known = {"dt": DAY, "input": "session_logs", "rule": rule, "file": "log02.csv", "line": line}
    return {**known, "column": column, "value": value, "why": why, "session_id": "s", "user_id": None, **changed}


def test_a_night_that_goes_on_has_no_sentence() -> None:
    assert stops.sentence([broken("labels_agree", 3)], []) == ""


def test_it_names_rules_counts_columns_and_one_line_with_its_value() -> None:
    results = [share(120, 1.0), broken("labels_agree", 10), broken("parsed", 120), broken("no_duplicate", 60)]
    examples = [
        example("parsed", "session_position", "1.0", "is no whole number"),
        example("parsed", "session_length", "10.0", "is no whole number"),
        example("parsed", "session_position", "2.0", "is no whole number", line=3),
        example("labels_agree", "skip_1", "true", "contradicts the other labels of the play", line=9),
    ]
    assert stops.sentence(results, examples) == (
        "the night stops, nothing was published: rejected_share: 120 of 120 rows of session_logs on 2026-11-05 "
        "are rejected (at most 20 % may be): parsed 120 rows, columns session_position, session_length, e.g. log02.csv "
        "line 2: session_position '1.0' is no whole number; labels_agree 10 rows, column skip_1, e.g. log02.csv line "
        "9: skip_1 'true' contradicts the other labels of the play: see silver.validation_examples, mend the file and "
        "land it again."
    )
    assert "see silver.validation_examples and /p/index.html, mend" in stops.sentence(
        results, examples, "/p/index.html"
    )


def test_a_rule_that_looks_at_the_whole_day_says_what_was_expected() -> None:
    none = Result(DAY, "session_logs", "minimum_rows", "fail", ABOUT, 0, 0, 0.0, False, "stop", 0.0, 1, None)
    assert "published: minimum_rows of session_logs on 2026-11-05 (0 where 1.. is expected, 0 rows): see" in (
        stops.sentence([none], [])
    )


def test_a_rule_of_one_row_that_stops_the_night_shows_its_line() -> None:
    grave = Result(DAY, "tracks", "key_range", "fail", ABOUT, 50, 2, 0.04, False, "stop")
    shown = example("key_range", "key", "12", "is not from -1 to 11", input="tracks", file="tracks.csv")
    assert (
        "key_range of tracks on 2026-11-05 (2 of 50 rows): key_range 2 rows, column key, e.g. tracks.csv line 2: "
        in (stops.sentence([grave], [shown]))
    )


def test_it_stays_one_line_of_bounded_length() -> None:
    rules = [f"rule_number_{number}" for number in range(9)]
    results = [share(1000, 0.9, DAY - dt.timedelta(days=back)) for back in range(7)]
    results += [broken(rule, 100 - at, 1000) for at, rule in enumerate(rules)]
    why = "is none of " + "a, " * 90
    examples = [example(rule, "context_type", "x\n" * 30, why, file="f" * 200) for rule in rules]
    said = stops.sentence(results, examples)
    assert len(said) <= stops.LONGEST
    assert "\n" not in said
    assert said.endswith("see silver.validation_examples, mend the file and land it again.")
    assert "rejected_share: 900 of 1000 rows of session_logs on 2026-11-05" in said
    assert "rule_number_0 100 rows" in said


def test_of_many_days_the_first_are_told_and_the_rest_counted() -> None:
    results = [share(100, 0.5, DAY - dt.timedelta(days=back)) for back in range(5)]
    said = stops.sentence(results, [])
    assert said.count("50 of 100 rows") == 3
    assert "; 2 more: see" in said
