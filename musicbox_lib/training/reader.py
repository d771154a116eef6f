"""Delta to tf.data through Petastorm, every row counted. The only importer of petastorm.

Petastorm's default thread pool silently loses row groups (29 of 60 reads came out short), so the pool is `dummy` and
an epoch that does not give exactly the snapshot's rows is an error.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt

from musicbox_lib import lake
from musicbox_lib.contract.jobs import writer_of
from musicbox_lib.errors import DataRefused

if TYPE_CHECKING:
    import deltalake
    import pandas as pd
    import tensorflow as tf

Rows = dict[str, npt.NDArray[Any]]
IN_MEMORY_BYTES = 1_500_000_000
"""Transitions up to this size are read once and kept; larger ones are streamed anew each epoch. Half the memory of
a small machine: 1.2 million rows of a 130-number state."""
SHUFFLE_ROWS = 50_000
"""Rows that a streamed epoch shuffles among: Petastorm itself shuffles row groups only."""
LEARNER_COLUMNS = ("o_tm1", "a_tm1", "r_t", "d_t", "o_t")


@dataclass(frozen=True)
class Snapshot:
    """One partition of one version of a table, as a list of files."""

    partition: str
    version: int
    urls: tuple[str, ...]
    rows: int

    @property
    def files_sha256(self) -> str:
        """A hash of the file list: names only, so a lake that moved gives the same."""
        names = sorted(PurePosixPath(url).name for url in self.urls)
        return hashlib.sha256("\n".join(names).encode()).hexdigest()

    @property
    def record(self) -> dict[str, Any]:
        """What a model's manifest says of it."""
        return {
            "partition": self.partition,
            "version": self.version,
            "files": len(self.urls),
            "files_sha256": self.files_sha256,
            "rows": self.rows,
        }


def plain_snapshot(partition: lake.ReadPartition) -> deltalake.DeltaTable:
    """The table of a one-day partition, for a reader that opens the files itself.

    Raises DataRefused where it was never written or uses a feature (deletion vectors, column mapping) that such a
    reader does not know: it would see deleted rows.
    """
    name = partition.table.name
    table = lake.snapshot(name)
    if table is None:
        raise DataRefused(
            f"{name} has not been written yet: run the job {writer_of(partition.table.name)} (or the DAG) first."
        )
    protocol = table.protocol()
    if protocol.min_reader_version > 1 or protocol.reader_features:
        features = ", ".join(protocol.reader_features or ["columnMapping"])
        raise DataRefused(f"{name} needs reader features that Petastorm does not know ({features}): write it anew.")
    return table


def snapshot_of(partition: lake.ReadPartition) -> Snapshot:
    """The files and the exact row count of a one-day partition; raises DataRefused where the day is missing."""
    table = plain_snapshot(partition)
    day = partition.run_date.isoformat()
    files: dict[str, int] = {}
    for action in _rows_of(table.get_add_actions(flatten=True)):
        if str(action["partition.dt"]) == day:
            files[PurePosixPath(action["path"]).name] = action["num_records"]
    urls = sorted(url for url in table.file_uris() if PurePosixPath(url).name in files)
    if not urls:
        raise DataRefused(f"{partition} is empty: run the job {writer_of(partition.table.name)} for that day first.")
    if len(urls) != len(files) or None in files.values():
        raise DataRefused(f"{partition}: its log does not count the rows of every file: write the day anew.")
    urls = [url if "://" in url else f"file://{url}" for url in urls]
    return Snapshot(str(partition), int(table.version()), tuple(urls), sum(files.values()))


def read_frame(snapshot: Snapshot) -> pd.DataFrame:
    """The whole partition of a small table, a row per track. By file, because deltalake's own reader wants a newer
    pyarrow than Petastorm bears."""
    import pandas as pd
    from pyarrow import fs, parquet

    frames = []
    for url in snapshot.urls:
        system, path = fs.FileSystem.from_uri(url)
        with system.open_input_file(path) as file:
            frames.append(parquet.ParquetFile(file).read().to_pandas())
    frame: pd.DataFrame = pd.concat(frames, ignore_index=True)
    if len(frame) != snapshot.rows:
        raise DataRefused(f"{snapshot.partition}: read {len(frame)} rows where its log counts {snapshot.rows}.")
    return frame


def _rows_of(actions: Any) -> list[dict[str, Any]]:
    names = actions.schema.names
    columns = [actions.column(name).to_pylist() for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def row_groups(snapshot: Snapshot, columns: tuple[str, ...], seed: int) -> Iterator[Rows]:
    """One epoch: every row group once, in a seeded order, lists of floats as (rows, k) matrices.

    Raises DataRefused after the last one when the rows read are not the snapshot's rows.
    """
    from petastorm import make_batch_reader

    # It reports at length, on every epoch, that it did not write the files itself.
    logging.getLogger("petastorm").setLevel(logging.WARNING)
    read = 0
    with warnings.catch_warnings():
        # Petastorm 0.13.1 still calls pyarrow's legacy datasets, and leaves files to the garbage collector.
        warnings.simplefilter("ignore")
        with make_batch_reader(
            # Petastorm takes what stands in them for the path itself, %20 and all.
            [unquote(url) for url in snapshot.urls],
            schema_fields=list(columns),
            reader_pool_type="dummy",
            shuffle_row_groups=True,
            seed=seed,
            num_epochs=1,
        ) as reader:
            for group in reader:
                rows: Rows = group._asdict()
                read += len(rows[columns[0]])
                yield rows
    if read != snapshot.rows:
        raise DataRefused(
            f"{snapshot.partition}: an epoch read {read} rows where version {snapshot.version} holds {snapshot.rows}: "
            "nothing was trained; look for files that were removed, and run it again."
        )


def read_rows(
    snapshot: Snapshot, columns: tuple[str, ...], order_by: tuple[str, ...], folds: Collection[int], seed: int
) -> Rows:
    """The rows of those folds in memory, out of one counted epoch, in the order of `order_by` (so it does not depend
    on how Spark cut the files). `columns` has `fold`."""
    groups = []
    for group in row_groups(snapshot, columns, seed):
        kept = np.isin(group["fold"], list(folds))
        groups.append({name: group[name][kept] for name in columns})
    rows = {name: np.concatenate([group[name] for group in groups]) for name in columns}
    uneven = [
        name for name in columns if rows[name].dtype == object and not isinstance(next(iter(rows[name]), ""), str)
    ]
    if uneven:
        raise DataRefused(
            f"{snapshot.partition}: the lists of {', '.join(uneven)} differ in length: write the day anew."
        )
    order = np.lexsort([rows[name] for name in reversed(order_by)])
    return {name: values[order] for name, values in rows.items()}


def sizes(snapshot: Snapshot) -> tuple[int, int]:
    """Lengths of a state and of an action, by the first row group."""
    first = next(row_groups(snapshot, ("o_tm1", "a_tm1"), seed=0))
    return int(first["o_tm1"].shape[1]), int(first["a_tm1"].shape[1])


def fits_memory(snapshot: Snapshot, state_size: int, action_size: int) -> bool:
    """Whether the learner's columns stay within IN_MEMORY_BYTES."""
    return snapshot.rows * 4 * (2 * state_size + action_size + 2) <= IN_MEMORY_BYTES


def memory_batches(rows: Rows, batch_size: int, seed: int) -> tf.data.Dataset:
    """Endless batches of LEARNER_COLUMNS from memory, every epoch in a new seeded order; a batch of all rows where
    there are fewer than `batch_size`."""
    import tensorflow as tf

    columns = [tf.constant(rows[name], tf.float32) for name in LEARNER_COLUMNS]
    count = len(rows["r_t"])
    # Places are shuffled, not rows: 83,000 rows/s through unbatch and shuffle were slower than the learner.
    places = tf.data.Dataset.range(count).shuffle(count, seed=seed, reshuffle_each_iteration=True).repeat()
    batches = places.batch(min(batch_size, count), drop_remainder=True)
    return batches.map(lambda place: tuple(tf.gather(column, place) for column in columns)).prefetch(2)


def streamed_batches(
    snapshot: Snapshot, folds: int, state_size: int, action_size: int, batch_size: int, seed: int
) -> tf.data.Dataset:
    """Endless batches of LEARNER_COLUMNS of users below fold `folds`, each epoch read through Petastorm anew and
    counted; rows are shuffled among SHUFFLE_ROWS."""
    import tensorflow as tf

    epochs = itertools.count()

    def epoch() -> Iterator[tuple[npt.NDArray[np.float32], ...]]:
        for group in row_groups(snapshot, (*LEARNER_COLUMNS, "fold"), seed + next(epochs)):
            kept = group["fold"] < folds
            yield tuple(group[name][kept].astype(np.float32) for name in LEARNER_COLUMNS)

    widths = {"o_tm1": (state_size,), "a_tm1": (action_size,), "r_t": (), "d_t": (), "o_t": (state_size,)}
    signature = tuple(tf.TensorSpec((None, *widths[name]), tf.float32) for name in LEARNER_COLUMNS)
    rows = tf.data.Dataset.from_generator(epoch, output_signature=signature).unbatch()
    return rows.shuffle(SHUFFLE_ROWS, seed=seed).repeat().batch(batch_size, drop_remainder=True).prefetch(2)
