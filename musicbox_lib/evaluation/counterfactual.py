"""A night's plays as each policy would have had them: weights for the estimators, ranks of what was liked, and the
legacy measure.

One pass of numpy blocks over a sample of contexts gives sums per policy and segment, never a row per user.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pyspark.sql import Window
from pyspark.sql import functions as F

from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.blocks.draws import keys_of
from musicbox_lib.blocks.folds import HELD_OUT_FOLD
from musicbox_lib.blocks.slates import probability_of
from musicbox_lib.evaluation import legacy
from musicbox_lib.evaluation.contenders import LOGGED, SEGMENTS, Contender, contenders_of
from musicbox_lib.evaluation.estimators import UNIFORM_POOL, Sums, sums_of
from musicbox_lib.evaluation.legacy import Counts, Legacy, Rest
from musicbox_lib.evaluation.rank_measures import RankSums, measures_of, rank_sums_of
from musicbox_lib.evaluation.reward_model import RewardModel
from musicbox_lib.policies import listed

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame

    from musicbox_lib.models.champion import Champion
    from musicbox_lib.models.fitted_baselines import Baselines
    from musicbox_lib.policies.base import FittedPolicy

Floats = npt.NDArray[np.float64]

CONTEXTS_PER_TASK = 2500
"""Enough numpy for a task to be worth the loading of a champion."""
# Rows at a time: `random` has up to 4,096 candidates, 512 x 4,096 doubles are 16 MB.
_BLOCK = 512
_SUMS = (
    "policy string, segment string, users bigint, weight_squares double, totals array<double>, drawn array<double>, "
    "rank_users bigint, rank_totals array<double>, rank_drawn array<double>, "
    "recommended double, matched double, labelled double, skipped double"
)


@dataclass(frozen=True)
class Judged:
    """What one policy's pass over one segment gave."""

    sums: Sums
    ranks: RankSums
    legacy: Legacy

    def __add__(self, other: Judged) -> Judged:
        return Judged(self.sums + other.sums, self.ranks + other.ranks, self.legacy + other.legacy)


@dataclass(frozen=True)
class Rivals:
    """What a task needs to judge contexts: yesterday's catalogue, tracks' shrunk skip rates by its positions (NaN
    where none), the overall rate, the champion and the fitted baselines as of yesterday."""

    catalogue: Catalogue
    track_rates: Floats
    overall: float
    champion: Champion | None
    fitted: Baselines | None
    seed: int
    draws: int
    policies: tuple[type[FittedPolicy], ...] = field(default_factory=listed.of_catalogue)
    """Those over the catalogue: as classes, so that a worker needs no setting to know them."""

    def contenders(self) -> list[tuple[Contender, RewardModel]]:
        """Every policy with the reward model in its own positions."""
        rivals = contenders_of(self.champion, self.catalogue, self.fitted, self.seed, self.policies)
        return [(rival, RewardModel.of(self._rates(rival.catalogue), self.overall)) for rival in rivals]

    def _rates(self, catalogue: Catalogue) -> Floats:
        rates: Floats = np.append(self.track_rates, np.nan)[self.catalogue.positions(catalogue.track_ids)]
        return rates


def as_judgeable(
    contexts: DataFrame, *, play_share: float, liked_share: float, session_share: float, seed: int
) -> DataFrame:
    """The contexts of one day, as `as_contexts` gives them, that are worth a policy's answer.

    `is_weighed`: a hashed share of the labelled plays whose propensity can be weighed (`estimators.weighable`).
    `is_ranked`: a hashed share of the plays not skipped whose track the session had not heard before: no policy
    repeats one.
    `is_middle`: the middle of a hashed share of sessions, with `rest_tracks` and `rest_skips`, the tracks and answers
    from there on, the play itself included.
    """
    in_session = Window.partitionBy("user_id", "session_id").orderBy("session_position")
    skip = F.when(F.col("skip_grade").isNull(), legacy.UNLABELLED).otherwise(F.col("skip_2").cast("int"))
    answer = F.struct("track_id", skip.alias("skip"))
    rest = F.collect_list(answer).over(in_session.rowsBetween(0, Window.unboundedFollowing))
    plays = F.count(F.lit(1)).over(in_session.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing))
    weighable = (F.col("propensity") > 0) & (F.col("propensity") != 1 / UNIFORM_POOL) & F.col("skip_grade").isNotNull()
    place = _place("session_id", "session_position", seed=seed)
    heard = F.expr("IF(n_in_session > 0, slice(track_ids, -n_in_session, n_in_session), slice(track_ids, 1, 0))")
    liked = (F.col("skip_grade") == 0) & ~F.array_contains(heard, F.col("track_id"))
    return (
        contexts.withColumns(
            {
                "is_weighed": F.coalesce(weighable & (place < play_share), F.lit(False)),
                "is_ranked": F.coalesce(liked & (place < liked_share), F.lit(False)),
                "is_middle": (F.row_number().over(in_session) == F.floor(plays / 2) + 1)
                & (plays > 1)
                & (_place("session_id", seed=seed) < session_share),
                "rest": rest,
            }
        )
        .where("is_weighed OR is_ranked OR is_middle")
        .withColumn("rest", F.when(F.col("is_middle"), F.col("rest")).otherwise(F.array()))
        .withColumns({"rest_tracks": F.col("rest.track_id"), "rest_skips": F.col("rest.skip")})
        .drop("rest")
    )


def _place(*columns: str, seed: int) -> Column:
    """A number in [0, 1) that belongs to the columns' values."""
    return F.pmod(F.xxhash64(F.lit(seed), *columns), F.lit(1_000_000)) / 1_000_000


def judged(contexts: DataFrame, rivals: Rivals, n_contexts: int) -> dict[tuple[str, str], Judged]:
    """What each policy's pass over the contexts of `as_judgeable` gave, by (policy, segment); `logged` is among them
    with its legacy counts only. What reaches this process is a handful of sums per task, whatever the users."""
    shared = contexts.sparkSession.sparkContext.broadcast(rivals)

    def judge(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from judge_batches(batches, shared.value)

    # A user's plays meet in one task, so that sums over users can be added up.
    tasks = max(1, -(-n_contexts // CONTEXTS_PER_TASK))
    found: dict[tuple[str, str], Judged] = {}
    for row in contexts.repartition(tasks, "user_id").mapInArrow(judge, _SUMS).collect():
        drawn = np.array(row["drawn"]).reshape(rivals.draws, -1)
        sums = Sums(row["users"], row["weight_squares"], np.array(row["totals"]), drawn)
        ranked = np.array(row["rank_drawn"]).reshape(rivals.draws, -1)
        ranks = RankSums(row["rank_users"], np.array(row["rank_totals"]), ranked)
        counts = Legacy(row["recommended"], row["matched"], row["labelled"], row["skipped"])
        part = Judged(sums, ranks, counts)
        key = (row["policy"], row["segment"])
        found[key] = found[key] + part if key in found else part
    return found


@dataclass(frozen=True)
class _Plays:
    """The n plays of a block, whatever a policy says of them."""

    user: npt.NDArray[np.uint64]
    track_ids: pa.Array
    skip: Floats
    propensity: Floats
    is_weighed: npt.NDArray[np.bool_]
    is_ranked: npt.NDArray[np.bool_]
    is_middle: npt.NDArray[np.bool_]
    in_segment: npt.NDArray[np.bool_]
    """(n, segments)"""
    rest: Rest
    """Of the rows where is_middle is true."""

    @classmethod
    def of(cls, batch: pa.RecordBatch) -> _Plays:
        import pyarrow.compute as pc

        def column(name: str, missing: Any = None) -> npt.NDArray[Any]:
            values = batch.column(name)
            values = values if missing is None else pc.fill_null(values, missing)
            return np.asarray(values.to_numpy(zero_copy_only=False))

        premium = column("premium", False)
        known = ~np.asarray(batch.column("premium").is_null())
        middle = batch.column("is_middle")
        return cls(
            user=keys_of(column("user_id")),
            track_ids=batch.column("track_id"),
            skip=column("skip_2", False).astype(np.float64),
            propensity=column("propensity", 0.0),
            is_weighed=column("is_weighed"),
            is_ranked=column("is_ranked"),
            is_middle=column("is_middle"),
            in_segment=np.column_stack(
                [np.ones_like(known), premium & known, ~premium & known, column("fold") == HELD_OUT_FOLD]
            ),
            rest=Rest.of(batch.column("rest_tracks").filter(middle), batch.column("rest_skips").filter(middle)),
        )


@dataclass(frozen=True)
class _Answers:
    """One policy's answers to one block of n plays."""

    weights: Floats
    expected: Floats
    at_played: Floats
    ranks: Floats
    """(n, 4) `rank_measures.measures_of`"""
    legacy: Counts
    """(middles, 4)"""


def judge_batches(batches: Iterable[pa.RecordBatch], rivals: Rivals) -> Iterator[pa.RecordBatch]:
    """Sums by policy and segment over all contexts of one task; nothing where it has none."""
    import pyarrow as pa

    blocks = [batch.slice(start, _BLOCK) for batch in batches for start in range(0, batch.num_rows, _BLOCK)]
    if not blocks:
        return
    plays = [_Plays.of(block) for block in blocks]
    contenders = rivals.contenders()
    rows = []
    answers = [
        [_answers(block, facts, rival, model) for block, facts in zip(blocks, plays, strict=True)]
        for rival, model in contenders
    ]
    weighed, ranked = (
        np.concatenate([getattr(facts, name) for facts in plays]) for name in ("is_weighed", "is_ranked")
    )
    in_segment = np.concatenate([facts.in_segment for facts in plays])
    middle_in_segment = np.concatenate([facts.in_segment[facts.is_middle] for facts in plays])
    skip, user = (np.concatenate([getattr(facts, name) for facts in plays]) for name in ("skip", "user"))
    policies = [
        tuple(np.concatenate([getattr(one, name) for one in given]) for name in ("weights", "expected", "at_played"))
        for given in answers
    ]
    ranks, counts = (
        [np.concatenate([getattr(one, name) for one in given]) for given in answers] for name in ("ranks", "legacy")
    )
    of_log = np.concatenate([legacy.logged(facts.rest) for facts in plays])
    for at, segment in enumerate(SEGMENTS):
        chosen = weighed & in_segment[:, at]
        sums = sums_of(
            [(w[chosen], m[chosen], q[chosen]) for w, m, q in policies],
            skip[chosen],
            user[chosen],
            seed=rivals.seed,
            draws=rivals.draws,
        )
        liked, inside = ranked & in_segment[:, at], middle_in_segment[:, at]
        places = rank_sums_of([one[liked] for one in ranks], user[liked], seed=rivals.seed, draws=rivals.draws)
        for (rival, _), found, placed, counted in zip(contenders, sums, places, counts, strict=True):
            rows.append(_row(rival.policy.name, segment, found, placed, counted[inside]))
        rows.append(_row(LOGGED, segment, Sums.zeros(rivals.draws), RankSums.zeros(rivals.draws), of_log[inside]))
    yield pa.RecordBatch.from_pylist(rows)


def _answers(block: pa.RecordBatch, plays: _Plays, rival: Contender, model: RewardModel) -> _Answers:
    contexts = ContextBlock.of(block, rival.catalogue)
    candidates = rival.policy.propose(contexts)
    played = rival.catalogue.positions(plays.track_ids)
    skips = model.skip(contexts.user_plays, contexts.user_skips, candidates.tracks)
    chances = candidates.probabilities.astype(np.float64)
    chance = probability_of(candidates, played)
    return _Answers(
        weights=np.divide(chance, plays.propensity, out=np.zeros_like(chance), where=plays.is_weighed),
        expected=(chances * skips).sum(axis=1),
        at_played=model.skip(contexts.user_plays, contexts.user_skips, played[:, None])[:, 0],
        ranks=measures_of(candidates, played),
        legacy=legacy.matches(candidates.take(plays.is_middle), plays.rest, rival.catalogue),
    )


def _row(policy: str, segment: str, sums: Sums, ranks: RankSums, counts: Counts) -> dict[str, object]:
    names = ("recommended", "matched", "labelled", "skipped")
    return {
        "policy": policy,
        "segment": segment,
        "users": sums.users,
        "weight_squares": sums.weight_squares,
        "totals": sums.totals,
        "drawn": sums.drawn.ravel(),
        "rank_users": ranks.users,
        "rank_totals": ranks.totals,
        "rank_drawn": ranks.drawn.ravel(),
        **{name: float(count) for name, count in zip(names, counts.sum(axis=0), strict=True)},
    }
