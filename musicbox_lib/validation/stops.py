"""Why a night stops, in the one sentence that Airflow, make and the terminal show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from musicbox_lib.validation.decision import Result, found_instead
from musicbox_lib.validation.examples import Example, shortened
from musicbox_lib.validation.rules import REPETITIONS

LONGEST = 600
"""Characters of the sentence without the address of the page."""
RULES = 3
"""Rules that it names of a stop."""
COLUMNS = 3
EXAMPLES = "silver.validation_examples"


def sentence(results: Sequence[Result], examples: Sequence[Example], page: str = "") -> str:
    """What stops the night: the rules that cost the rows with their counts, the columns of each and one line with its
    value; empty where nothing stops it. `page` is where the whole of it can be read."""
    stops = [result for result in results if result.decision == "stop"]
    if not stops:
        return ""
    said = "the night stops, nothing was published: "
    where = f": see {EXAMPLES}{f' and {page}' if page else ''}, mend the file and land it again."
    room = LONGEST - len(said) - len(f": see {EXAMPLES}, mend the file and land it again.")
    for rules in range(RULES, 0, -1):
        text = "; ".join(_of_stop(stop, results, examples, rules) for stop in stops[:rules])
        text += f"; {len(stops) - rules} more" if len(stops) > rules else ""
        if len(text) <= room:
            break
    return said + shortened(text, room) + where


def _of_stop(stop: Result, results: Sequence[Result], examples: Sequence[Example], most: int) -> str:
    costly = costs(stop, results)
    # One without an example says of lines that could not be read that they have no values.
    costly = [cost for cost in costly if _shown(cost, examples)] or costly
    named = [_of_rule(result, examples) for result in costly[:most]]
    named += [f"{len(costly) - most} more rules"] if len(costly) > most else []
    reasons = f": {'; '.join(named)}" if named else ""
    return f"{in_words(stop)}{reasons}"


def in_words(stop: Result) -> str:
    """What a rule that stops the night found, without its reasons."""
    if stop.rule == "rejected_share" and stop.value is not None and stop.expected_hi is not None:
        rejected = round(stop.value * stop.evaluated)
        return (
            f"rejected_share: {rejected} of {stop.evaluated} rows of {stop.input} on {stop.dt} are rejected "
            f"(at most {stop.expected_hi * 100:.4g} % may be)"
        )
    return f"{stop.rule} of {stop.input} on {stop.dt} ({found_instead(stop)})"


def costs(stop: Result, results: Sequence[Result]) -> list[Result]:
    """The rules that cost the rows which a stop counts, the costliest first; of another stop than that for the share of
    rejected rows the rule itself, where it looks at rows."""
    if stop.rule != "rejected_share":
        return [stop] if stop.unexpected else []
    same = [result for result in results if (result.dt, result.input) == (stop.dt, stop.input)]
    costly = [result for result in same if result.decision == "quarantine" and result.rule not in REPETITIONS]
    return sorted(costly, key=lambda result: -result.unexpected)


def _shown(result: Result, examples: Sequence[Example]) -> list[Example]:
    key = result.dt, result.input, result.rule
    return [example for example in examples if (example["dt"], example["input"], example["rule"]) == key]


def _of_rule(result: Result, examples: Sequence[Example]) -> str:
    counted = f"{result.rule} {result.unexpected} rows"
    shown = _shown(result, examples)
    if not shown:
        return counted
    columns = list(dict.fromkeys(one["column"] for one in shown))
    named = ", ".join(columns[:COLUMNS]) + (f" and {len(columns) - COLUMNS} more" if len(columns) > COLUMNS else "")
    return f"{counted}, column{'s' if len(columns) > 1 else ''} {named}, e.g. {of_example(shown[0])}"


def of_example(example: Mapping[str, Any]) -> str:
    """An example in words: file, line, column, value and what is wrong with it."""
    file = shortened(example["file"])
    place = f"{file if file.isprintable() else repr(file)} line {example['line']}"
    value = "" if example["value"] is None else f" {example['value']!r}"
    return f"{place}: {example['column']}{value} {example['why']}"
