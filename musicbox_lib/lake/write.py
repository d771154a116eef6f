"""Every way to change a table's rows: each one commit, entered in the ledger."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from musicbox_lib.contract import checks
from musicbox_lib.contract.jobs import writer_of
from musicbox_lib.contract.tables import Table, table
from musicbox_lib.errors import Conflict, DataRefused, MusicBoxError
from musicbox_lib.lake.layout import create
from musicbox_lib.lake.ledger import commit_note, enter, noted
from musicbox_lib.lake.partitions import WritePartition, replaced
from musicbox_lib.lake.places import path_of, root, table_lock
from musicbox_lib.lake.snapshots import days_of, rows_in, snapshot, version_of
from musicbox_lib.machine import full_disk

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

PUBLISHED = ("gold", "training", "models", "scores", "reports")
"""Stages that analysts and the jobs of the morning read: a night that went wrong must not empty them."""


def _refuse_emptying(partition: WritePartition, days: list[dt.date] | None, rows: Callable[[], bool]) -> None:
    """Raise DataRefused for a write without rows over a day that has some, where analysts look: what comes after
    silver is made anew from what is there, so nothing at all means that something before it went wrong. `rows` says
    whether there is any; it is asked on a re-run only. A silver day, or a range, may become empty."""
    found = partition.table
    name = found.name
    if found.stage not in PUBLISHED or days is not None or (found.partition and partition.first != partition.last):
        return
    before = snapshot(name)
    had = before is not None and (partition.run_date in days_of(name) if found.partition else before.count() > 0)
    if had and not rows():
        raise DataRefused(
            f"{partition} holds rows and the job gave none; nothing was published, what stood there still stands: "
            "look at what the job read, or undo on purpose with `musicbox restore`."
        )


def _audit(frame: DataFrame, found: Table) -> None:
    from pyspark.sql import functions as F

    doubled = frame.groupBy(*found.grain).agg(F.count(F.lit(1)).alias("n")).where("n > 1").limit(1).collect()
    if doubled:
        row = doubled[0].asDict()
        raise DataRefused(_too_many(found, row.pop("n"), row))


def _too_many(found: Table, count: int, row: Mapping[str, object]) -> str:
    return (
        f"{found.name}: {count} rows for {row} where the grain allows one; nothing was written: "
        f"mend the job {writer_of(found.name)}."
    )


def overwrite(
    frame: DataFrame,
    partition: WritePartition,
    inputs: Mapping[str, str] | None = None,
    days: list[dt.date] | None = None,
) -> int:
    """Replace the partition by the frame's rows, in one commit: checked against the contract and the grain
    first, visible at once or not at all. `days` narrows a range to those days. Returns the rows written.

    `inputs` goes to the ledger: what was read, with the version or fingerprint of each.
    """
    from musicbox_lib.contract.typed import select_declared

    found = partition.table
    frame = select_declared(frame, found).persist()
    try:
        _audit(frame, found)
        _refuse_emptying(partition, days, lambda: not frame.isEmpty())
        return _commit(frame, partition, inputs or {}, days, None)
    finally:
        frame.unpersist()


def publish(
    frame: DataFrame,
    partition: WritePartition,
    rows: int,
    inputs: Mapping[str, str] | None = None,
    days: list[dt.date] | None = None,
) -> int:
    """As `overwrite`, in one pass over rows of which the caller has already shown that their grain holds and how many
    they are: for the tables that grow with the log (keeping 10,000,000 rows aside and grouping them for the audit took
    longer than writing them). Raises MusicBoxError, with the old rows back, where other than `rows` rows came."""
    from musicbox_lib.contract.typed import select_declared

    return _commit(select_declared(frame, partition.table), partition, inputs or {}, days, rows)


def _commit(
    frame: DataFrame, partition: WritePartition, inputs: Mapping[str, str], days: list[dt.date] | None, due: int | None
) -> int:
    """Write the frame in one commit and enter it; `due` rows where that is known."""
    job, found = str(frame.sparkSession.sparkContext.appName), partition.table
    with table_lock(found.name) as lock, full_disk.named(found.name, root()):
        fenced = create(found)
        before, note = version_of(found.name), commit_note(job)
        writer = frame.write.format("delta").mode("overwrite").option("userMetadata", note)
        if found.partition:
            writer = writer.option("replaceWhere", replaced(partition, days))
        lock.require()
        with checks.refused_in_words(found, job, fenced, lambda: checks.breach_in_frame(frame, found)):
            writer.save(path_of(found.name))
        version, rows = _commit_after(found, before, note)
        if version == before and due is None and not frame.isEmpty():
            raise MusicBoxError(
                f"{partition}: Spark reported success, but {found.name} has no commit of this write: run {job} again."
            )
        if due is not None and rows != due:
            lock.require()
            _take_back(found, before)
            raise MusicBoxError(
                f"{partition}: {rows} rows were written where {due} were due; the table is as it was before."
            )
    enter(job, partition, version, rows, days, inputs)
    return rows


def _take_back(found: Table, version: int) -> None:
    import deltalake

    deltalake.DeltaTable(path_of(found.name)).restore(version)


def overwrite_rows(
    job: str,
    rows: Sequence[Mapping[str, object]],
    partition: WritePartition,
    inputs: Mapping[str, str] | None = None,
    days: list[dt.date] | None = None,
) -> int:
    """As `overwrite`, for the few finished rows of a report that this process holds; a column left out is null.

    Without Spark: a first Delta write costs a cold JVM 4 s, delta-rs 50 ms. `job` is what the ledger names as writer.
    """
    import deltalake
    import pyarrow as pa

    found = partition.table
    if stray := {name for row in rows for name in row} - set(found.column_names):
        raise DataRefused(f"{found.noun}: the schema knows no column {', '.join(sorted(stray))}.")
    counted = Counter(tuple(row.get(name) for name in found.grain) for row in rows)
    for values, count in counted.items():
        if count > 1:
            raise DataRefused(_too_many(found, count, dict(zip(found.grain, values, strict=True))))
    _refuse_emptying(partition, days, lambda: bool(rows))
    with table_lock(found.name), full_disk.named(found.name, root()):
        fenced = create(found)
        target = deltalake.DeltaTable(path_of(found.name))
        written = pa.Table.from_pylist(list(rows), schema=pa.schema(target.schema().to_arrow()))
        with checks.refused_in_words(found, job, fenced, lambda: checks.breach_in_rows(written, found)):
            deltalake.write_deltalake(
                target,
                written,
                mode="overwrite",
                predicate=replaced(partition, days) if found.partition else None,
                commit_properties=noted(job),
            )
        version = int(deltalake.DeltaTable(path_of(found.name)).version())
    enter(job, partition, version, len(rows), days, inputs or {})
    return len(rows)


def restore(job: str, name: str, present: int, version: int, days: list[dt.date], inputs: Mapping[str, str]) -> int:
    """Put an earlier version in the place of the present one, in a new commit; gives its version. `days` are those that
    it changes, for the ledger. Raises Conflict where the present version is another one by now, DataRefused where the
    version or one of its files is there no more; nothing changes then."""
    import deltalake

    found = table(name)
    with table_lock(name):
        target = deltalake.DeltaTable(path_of(name))
        if target.version() != present:
            raise Conflict(
                f"{name} was written meanwhile (version {target.version()}): look at it, then run this again."
            )
        try:
            target.restore(version, commit_properties=noted(job))
        except deltalake.exceptions.DeltaError as refusal:
            said = str(refusal).splitlines()[0].rstrip(".")
            raise DataRefused(f"{name}: version {version} cannot be restored ({said}); nothing was changed.") from None
        delta = deltalake.DeltaTable(path_of(name))
    enter(job, WritePartition(found, None, None), int(delta.version()), rows_in(delta, days), days, inputs)
    return int(delta.version())


@dataclass(frozen=True)
class Rewritten:
    """What `rewrite` did: the commit, and how many rows it left out."""

    version: int
    rows_removed: int


def rewrite(
    job: str,
    keeps: Callable[[pa.RecordBatch], pa.BooleanArray],
    partition: WritePartition,
    inputs: Mapping[str, str],
    days: list[dt.date],
) -> Rewritten:
    """Replace those days by the same rows without the ones that `keeps` is false for, in one commit, batch by batch
    and without Spark. The log names the days and never what was left out: a delete by predicate would write it there.
    """
    import deltalake
    import pyarrow as pa
    from pyarrow import dataset

    found, counts = partition.table, {"read": 0, "kept": 0}
    with table_lock(found.name):
        create(found)
        target = deltalake.DeltaTable(path_of(found.name))
        held = target.to_pyarrow_dataset()

        def kept() -> Iterator[pa.RecordBatch]:
            for batch in held.to_batches(filter=dataset.field("dt").isin(days)):
                left = batch.filter(keeps(batch))
                counts["read"] += batch.num_rows
                counts["kept"] += left.num_rows
                yield left

        deltalake.write_deltalake(
            target,
            pa.RecordBatchReader.from_batches(held.schema, kept()),
            mode="overwrite",
            predicate=replaced(partition, days),
            commit_properties=noted(job),
        )
        version = int(deltalake.DeltaTable(path_of(found.name)).version())
    removed = counts["read"] - counts["kept"]
    enter(job, partition, version, counts["kept"], days, {**inputs, "rows_removed": str(removed)})
    return Rewritten(version, removed)


def _commit_after(found: Table, before: int, note: str) -> tuple[int, int]:
    """Version and rows of the commit with that note, as Spark counted them while writing: counting again costs a
    query. Spark commits nothing where there was nothing and nothing came."""
    import deltalake

    for commit in deltalake.DeltaTable(path_of(found.name)).history(50):
        if commit["version"] > before and commit.get("userMetadata") == note:
            return int(commit["version"]), int(commit["operationMetrics"].get("numOutputRows", 0))
    return before, 0
