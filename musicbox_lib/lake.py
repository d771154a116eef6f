"""The only reader and writer of the lake's tables."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import logging
import re
import subprocess
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from musicbox_lib import checks, full_disk, lake_lock
from musicbox_lib.errors import Conflict, DataRefused, MusicBoxError, UsageError
from musicbox_lib.settings import PROJECT, settings
from musicbox_lib.tables import Table, table

if TYPE_CHECKING:
    import deltalake
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

log = logging.getLogger("musicbox.lake")

LEDGER = "ops.run_ledger"
PUBLISHED = ("gold", "training", "models", "scores", "reports")
"""Stages that analysts and the jobs of the morning read: a night that went wrong must not empty them."""
# Spark takes a path with one of []{}*?\ for a pattern, Petastorm cuts it at ? and #, delta-rs reads %20 as a space.
NO_ROOT = re.compile(r"[\[\]{}*?#%\\\x00-\x1f\x7f]")
# Readers that open the files themselves (DuckDB, Petastorm) would show deleted rows; the other features that they
# do not know (column mapping, row tracking, identity) are off unless asked for.
PLAIN_READERS = {"delta.enableDeletionVectors": "false"}
# Delta's log keeps the least and the greatest value of a file's columns, so a forgotten user's id could stand there for
# as long as the log. Of no column rather than of all but some: in a broken line an id slips into the column next to
# its own. Rows are still counted.
NO_STATISTICS = {"delta.dataSkippingNumIndexedCols": "0"}


def parse_date(word: str) -> dt.date:
    """A day in ISO form; raises UsageError for anything else."""
    try:
        day = dt.date.fromisoformat(word)
    except ValueError:
        day = None
    if day is None or day.isoformat() != word:
        raise UsageError(f"{word!r} is not a day: write it as YYYY-MM-DD.")
    return day


@dataclass(frozen=True)
class _Partition:
    table: Table
    first: dt.date | None
    last: dt.date | None

    def __str__(self) -> str:
        if not self.table.partition:
            return self.table.name
        if self.first is None and self.last is None:
            return f"{self.table.name}/*"
        if self.first == self.last:
            return f"{self.table.name}/dt={self.last}"
        return f"{self.table.name}/dt={self.first or ''}..{self.last}"

    @property
    def days(self) -> str:
        """The partition as a condition on `dt`."""
        if self.first == self.last and self.last is not None:
            return f"dt = '{self.last}'"
        bounds = [f"dt >= '{self.first}'"] if self.first else []
        bounds += [f"dt <= '{self.last}'"] if self.last else []
        return " AND ".join(bounds) or "true"

    @property
    def run_date(self) -> dt.date:
        """The last day of the partition, which a job takes as its run date."""
        if self.last is None:
            raise UsageError(f"{self} names no last day: a job needs one.")
        return self.last


def _split(word: str) -> tuple[Table, str]:
    name, _, days = word.partition("/")
    found = table(name)
    if bool(days) != bool(found.partition):
        raise UsageError(
            f"{word!r} must name a day, as in {name}/dt=2026-11-05."
            if found.partition
            else f"{word!r}: {name} has no partitions, write {name}."
        )
    return found, days


@dataclass(frozen=True)
class ReadPartition(_Partition):
    """What a job reads: `gold.track_features/dt=2026-11-05`, `…/dt=2026-11-01..2026-11-05`, `…/dt=..2026-11-05`
    (everything known at that day), `…/dt=latest..2026-11-05` (the newest partition not after it) or, asked
    for expressly, the whole table `…/*`."""

    latest: bool = False

    @classmethod
    def parse(cls, word: str) -> ReadPartition:
        """The partition that a command-line word names; raises UsageError for any other word."""
        found, days = _split(word)
        if not days or days == "*":
            return cls(found, None, None)
        if not days.startswith("dt="):
            raise UsageError(f"{word!r} must name a day, as in {found.name}/dt=2026-11-05.")
        first, dots, last = days.removeprefix("dt=").partition("..")
        if not dots:
            return cls(found, parse_date(first), parse_date(first))
        if first == "latest":
            return cls(found, None, parse_date(last), latest=True)
        return cls(found, parse_date(first) if first else None, parse_date(last))


@dataclass(frozen=True)
class WritePartition(_Partition):
    """What a job replaces: one day `gold.track_features/dt=2026-11-05`, a range of days for an ingest of
    several deliveries, or a table without partitions."""

    @classmethod
    def parse(cls, word: str) -> WritePartition:
        """The partition that a command-line word names; raises UsageError for any other word."""
        found, days = _split(word)
        if not days:
            return cls(found, None, None)
        if not days.startswith("dt="):
            raise UsageError(f"{word!r} must name the day to replace, as in {found.name}/dt=2026-11-05.")
        first, dots, last = days.removeprefix("dt=").partition("..")
        if not dots:
            return cls(found, parse_date(first), parse_date(first))
        return cls(found, parse_date(first) if first else None, parse_date(last))


def partition_argument(
    parser: argparse.ArgumentParser, name: str, kind: type[ReadPartition] | type[WritePartition]
) -> None:
    """Add `--track-features gold.track_features/dt=D` to a job's arguments."""
    parser.add_argument(
        f"--{name.replace('_', '-')}", dest=name, type=kind.parse, required=True, metavar="STAGE.TABLE/dt=DAY"
    )


def root() -> str:
    """The lake's root: absolute where it is local, as given where it is on another file system. Raises UsageError for
    one that some reader would take for a pattern or a part of a URL."""
    lake = settings().lake.rstrip("/")
    if NO_ROOT.search(lake):
        raise UsageError(f"MUSICBOX_LAKE is {lake!r}: name a folder without []{{}}*?#%\\ and control characters.")
    return str(local_path(lake).resolve()) if is_local(lake) else lake


def path_of(name: str) -> str:
    """Where a table lives: `LAKE/<stage>/<table>`."""
    found = table(name)
    return f"{root()}/{found.stage}/{found.noun}"


def is_local(path: str) -> bool:
    """Whether a path is on a local file system."""
    return "://" not in path or path.startswith("file://")


def local_path(path: str) -> Path:
    """The folder that a local lake path names."""
    return Path(path.removeprefix("file://"))


def table_lock(name: str) -> AbstractContextManager[lake_lock.Lock]:
    """Hold the table's lock while writing: two processes can overwrite each other's commit on a local file system and
    on S3. Raises Conflict when the lock is not had in time, UsageError where none is to be had."""
    return lake_lock.hold(root(), name)


@lru_cache
def code_version() -> str:
    """What wrote a row: the setting, else git's short commit, else the package version."""
    if settings().code_version:
        return settings().code_version
    asked = subprocess.run(
        ["git", "-C", str(PROJECT), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    if asked.returncode == 0:
        return asked.stdout.strip()
    from importlib.metadata import version

    return version("musicbox")


@lru_cache
def run_id() -> str:
    """The run that this process's writes belong to."""
    return settings().run_id or f"manual__{uuid.uuid4()}"


def snapshot(name: str) -> deltalake.DeltaTable | None:
    """The table's latest snapshot as a plain reader sees it, opened without a JVM; None where it has not been
    written. Metadata goes this way because it is 100 times faster: 20 ms against 2 s on two busy cores."""
    import deltalake

    path = path_of(name)
    return deltalake.DeltaTable(path) if deltalake.DeltaTable.is_deltatable(path) else None


def files_of(found: deltalake.DeltaTable) -> list[str]:
    """A snapshot's files as file systems know them: delta-rs gives them as parts of a URL, a space as %20."""
    return [unquote(uri) if is_local(uri) else uri for uri in found.file_uris()]


def version_of(name: str) -> int:
    """The table's current version; -1 where it has not been written."""
    found = snapshot(name)
    return -1 if found is None else int(found.version())


def versions_of(*partitions: ReadPartition) -> dict[str, str]:
    """The current version of each partition's table, by name, as the ledger records what a write had read."""
    return {partition.table.name: str(version_of(partition.table.name)) for partition in partitions}


def days_of(name: str) -> list[dt.date]:
    """The days a table holds, oldest first; empty where it has not been written."""
    found = snapshot(name)
    return [] if found is None else sorted({dt.date.fromisoformat(part["dt"]) for part in found.partitions()})


def read(spark: SparkSession, partition: ReadPartition) -> DataFrame:
    """The partition's rows, declared columns only. A table or a single day that nobody wrote is refused;
    a range may be empty."""
    name = partition.table.name
    if snapshot(name) is None:
        raise DataRefused(
            f"{name} has not been written yet in {settings().lake}: "
            f"run the job {partition.table.noun} (or the DAG) first."
        )
    frame = _declared(spark.read.format("delta").load(path_of(name)), partition.table)
    if partition.latest:
        known = [day for day in days_of(name) if day <= partition.run_date]
        if not known:
            raise DataRefused(
                f"{name} has no day up to {partition.run_date}: run the job {partition.table.noun} first."
            )
        return frame.where(f"dt = '{known[-1]}'")
    frame = frame.where(partition.days)
    one_day = partition.last is not None and partition.first == partition.last
    if one_day and partition.run_date not in days_of(name):
        raise DataRefused(f"{partition} is empty: run the job {partition.table.noun} for that day first.")
    return frame


def _declared(frame: DataFrame, found: Table) -> DataFrame:
    """The declared columns; one that a table of an older release has not gained yet is null."""
    from pyspark.sql import functions as F

    present = set(frame.columns)
    return frame.select(
        *[
            F.col(column.name) if column.name in present else F.lit(None).cast(column.type).alias(column.name)
            for column in found.columns
        ]
    )


def read_if_written(spark: SparkSession, partition: ReadPartition) -> DataFrame:
    """As `read`, but a table, or days of it, that nobody wrote yet give no rows instead of a refusal."""
    try:
        return read(spark, partition)
    except DataRefused:
        return no_rows(spark, partition.table)


def no_rows(spark: SparkSession, found: Table) -> DataFrame:
    """No rows in the table's columns, and known to be none: a join with them costs nothing. Without the limit the
    optimizer sees rows that nobody has counted, and moves all others to meet them (40 s at 10,000,000)."""
    return spark.createDataFrame([], found.ddl).limit(0)


def _create(found: Table) -> set[str]:
    """Make the empty table if need be: NOT NULL must stand in its first schema, a later ALTER is refused. Gives the
    names of the constraints that it has."""
    import deltalake

    known = snapshot(found.name)
    if known is None:
        known = deltalake.DeltaTable.create(
            path_of(found.name),
            schema=_delta_schema(found),
            mode="ignore",
            partition_by=list(found.partition),
            name=found.noun,
            description=found.about,
            configuration={**PLAIN_READERS, **(NO_STATISTICS if found.is_about_users else {})},
        )
    else:
        _withhold_statistics(found, known)
        _add_columns(found, known)
    return _fence(found, known)


def _withhold_statistics(found: Table, known: deltalake.DeltaTable) -> None:
    """Where the table was made before statistics were withheld."""
    if found.is_about_users and not NO_STATISTICS.items() <= known.metadata().configuration.items():
        known.alter.set_table_properties(dict(NO_STATISTICS))


def _add_columns(found: Table, known: deltalake.DeltaTable) -> None:
    """Give a table of an older release the columns that its schema has gained since, null in its rows."""
    import deltalake

    present = {field.name for field in known.schema().fields}
    # The declared types are asked for only then: Spark's parser reads them, and a restore has no JVM.
    if set(found.column_names) - present:
        missing = [field for field in _delta_schema(found).fields if field.name not in present]
        known.alter.add_columns([deltalake.Field(field.name, field.type, nullable=True) for field in missing])


def _fence(found: Table, known: deltalake.DeltaTable) -> set[str]:
    """Give the table the constraints of its declared checks, and take away those that are declared no more. A check
    that older rows break is left out, and said: `checks.refused_in_words` then looks at new rows itself."""
    import deltalake

    wanted, held = checks.constraints(found), checks.constraints_held(known.metadata().configuration)
    for name in held - set(wanted):
        known.alter.drop_constraint(name)
    missing = {name: sql for name, sql in wanted.items() if name not in held}
    if missing:
        try:
            known.alter.add_constraint(missing)
        except deltalake.exceptions.DeltaError:
            names = ", ".join(sorted(missing))
            log.warning("%s has older rows that break one of %s: new rows alone are held to them.", found.name, names)
            return held & set(wanted)
    return set(wanted)


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


def _delta_schema(found: Table) -> deltalake.Schema:
    import deltalake

    from musicbox_lib.contract import spark_fields

    fields = []
    for declared, column in zip(spark_fields(found), found.columns, strict=True):
        field = json.loads(declared.json())
        fields.append({**field, "nullable": column.nullable, "metadata": {"comment": column.about}})
    return deltalake.Schema.from_json(json.dumps({"type": "struct", "fields": fields}))


def _audit(frame: DataFrame, found: Table) -> None:
    from pyspark.sql import functions as F

    doubled = frame.groupBy(*found.grain).agg(F.count(F.lit(1)).alias("n")).where("n > 1").limit(1).collect()
    if doubled:
        row = doubled[0].asDict()
        raise DataRefused(_too_many(found, row.pop("n"), row))


def _too_many(found: Table, count: int, row: Mapping[str, object]) -> str:
    return (
        f"{found.name}: {count} rows for {row} where the grain allows one; nothing was written: "
        f"mend the job {found.noun}."
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
    from musicbox_lib.contract import select_declared

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
    from musicbox_lib.contract import select_declared

    return _commit(select_declared(frame, partition.table), partition, inputs or {}, days, rows)


def _commit(
    frame: DataFrame, partition: WritePartition, inputs: Mapping[str, str], days: list[dt.date] | None, due: int | None
) -> int:
    """Write the frame in one commit and enter it; `due` rows where that is known."""
    job, found = str(frame.sparkSession.sparkContext.appName), partition.table
    with table_lock(found.name) as lock, full_disk.named(found.name, root()):
        fenced = _create(found)
        before, note = version_of(found.name), _commit_note(job)
        writer = frame.write.format("delta").mode("overwrite").option("userMetadata", note)
        if found.partition:
            writer = writer.option("replaceWhere", _replaced(partition, days))
        lock.require()
        with checks.refused_in_words(found, job, fenced, lambda: checks.breach_in_frame(frame, found)):
            writer.save(path_of(found.name))
        version, rows = _commit_after(found, before, note)
        if due is not None and rows != due:
            lock.require()
            _take_back(found, before)
            raise MusicBoxError(
                f"{partition}: {rows} rows were written where {due} were due; the table is as it was before."
            )
    _enter(job, partition, version, rows, days, inputs)
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
        fenced = _create(found)
        target = deltalake.DeltaTable(path_of(found.name))
        written = pa.Table.from_pylist(list(rows), schema=pa.schema(target.schema().to_arrow()))
        with checks.refused_in_words(found, job, fenced, lambda: checks.breach_in_rows(written, found)):
            deltalake.write_deltalake(
                target,
                written,
                mode="overwrite",
                predicate=_replaced(partition, days) if found.partition else None,
                commit_properties=_noted(job),
            )
        version = int(deltalake.DeltaTable(path_of(found.name)).version())
    _enter(job, partition, version, len(rows), days, inputs or {})
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
            target.restore(version, commit_properties=_noted(job))
        except deltalake.exceptions.DeltaError as refusal:
            said = str(refusal).splitlines()[0].rstrip(".")
            raise DataRefused(f"{name}: version {version} cannot be restored ({said}); nothing was changed.") from None
        delta = deltalake.DeltaTable(path_of(name))
    _enter(job, WritePartition(found, None, None), int(delta.version()), rows_in(delta, days), days, inputs)
    return int(delta.version())


def rows_in(delta: deltalake.DeltaTable, days: list[dt.date]) -> int:
    """The rows of those days, or of a table without partitions, as the log counts them."""
    counts = rows_by_day(delta)
    return sum(counts.get(day, 0) for day in (*map(str, days), ""))


def rows_by_day(delta: deltalake.DeltaTable) -> dict[str, int]:
    """The rows of each day (`2026-11-05`; '' in a table without partitions), as the log counts them."""
    import pyarrow as pa

    counts: dict[str, int] = {}
    for file in pa.table(delta.get_add_actions(flatten=True)).to_pylist():
        day = str(file.get("partition.dt", ""))
        counts[day] = counts.get(day, 0) + (file["num_records"] or 0)
    return counts


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
        _create(found)
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
            predicate=_replaced(partition, days),
            commit_properties=_noted(job),
        )
        version = int(deltalake.DeltaTable(path_of(found.name)).version())
    removed = counts["read"] - counts["kept"]
    _enter(job, partition, version, counts["kept"], days, {**inputs, "rows_removed": str(removed)})
    return Rewritten(version, removed)


def enter_upkeep(job: str, partition: WritePartition, version: int, inputs: Mapping[str, str]) -> None:
    """A ledger line for a commit that changed a table's files and none of its rows: it names no day."""
    _enter(job, partition, version, 0, [], inputs)


def _replaced(partition: WritePartition, days: list[dt.date] | None) -> str:
    """What a write replaces, as a condition on `dt`."""
    if days is None:
        return partition.days
    return "dt IN ({})".format(", ".join(f"'{day}'" for day in days)) if days else "false"


def _commit_note(job: str) -> str:
    return json.dumps({"run_id": run_id(), "job": job, "code_version": code_version()})


def _noted(job: str) -> deltalake.CommitProperties:
    """The note, as a commit without Spark carries it."""
    import deltalake

    return deltalake.CommitProperties(custom_metadata={"userMetadata": _commit_note(job)})


def _commit_after(found: Table, before: int, note: str) -> tuple[int, int]:
    """Version and rows of the commit with that note, as Spark counted them while writing: counting again costs a
    query. Spark commits nothing where there was nothing and nothing came."""
    import deltalake

    for commit in deltalake.DeltaTable(path_of(found.name)).history(50):
        if commit["version"] > before and commit.get("userMetadata") == note:
            return int(commit["version"]), int(commit["operationMetrics"].get("numOutputRows", 0))
    return before, 0


def _enter(
    job: str,
    partition: WritePartition,
    version: int,
    rows: int,
    days: list[dt.date] | None,
    inputs: Mapping[str, str],
) -> None:
    """One line in the run ledger."""
    import deltalake
    import pyarrow as pa

    ledger = table(LEDGER)
    entry = {
        "run_id": run_id(),
        "job": job,
        "table": partition.table.name,
        "version": version,
        "days": days if days is not None else ([partition.last] if partition.last else []),
        "rows": rows,
        "inputs": list(inputs.items()),
        "code_version": code_version(),
        "written_at": dt.datetime.now(dt.UTC),
    }
    with table_lock(LEDGER), full_disk.named(LEDGER, root()):
        _create(ledger)
        line = pa.Table.from_pylist(
            [entry], schema=pa.schema(deltalake.DeltaTable(path_of(LEDGER)).schema().to_arrow())
        )
        deltalake.write_deltalake(path_of(LEDGER), line, mode="append")
