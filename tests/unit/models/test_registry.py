"""Which model serves which nights."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from catalogues import make_catalogue

from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.errors import Conflict
from musicbox_lib.evaluation.estimators import COLUMNS, Interval
from musicbox_lib.models.registry import Entry, champion_of, is_registered, with_model
from musicbox_lib.policies.popularity import Popularity
from musicbox_lib.policies.random import Random
from musicbox_lib.training.comparison import DRAWS, MARGIN, Comparison, judge_batches, verdict


def model(model_id: str, day: int) -> Entry:
    return Entry(
        model_id, dt.date(2026, 11, day), "candidate", False, "", {"n": 1.0}, {"t": 3}, {"f": model_id}, "code"
    )


def against(value: float, lo: float, hi: float) -> Comparison:
    return Comparison("ok", 1000, 200.0, Interval(value, lo, hi))


def statuses(entries: list[Entry]) -> dict[str, tuple[str, bool]]:
    return {entry.model_id: (entry.status, entry.promoted) for entry in entries}


FIRST = with_model([], model("a", 3), True, "first")


def test_the_first_model_is_champion() -> None:
    assert verdict(None, None) == (True, "promoted: no model served its day before")
    assert statuses(FIRST) == {"a": ("champion", True)}


@pytest.mark.parametrize(
    "comparison, promoted",
    [
        (against(-0.03, -0.05, -0.01), True),
        (against(0.01, -0.02, 0.04), True),  # worse, but not shown to be
        (against(0.01, 0.001, 0.02), False),  # shown to be worse, however little
        (against(MARGIN + 0.001, -0.02, 0.06), False),  # too much to wait for proof
        (Comparison("low_ess", 900, 12.0), True),
        (Comparison("no_propensity", 0, 0.0), True),
    ],
)
def test_a_later_model_must_not_be_worse(comparison: Comparison, promoted: bool) -> None:
    decided, reason = verdict(comparison, FIRST[0])
    assert decided == promoted
    assert reason.startswith("promoted: " if promoted else "not promoted: ")
    assert "a" in reason.split()


def test_promotion_retires_the_champion_before() -> None:
    entries = with_model(FIRST, model("b", 4), True, "better")
    assert statuses(entries) == {"a": ("retired", True), "b": ("champion", True)}
    assert champion_of(entries, dt.date(2026, 11, 3)) == entries[0]
    assert champion_of(entries, dt.date(2026, 11, 9)) == entries[1]
    assert champion_of(entries, dt.date(2026, 11, 2)) is None


def test_a_worse_model_stays_a_candidate() -> None:
    entries = with_model(FIRST, model("b", 4), False, "worse")
    assert statuses(entries) == {"a": ("champion", True), "b": ("candidate", False)}
    assert champion_of(entries, dt.date(2026, 11, 9)) == FIRST[0]


def test_a_backfilled_older_model_serves_its_own_nights_only() -> None:
    entries = with_model(FIRST, model("old", 1), True, "no model served its day before")
    assert statuses(entries) == {"old": ("retired", True), "a": ("champion", True)}
    served = {day: champion_of(entries, dt.date(2026, 11, day)) for day in (1, 2, 3, 8)}
    assert {day: entry and entry.model_id for day, entry in served.items()} == {1: "old", 2: "old", 3: "a", 8: "a"}


def test_of_one_day_only_one_model_serves() -> None:
    entries = with_model(FIRST, model("z", 3), True, "other seed")
    assert statuses(entries) == {"a": ("retired", False), "z": ("champion", True)}
    assert entries[0].reason == "superseded by z of the same day"
    again = with_model(entries, model("c", 3), True, "third")
    assert statuses(again) == {"a": ("retired", False), "c": ("champion", True), "z": ("retired", False)}


def test_a_registered_model_is_known_by_its_files() -> None:
    assert is_registered(FIRST, model("a", 3))
    assert not is_registered(FIRST, model("b", 3))
    altered = Entry(**{**model("a", 3).row(), "files": {"f": "other"}})
    with pytest.raises(Conflict, match="a is registered with other files"):
        is_registered(FIRST, altered)


def test_a_row_survives_the_table() -> None:
    row = {**FIRST[0].row(), **{name: list(FIRST[0].row()[name].items()) for name in ("metrics", "inputs", "files")}}
    assert Entry.of_row(row) == FIRST[0]


class Fixed:
    """A model that loads as a baseline."""

    def __init__(self, kind: type[Random] | type[Popularity], catalogue: Catalogue) -> None:
        self.policy = Random(catalogue, 1) if kind is Random else Popularity(catalogue)
        self.catalogue = catalogue

    def load(self) -> tuple[Random | Popularity, Catalogue]:
        return self.policy, self.catalogue


def test_both_models_are_weighed_on_the_same_plays() -> None:
    catalogue = make_catalogue(20, plays=list(range(1, 21)))
    n = 40
    batch = pa.RecordBatch.from_pydict(
        {
            "user_id": [f"u{number % 8}" for number in range(n)],
            "fold": pa.array([9] * n, pa.int32()),
            "track_ids": pa.array([[]] * n, pa.list_(pa.string())),
            "skip_grades": pa.array([[]] * n, pa.list_(pa.int8())),
            "n_in_session": pa.array([0] * n, pa.int32()),
            "user_plays": pa.array([0] * n, pa.int64()),
            "user_skips": pa.array([0] * n, pa.int64()),
            "context_type": ["radio"] * n,
            "hour_of_day": pa.array([7] * n, pa.int32()),
            "is_shuffle": [False] * n,
            "premium": [True] * n,
            "track_id": catalogue.track_ids[np.arange(n) % 20].tolist(),
            "skip_2": (np.arange(n) % 3 == 0).tolist(),
            # The last play is of a uniform session: 1/50 within a pool, so it is not weighed.
            "propensity": [0.05] * (n - 1) + [0.02],
        }
    )
    models = (Fixed(Random, catalogue), Fixed(Popularity, catalogue))
    (found,) = judge_batches([batch], models, seed=3)  # type: ignore[arg-type]
    even, popular = found.to_pylist()
    assert (even["side"], popular["side"]) == (0, 1)
    assert len(even["drawn"]) == DRAWS * COLUMNS
    skips = np.arange(n - 1) % 3 == 0
    for row in (even, popular):
        assert row["totals"][:2] == [n - 1, skips.sum()]
        assert row["users"] == 8
    # Each of 20 tracks has an even chance of 1/20 and was played with 1/20: every weight is 1.
    np.testing.assert_allclose(even["totals"][2:4], [n - 1, skips.sum()], rtol=1e-6)
    assert popular["weight_squares"] > even["weight_squares"]
    assert list(judge_batches([], models, seed=3)) == []  # type: ignore[arg-type]
