"""A new model against the champion, on plays of users that neither was fitted on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.blocks.draws import keys_of
from musicbox_lib.blocks.slates import probability_of
from musicbox_lib.evaluation.estimators import Sums, paired, sums_of, weighable
from musicbox_lib.training.off_policy import MAX_WEIGHT

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from musicbox_lib.blocks.candidates import Policy
    from musicbox_lib.blocks.catalogue import Catalogue
    from musicbox_lib.evaluation.estimators import Evidence, Interval
    from musicbox_lib.models.champion import Champion
    from musicbox_lib.models.registry import Entry

DRAWS = 2000
MOST_PLAYS = 20_000
"""Plays that both models answer for: four times what the demo's held-out users have, some 20 s on two slow cores."""
_SUMS = "side int, users bigint, weight_squares double, totals array<double>, drawn array<double>"
MARGIN = 0.02
"""A skip rate this much higher than the champion's is too much even where the interval still holds zero: it is a
quarter of what the best method gains on the log's own policy at the demo's size."""


def compare(contexts: DataFrame, new: Champion, champion: Champion, seed: int) -> Comparison:
    """`contexts`: as `as_contexts` gives them, of held-out users only. What reaches this process is two rows of sums
    per task, whatever the users."""
    plays = contexts.where("skip_grade IS NOT NULL AND propensity > 0")
    sides: tuple[list[Sums], list[Sums]] = ([], [])

    def judge(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from judge_batches(batches, (new, champion), seed)

    # A user's plays meet in one task, so that sums over users can be added up.
    for row in plays.repartition(2, "user_id").mapInArrow(judge, _SUMS).collect():
        drawn = np.array(row["drawn"]).reshape(DRAWS, -1)
        sides[row["side"]].append(Sums(row["users"], row["weight_squares"], np.array(row["totals"]), drawn))
    if not sides[0]:
        return Comparison("no_propensity", 0, 0.0)
    ours, theirs = (reduce(lambda a, b: a + b, side) for side in sides)
    # The weights are bounded below, so their mean says nothing of support.
    evidence = ours.amount if ours.amount != "ok" else theirs.amount
    found = paired(ours, theirs, "snips") if evidence == "ok" else None
    return Comparison(evidence, ours.plays, min(ours.ess, theirs.ess), found)


def judge_batches(
    batches: Iterable[pa.RecordBatch], models: tuple[Champion, Champion], seed: int
) -> Iterator[pa.RecordBatch]:
    """Each model's sums over one task's plays, each over its own catalogue; nothing where there is no play."""
    import pyarrow as pa

    policies: list[tuple[Policy, Catalogue]] = []
    parts = []
    for batch in batches:
        policies = policies or [model.load() for model in models]
        propensity = batch.column("propensity").to_numpy(zero_copy_only=False)
        usable = weighable(propensity)
        batch = batch.filter(pa.array(usable))  # noqa: PLW2901
        propensity = propensity[usable]
        weights = []
        for policy, catalogue in policies:
            candidates = policy.propose(ContextBlock.of(batch, catalogue))
            chances = probability_of(candidates, catalogue.positions(batch.column("track_id")))
            # Unbounded, 3,200 plays of the demo's held-out users were worth 12: the same bound for both models.
            weights.append(np.minimum(chances / propensity, MAX_WEIGHT))
        skips = batch.column("skip_2").to_numpy(zero_copy_only=False).astype(np.float64)
        users = keys_of(batch.column("user_id").to_numpy(zero_copy_only=False))
        parts.append((weights, skips, users))
    if not parts:
        return
    skips, users = (np.concatenate([part[place] for part in parts]) for place in (1, 2))
    zeros = np.zeros_like(skips)  # no reward model: only the self-normalised estimate is asked for
    policies_sums = sums_of(
        [(np.concatenate([part[0][side] for part in parts]), zeros, zeros) for side in range(2)],
        skips,
        users,
        seed=seed,
        draws=DRAWS,
    )
    yield pa.RecordBatch.from_pylist(
        [
            {
                "side": side,
                "users": sums.users,
                "weight_squares": sums.weight_squares,
                "totals": sums.totals,
                "drawn": sums.drawn.ravel(),
            }
            for side, sums in enumerate(policies_sums)
        ],
        schema=pa.schema(
            {
                "side": pa.int32(),
                "users": pa.int64(),
                "weight_squares": pa.float64(),
                "totals": pa.list_(pa.float64()),
                "drawn": pa.list_(pa.float64()),
            }
        ),
    )


@dataclass(frozen=True)
class Comparison:
    """The new model's skip rate less the champion's on the held-out users' plays (SNIPS, paired over users); no
    number where the plays do not carry one."""

    evidence: Evidence
    n: int
    ess: float
    difference: Interval | None = None


def verdict(comparison: Comparison | None, champion: Entry | None) -> tuple[bool, str]:
    """Whether a model is promoted, and why in one sentence. It need not be better, only not worse: newer tracks speak
    for it."""
    if champion is None or comparison is None:
        return True, "promoted: no model served its day before"
    if comparison.difference is None:
        return True, (
            f"promoted: the held-out users' plays cannot tell it from {champion.model_id} "
            f"({comparison.evidence}, {comparison.n} plays, ess {comparison.ess:.0f})"
        )
    found = comparison.difference
    against = (
        f"skip rate {found.value:+.4f} [{found.lo:+.4f}, {found.hi:+.4f}] against {champion.model_id} on "
        f"{comparison.n} plays of held-out users"
    )
    if found.lo > 0:
        return False, f"not promoted: {against}, the interval lies above zero"
    if found.value > MARGIN:
        return False, f"not promoted: {against}, more than {MARGIN}"
    return True, f"promoted: {against}"
