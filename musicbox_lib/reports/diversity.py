"""`reports.diversity`: how varied the slates of a night are, ours, the baselines' and the logged ones."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pyspark.sql import functions as F

from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.blocks.slates import draw_slates
from musicbox_lib.evaluation.contenders import CHAMPION, LOGGED, over_catalogue
from musicbox_lib.evaluation.counterfactual import CONTEXTS_PER_TASK
from musicbox_lib.policies import listed
from musicbox_lib.reports.variety import Slates, Tally, Tracks, measures

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from musicbox_lib.policies.base import FittedPolicy

SLOTS = 3
SEGMENTS = ("all", "premium", "free")
# Rows at a time, for the same reason as in `counterfactual`: 512 x 4,096 doubles of `random` are 16 MB.
_BLOCK = 512
_SERVED = "served"
_TALLIES = (
    "policy string, model_id string, segment string, n_slates bigint, distance double, n_distance bigint, "
    "legacy_distance double, n_legacy bigint, repeated bigint, repeatable bigint, exposure array<bigint>"
)


@dataclass(frozen=True)
class Shelf:
    """What a task needs: the night's catalogue, its tracks' vectors, a seed."""

    catalogue: Catalogue
    tracks: Tracks
    seed: int
    policies: tuple[type[FittedPolicy], ...] = field(default_factory=listed.of_catalogue)
    """Those whose slates are drawn beside the served ones."""


def shelf(track_features: pd.DataFrame, track_embeddings: pd.DataFrame, seed: int) -> Shelf:
    """From one night's gold tables."""
    catalogue = Catalogue.of(track_features, track_embeddings)
    audio = track_features.set_index("track_id")["legacy_audio"].reindex(catalogue.track_ids.tolist())
    given = audio.notna().to_numpy()
    legacy = None
    if given.any():
        rows = np.stack([np.asarray(row, dtype=np.float32) for row in audio[given]])
        legacy = np.full((len(catalogue), rows.shape[1]), np.nan, dtype=np.float32)
        legacy[given] = rows
    return Shelf(catalogue, Tracks.of(catalogue, legacy), seed)


def as_slates(top3: DataFrame) -> DataFrame:
    """One row per user of `scores.top3_recommendations`: `tracks` by rank, `model_id`."""
    ranked = F.array_sort(F.collect_list(F.struct("rank", "track_id")))
    return top3.groupBy("user_id").agg(ranked["track_id"].alias("tracks"), F.min("model_id").alias("model_id"))


def as_contexts_with_slates(last_sessions: DataFrame, top3: DataFrame, top3_before: DataFrame) -> DataFrame:
    """The contexts of `gold.last_sessions`, with what the user was served (`served`, `model_id`) and had been served
    the day before (`before`); null where nothing."""
    served = top3.transform(as_slates).withColumnRenamed("tracks", "served")
    before = top3_before.transform(as_slates).select("user_id", F.col("tracks").alias("before"))
    return last_sessions.join(served, "user_id", "left").join(before, "user_id", "left")


def as_logged_lists(events: DataFrame) -> DataFrame:
    """The last three tracks of each session of the night: `logged`, `premium`."""
    heard = F.array_sort(F.collect_list(F.struct("session_position", "track_id")))
    return events.groupBy("session_id").agg(
        F.slice(F.reverse(heard["track_id"]), 1, SLOTS).alias("logged"), F.first("premium").alias("premium")
    )


def diversity_rows(
    contexts: DataFrame, n_contexts: int, logged: DataFrame, on: Shelf, day: dt.date, most: int
) -> list[dict[str, Any]]:
    """The rows of `reports.diversity`. `contexts` come from `as_contexts_with_slates`, `logged` from
    `as_logged_lists`. At most about `most` users are looked at, chosen by hash, the same ones for every policy:
    coverage and its kin grow with the number of slates, so only equal numbers compare."""
    shared = contexts.sparkSession.sparkContext.broadcast(on)

    def of_contexts(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from tally_contexts(batches, shared.value)

    def of_logged(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from tally_logged(batches, shared.value)

    share = F.pmod(F.xxhash64(F.lit(on.seed), "user_id"), F.lit(1_000_000)) / 1_000_000
    tasks = max(1, -(-min(n_contexts, most) // CONTEXTS_PER_TASK))
    drawn = contexts.where(share < most / max(n_contexts, 1)).repartition(tasks).mapInArrow(of_contexts, _TALLIES)
    drawn_beside = [policy.name for policy in on.policies]
    found: dict[tuple[str, str], Tally] = {}
    for row in drawn.unionByName(logged.mapInArrow(of_logged, _TALLIES)).collect():
        counts = row.asDict()
        policy, model_id, segment = (counts.pop(name) for name in ("policy", "model_id", "segment"))
        tally = Tally(**{**counts, "exposure": np.array(counts["exposure"], dtype=np.int64)})
        if policy == _SERVED:
            # A night without a champion is served by a baseline: then that is whose slates these are.
            policy = f"{_SERVED} {model_id if model_id in drawn_beside else CHAMPION}"
        key = (policy, segment)
        found[key] = found[key] + tally if key in found else tally
    rows = []
    for policy in (LOGGED, CHAMPION, *drawn_beside):
        for segment in SEGMENTS:
            one = found.get((f"{_SERVED} {policy}", segment)) or found.get((policy, segment))
            if one is not None and one.n_slates:
                rows.append({"dt": day, "policy": policy, "segment": segment, **measures(one, on.tracks)})
    return rows


def tally_contexts(batches: Iterable[pa.RecordBatch], on: Shelf) -> Iterator[pa.RecordBatch]:
    """Counts of the served slates and of each baseline's for the same contexts, summed over one task."""
    rivals = over_catalogue(on.policies, on.catalogue, on.seed)
    tallies = _Tallies()
    model_id = None
    for batch in batches:
        for start in range(0, batch.num_rows, _BLOCK):
            block = batch.slice(start, _BLOCK)
            segments = _segments(block)
            served, before = (_positions(block, name, on.catalogue) for name in ("served", "before"))
            tallies.count(_SERVED, segments, served, on.tracks, before)
            models = block.column("model_id").drop_null()
            model_id = models[0].as_py() if len(models) else model_id
            contexts = ContextBlock.of(block, on.catalogue)
            for rival in rivals:
                slates = draw_slates(rival.policy.propose(contexts), contexts.keys, on.seed, SLOTS)
                tallies.count(rival.policy.name, segments, slates.tracks, on.tracks)
    yield from tallies.as_batches(model_id)


def tally_logged(batches: Iterable[pa.RecordBatch], on: Shelf) -> Iterator[pa.RecordBatch]:
    """Counts of the logged lists, summed over one task."""
    tallies = _Tallies()
    for batch in batches:
        tallies.count(LOGGED, _segments(batch), _positions(batch, "logged", on.catalogue), on.tracks)
    yield from tallies.as_batches(None)


class _Tallies(dict[tuple[str, str], Tally]):
    """A task's counts by (policy, segment)."""

    def count(
        self,
        policy: str,
        segments: dict[str, npt.NDArray[np.bool_]],
        slates: Slates,
        tracks: Tracks,
        before: Slates | None = None,
    ) -> None:
        """Add a block of slates to each segment it belongs to."""
        for segment, inside in segments.items():
            tally = Tally.of(slates[inside], tracks, None if before is None else before[inside])
            key = (policy, segment)
            self[key] = self[key] + tally if key in self else tally

    def as_batches(self, model_id: str | None) -> Iterator[pa.RecordBatch]:
        """The counts as rows of `_TALLIES`; nothing where nothing was counted."""
        import pyarrow as pa

        if self:
            names = {"model_id": model_id}
            rows = [
                {"policy": policy, **names, "segment": segment, **tally.__dict__}
                for (policy, segment), tally in self.items()
            ]
            yield pa.RecordBatch.from_pylist(rows, schema=_schema())


def _schema() -> pa.Schema:
    import pyarrow as pa

    kinds = {"string": pa.string(), "bigint": pa.int64(), "double": pa.float64(), "array<bigint>": pa.list_(pa.int64())}
    return pa.schema([(name, kinds[kind]) for name, kind in (column.split() for column in _TALLIES.split(", "))])


def _segments(batch: pa.RecordBatch) -> dict[str, npt.NDArray[np.bool_]]:
    """Which rows belong to each segment; a row whose user's payment is unknown stands in `all` only."""
    premium = batch.column("premium")
    pays = np.asarray(premium.fill_null(False).to_numpy(zero_copy_only=False))
    free = ~np.asarray(premium.fill_null(True).to_numpy(zero_copy_only=False))
    return dict(zip(SEGMENTS, (np.ones(len(pays), dtype=np.bool_), pays, free), strict=True))


def _positions(batch: pa.RecordBatch, column: str, catalogue: Catalogue) -> Slates:
    """A list column of track ids as (n, 3) positions, -1 where there is none."""
    lists = batch.column(column)
    lengths = np.asarray(lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False))
    slates = np.full((batch.num_rows, SLOTS), -1, dtype=np.int32)
    slates[np.arange(SLOTS) < lengths[:, None]] = catalogue.positions(lists.flatten())
    return slates
