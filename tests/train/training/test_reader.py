"""Every row of an epoch is counted; files of no snapshot are never read."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import deltalake
import numpy as np
import pyarrow as pa
import pytest
from tiny_lake import DAY, EMBEDDING, PLAYS, USERS

from musicbox_lib import lake
from musicbox_lib.contract import checks
from musicbox_lib.errors import DataRefused
from musicbox_lib.training import reader

TRANSITIONS = lake.ReadPartition.parse(f"training.transitions/dt={DAY}")
COLUMNS = ("session_id", "session_position", "fold", *reader.LEARNER_COLUMNS)


def test_an_epoch_is_the_snapshot_row_for_row(tiny_lake: Path) -> None:
    snapshot = reader.snapshot_of(TRANSITIONS)
    assert (snapshot.rows, snapshot.version) == (USERS * PLAYS, 0)
    rows = reader.read_rows(snapshot, COLUMNS, ("session_id", "session_position"), range(10), seed=1)
    assert rows["o_tm1"].shape == (USERS * PLAYS, 31)
    assert rows["a_tm1"].shape == (USERS * PLAYS, EMBEDDING + 1)
    assert rows["o_tm1"].dtype == np.float32
    assert reader.sizes(snapshot) == (31, EMBEDDING + 1)
    held_out = reader.read_rows(snapshot, COLUMNS, ("session_id", "session_position"), (9,), seed=1)
    np.testing.assert_array_equal(held_out["o_t"], rows["o_t"][rows["fold"] == 9])
    assert [f"{s}/{p}" for s, p in zip(rows["session_id"][:3], rows["session_position"][:3], strict=True)] == [
        "s00000/1",
        "s00000/2",
        "s00000/3",
    ]


def test_the_tables_declared_checks_are_no_feature_that_a_reader_must_know(tiny_lake: Path) -> None:
    rows = reader.snapshot_of(TRANSITIONS).rows
    path = tiny_lake / "training" / "transitions"
    deltalake.DeltaTable(path).alter.add_constraint(checks.constraints(TRANSITIONS.table))
    add_rows(tiny_lake, {"dt": DAY})
    snapshot = reader.snapshot_of(TRANSITIONS)
    assert snapshot.rows == rows + 2
    assert len(reader.read_rows(snapshot, COLUMNS, ("session_id",), range(10), seed=1)["fold"]) == rows + 2


def test_a_short_read_is_refused(tiny_lake: Path) -> None:
    snapshot = reader.snapshot_of(TRANSITIONS)
    longer = dataclasses.replace(snapshot, rows=snapshot.rows + 1)
    with pytest.raises(DataRefused, match=f"read {snapshot.rows} rows where version 0 holds {snapshot.rows + 1}"):
        reader.read_rows(longer, COLUMNS, ("session_id",), range(10), seed=1)


def test_a_lost_row_group_is_refused(tiny_lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the thread pool does now and then: a row group less, without a word."""
    import petastorm

    add_rows(tiny_lake, {"dt": DAY})
    snapshot = reader.snapshot_of(TRANSITIONS)
    assert len(snapshot.urls) == 2
    whole = petastorm.make_batch_reader
    monkeypatch.setattr(petastorm, "make_batch_reader", lambda urls, **options: whole(urls[1:], **options))
    with pytest.raises(DataRefused, match="nothing was trained"):
        reader.read_rows(snapshot, COLUMNS, ("session_id",), range(10), seed=1)


def add_rows(root: Path, changes: dict[str, Any], mode: str = "append") -> None:
    path = root / "training" / "transitions"
    table = pa.Table.from_pydict(
        {
            "dt": pa.array([changes["dt"]] * 2, pa.date32()),
            "user_id": ["u-new"] * 2,
            "fold": pa.array([1, 1], pa.int32()),
            "session_id": ["z"] * 2,
            "session_position": pa.array([1, 2], pa.int32()),
            "track_id": ["t000"] * 2,
            **{name: pa.array([[1.0] * 31] * 2, pa.list_(pa.float32())) for name in ("o_tm1", "o_t")},
            "a_tm1": pa.array([[0.5] * (EMBEDDING + 1)] * 2, pa.list_(pa.float32())),
            "r_t": pa.array([1.0, 0.0], pa.float32()),
            "d_t": pa.array([1.0, 0.0], pa.float32()),
            "skip_grade": pa.array([0, 3], pa.int8()),
            "propensity": [0.1, None],
        }
    )
    deltalake.write_deltalake(str(path), table, mode=mode, partition_by=["dt"])


def test_other_days_and_removed_files_are_not_read(tiny_lake: Path) -> None:
    before = reader.snapshot_of(TRANSITIONS)
    add_rows(tiny_lake, {"dt": DAY.replace(day=6)})
    other_day = reader.snapshot_of(TRANSITIONS)
    assert other_day.files_sha256 == before.files_sha256 and other_day.version == 1
    add_rows(tiny_lake, {"dt": DAY}, mode="overwrite")
    now = reader.snapshot_of(TRANSITIONS)
    assert now.rows == 2 and now.files_sha256 != before.files_sha256
    rows = reader.read_rows(now, COLUMNS, ("session_id", "session_position"), range(10), seed=1)
    assert rows["r_t"].tolist() == [1.0, 0.0]


def test_a_missing_table_or_day_is_refused(lake_root: Path) -> None:
    with pytest.raises(DataRefused, match="training.transitions has not been written yet"):
        reader.snapshot_of(TRANSITIONS)
    add_rows(lake_root, {"dt": DAY.replace(day=6)})
    with pytest.raises(DataRefused, match="is empty: run the job transitions"):
        reader.snapshot_of(TRANSITIONS)


def test_a_table_with_deletion_vectors_is_refused(tiny_lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asks = deltalake.table.ProtocolVersions(3, 7, ["deletionVectors"], ["deletionVectors"])
    monkeypatch.setattr(deltalake.DeltaTable, "protocol", lambda self: asks)
    with pytest.raises(DataRefused, match=r"does not know \(deletionVectors\)"):
        reader.snapshot_of(TRANSITIONS)


def test_memory_batches_give_every_row_once_an_epoch_in_a_seeded_order() -> None:
    rows = {name: np.arange(12, dtype=np.float32) for name in reader.LEARNER_COLUMNS}

    def two_epochs(seed: int) -> list[list[float]]:
        rewards = [batch[2].numpy() for batch in reader.memory_batches(rows, 4, seed).take(6)]
        return [np.concatenate(rewards[:3]).tolist(), np.concatenate(rewards[3:]).tolist()]

    first, second = two_epochs(1)
    assert sorted(first) == sorted(second) == rows["r_t"].tolist()
    assert first != second
    assert two_epochs(1) == [first, second] != two_epochs(2)


def test_streamed_batches_are_the_training_folds_in_a_seeded_order(tiny_lake: Path) -> None:
    snapshot = reader.snapshot_of(TRANSITIONS)
    everything = reader.read_rows(snapshot, COLUMNS, ("session_id", "session_position"), range(10), seed=1)
    training = int((everything["fold"] < 8).sum())

    def epoch(seed: int) -> list[float]:
        batches = reader.streamed_batches(snapshot, 8, 31, EMBEDDING + 1, training // 4, seed).take(4)
        return [float(number) for batch in batches for number in batch[0][:, 0].numpy()]

    once = epoch(3)
    assert sorted(once) == sorted(everything["o_tm1"][everything["fold"] < 8, 0].tolist())
    assert once == epoch(3) != epoch(4)


def test_what_is_larger_than_the_bound_is_streamed() -> None:
    snapshot = reader.Snapshot("training.transitions/dt=2026-11-05", 0, (), 1_000_000)
    assert reader.fits_memory(snapshot, 100, 17)
    assert not reader.fits_memory(dataclasses.replace(snapshot, rows=2_000_000), 100, 17)
