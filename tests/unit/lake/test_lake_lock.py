"""The lock of a table on an object store, held against obstore's store in memory."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
import pytest
from obstore.exceptions import GenericError
from obstore.store import LocalStore, MemoryStore

from musicbox_lib import lake
from musicbox_lib.contract import jobs
from musicbox_lib.errors import Conflict, MusicBoxError, UsageError
from musicbox_lib.lake import lease as lake_lease
from musicbox_lib.lake import lock as lake_lock
from musicbox_lib.lake.lease import LeasedLock
from musicbox_lib.orchestration import job
from musicbox_lib.settings import settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NAME = "gold.track_features"
PATH = f".locks/{NAME}.lock"
LONG = 20.0
"""A lease that no test outlives."""


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def lock(store: MemoryStore, lease: float = LONG, **options: Any) -> LeasedLock:
    return LeasedLock(store, NAME, lease, poll=0.01, **options)


def entry(store: MemoryStore) -> dict[str, Any]:
    return dict(json.loads(bytes(obstore.get(store, PATH).bytes())))


def killed(store: MemoryStore, lease: float) -> LeasedLock:
    """A writer that took the lock and renews it no more."""
    dead = lock(store, lease)
    dead.acquire(0)
    dead._stop.set()
    dead._renewing.join()
    dead._stop.clear()
    return dead


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ends, "it did not come to that in 30 s"
        time.sleep(0.005)


def test_one_of_many_writers_at_a_time_has_the_lock(store: MemoryStore) -> None:
    inside, most, done = 0, 0, 0

    def write() -> None:
        nonlocal inside, most, done
        mine = lock(store)
        mine.acquire(LONG)
        inside += 1
        most = max(most, inside)
        time.sleep(0.002)
        inside -= 1
        done += 1
        mine.release()

    with ThreadPoolExecutor(8) as pool:
        for writer in [pool.submit(write) for _ in range(40)]:
            writer.result()
    assert (most, done) == (1, 40)


def test_a_table_in_other_hands_is_a_conflict_that_names_the_holder(store: MemoryStore) -> None:
    first = lock(store, run_id="manual__7")
    first.acquire(0)
    with pytest.raises(Conflict, match=r"gold.track_features is being written by process \d+ on .+ \(manual__7\)"):
        lock(store).acquire(0.05)
    first.release()
    second = lock(store)
    second.acquire(0)
    second.release()


def test_two_tables_have_two_locks(store: MemoryStore) -> None:
    first, second = lock(store), LeasedLock(store, "gold.user_features", LONG)
    first.acquire(0)
    second.acquire(0)
    first.release()
    second.release()


def test_a_killed_writers_lock_goes_to_exactly_one_of_those_who_wait(store: MemoryStore) -> None:
    killed(store, 0.2)
    together = threading.Barrier(4)
    holders: list[LeasedLock] = []
    refused: list[Conflict] = []

    def wait() -> None:
        mine = lock(store)
        together.wait()
        try:
            mine.acquire(3)
            holders.append(mine)
        except Conflict as refusal:
            refused.append(refusal)

    waiters = [threading.Thread(target=wait) for _ in range(4)]
    for waiter in waiters:
        waiter.start()
    for waiter in waiters:
        waiter.join()
    assert len(holders) == 1
    assert len(refused) == 3
    assert entry(store)["token"] == holders[0]._token
    holders[0].release()


def test_a_lock_is_not_taken_over_before_its_holders_lease_is_over(store: MemoryStore) -> None:
    killed(store, LONG)
    with pytest.raises(Conflict, match="free for whoever has waited 20 s"):
        lock(store, 0.01).acquire(0.3)


def test_the_time_that_stands_in_the_object_is_not_believed(store: MemoryStore) -> None:
    killed(store, LONG)
    text = json.dumps({**entry(store), "written_at": "1999-01-01T00:00:00+00:00"})
    obstore.put(store, PATH, text.encode())
    with pytest.raises(Conflict):
        lock(store).acquire(0.1)


def test_renewals_keep_a_lock_for_longer_than_its_lease(store: MemoryStore) -> None:
    mine = lock(store, 1.0)
    mine.acquire(0)
    with pytest.raises(Conflict):
        lock(store).acquire(2.5)
    mine.require()
    mine.release()
    assert entry(store)["renewals"] >= 5


def test_a_writer_that_lost_its_lock_is_told_before_its_commit_and_after(store: MemoryStore) -> None:
    paused = killed(store, 0.05)
    other = lock(store)
    other.acquire(LONG)
    with pytest.raises(Conflict, match="another writer took the lock"):
        paused.require()
    with pytest.raises(Conflict, match="see `musicbox restore gold.track_features --list`"):
        paused.release()
    assert entry(store)["token"] == other._token, "the other's lock still stands"
    other.require()
    other.release()


def test_a_lock_that_was_lost_and_set_free_again_is_lost(store: MemoryStore) -> None:
    paused = killed(store, 0.05)
    other = lock(store)
    other.acquire(LONG)
    other.release()
    with pytest.raises(Conflict, match="another writer took the lock"):
        paused.release()


def test_the_write_is_stopped_once_its_lock_is_seen_to_be_lost(store: MemoryStore) -> None:
    stopped = threading.Event()
    mine = lock(store, 0.5, at_loss=stopped.set)
    mine.acquire(0)
    obstore.put(store, PATH, json.dumps({**entry(store), "token": "another"}).encode())
    assert stopped.wait(30)
    with pytest.raises(Conflict):
        mine.release()


def test_a_lost_lock_cancels_the_spark_job_that_writes(spark: SparkSession) -> None:
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(spark.range(10**15).selectExpr("sum(id % 7)").collect)
        until(lambda: bool(spark.sparkContext.statusTracker().getActiveJobsIds()))
        lake_lock._cancel_spark_jobs()
        with pytest.raises(Exception, match="cancelled"):
            writing.result(60)


def test_a_late_writer_whose_lock_nobody_took_still_has_it(store: MemoryStore) -> None:
    late = killed(store, 0.01)
    time.sleep(0.05)
    late.require()
    late.release()
    assert entry(store)["state"] == "free"


def test_no_thread_outlives_the_lock(store: MemoryStore) -> None:
    mine = lock(store, 0.05)
    mine.acquire(0)
    mine.release()
    assert not [thread for thread in threading.enumerate() if thread.name == f"lock of {NAME}"]
    time.sleep(0.05)
    assert entry(store)["state"] == "free"


class Unreliable:
    """A store of which some PUTs come through although their answer is lost: obstore's own retry is then refused."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.losing = False
        self.failing = False
        put = obstore.put

        def lossy(store: MemoryStore, path: str, file: bytes, **options: Any) -> Any:
            if self.failing:
                raise GenericError("no route to host")
            if self.losing:
                self.losing = False
                put(store, path, file, **options)
            return put(store, path, file, **options)

        monkeypatch.setattr(obstore, "put", lossy)


@pytest.fixture
def unreliable(monkeypatch: pytest.MonkeyPatch) -> Unreliable:
    return Unreliable(monkeypatch)


def test_a_put_whose_answer_was_lost_is_recognized(store: MemoryStore, unreliable: Unreliable) -> None:
    mine = lock(store)
    unreliable.losing = True
    mine.acquire(0)
    unreliable.losing = True
    mine.require()
    unreliable.losing = True
    mine.release()
    assert entry(store)["state"] == "free"


def test_a_renewal_that_failed_is_tried_again(store: MemoryStore, unreliable: Unreliable) -> None:
    mine = lock(store, 0.5)
    mine.acquire(0)
    unreliable.failing = True
    with pytest.raises(MusicBoxError, match=r"cannot be renewed \(no route to host\)"):
        mine.require()
    time.sleep(0.2)
    unreliable.failing = False
    before = entry(store)["renewals"]
    until(lambda: entry(store)["renewals"] > before)
    mine.release()


def test_a_store_that_gives_no_answer_is_an_error_in_a_sentence(store: MemoryStore, unreliable: Unreliable) -> None:
    unreliable.failing = True
    with pytest.raises(MusicBoxError, match="the lock of gold.track_features cannot be taken: no route to host"):
        lock(store).acquire(0)
    unreliable.failing = False
    mine = lock(store)
    mine.acquire(0)
    unreliable.failing = True
    with pytest.raises(MusicBoxError, match=r"cannot be set free \(no route to host\).*run this again"):
        mine.release()


def test_a_store_with_conditional_puts_is_lockable(store: MemoryStore) -> None:
    lake_lease.require_conditional_puts(store, "s3a://bucket/lake")
    assert not list(obstore.list(store).collect()), "nothing is left behind"


def test_a_store_without_conditional_updates_is_refused(tmp_path: Path) -> None:
    # obstore's store in a folder can create and not update.
    with pytest.raises(UsageError, match="does not keep the conditions of a PUT"):
        lake_lease.require_conditional_puts(LocalStore(tmp_path), "s3a://bucket/lake")


def test_a_store_that_ignores_conditions_is_refused(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put = obstore.put
    monkeypatch.setattr(obstore, "put", lambda store, path, file, mode=None: put(store, path, file))
    with pytest.raises(UsageError, match="does not keep the conditions of a PUT"):
        lake_lease.require_conditional_puts(store, "s3a://bucket/lake")


@pytest.fixture
def on_a_store(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryStore]:
    """A lake at s3a://bucket/lake, whose locks are in memory."""
    monkeypatch.setenv("MUSICBOX_LAKE", "s3a://bucket/lake")
    monkeypatch.setattr(lake_lease, "open_store", lambda root: store)
    lake_lock._store.cache_clear()
    settings.cache_clear()
    yield store
    lake_lock._store.cache_clear()
    settings.cache_clear()


def test_a_lake_on_an_object_store_has_its_tables_locked(
    on_a_store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSICBOX_LOCK_SECONDS", "0.05")
    settings.cache_clear()
    with lake.table_lock(NAME) as held:
        held.require()
        assert entry(on_a_store)["state"] == "held"
        with pytest.raises(Conflict, match=r"gold.track_features is being written"), lake.table_lock(NAME):
            pass
    assert entry(on_a_store)["state"] == "free"


def test_a_failed_write_sets_its_lock_free(on_a_store: MemoryStore) -> None:
    with pytest.raises(RuntimeError, match="the write failed"), lake.table_lock(NAME):
        raise RuntimeError("the write failed")
    assert entry(on_a_store)["state"] == "free"


def test_a_write_that_fails_because_its_lock_was_lost_ends_as_a_conflict(on_a_store: MemoryStore) -> None:
    with pytest.raises(Conflict, match="another writer took the lock"), lake.table_lock(NAME):
        obstore.put(on_a_store, PATH, json.dumps({**entry(on_a_store), "token": "another"}).encode())
        raise RuntimeError("Job cancelled")


def test_hdfs_needs_no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSICBOX_LAKE", "hdfs://namenode/lake")
    settings.cache_clear()
    with lake.table_lock(NAME) as held:
        held.require()


@pytest.mark.parametrize("root", ["oss://bucket/lake", "s3n://bucket/lake", "wasb://c@account/lake", "http://x/lake"])
def test_a_file_system_of_which_nothing_is_known_is_refused(root: str) -> None:
    with pytest.raises(UsageError, match="nothing keeps two writers apart: give a folder or one of s3://"):
        lake_lock.require_lockable(root)


def test_an_environment_without_obstore_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    lake_lock._store.cache_clear()
    monkeypatch.delattr("musicbox_lib.lake.lease")
    monkeypatch.setitem(sys.modules, "musicbox_lib.lake.lease", None)
    with pytest.raises(UsageError, match="has no obstore to lock its tables with: run this in the jobs environment"):
        lake_lock.require_lockable("s3a://bucket/lake")


def test_a_lease_shorter_than_a_renewal_takes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSICBOX_LEASE_SECONDS", "5")
    lake_lock._store.cache_clear()
    settings.cache_clear()
    with pytest.raises(UsageError, match="MUSICBOX_LEASE_SECONDS is 5: give 60 or more"):
        lake_lock.require_lockable("s3a://bucket/lake")
    monkeypatch.delenv("MUSICBOX_LEASE_SECONDS")
    settings.cache_clear()


def test_a_root_without_a_bucket_is_refused_in_a_sentence() -> None:
    lake_lock._store.cache_clear()
    with pytest.raises(UsageError, match=r"MUSICBOX_LAKE is 's3a:///lake', which cannot be opened"):
        lake_lock.require_lockable("s3a:///lake")


def test_a_job_is_refused_before_it_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MUSICBOX_LAKE", "oss://bucket/lake")
    monkeypatch.setattr(sys, "argv", ["last_sessions", *jobs.job("last_sessions").words(day="2026-11-05")])
    settings.cache_clear()
    ran: list[str] = []
    with pytest.raises(SystemExit) as ended:
        job.run("last_sessions", lambda **_given: ran.append("it ran"))
    settings.cache_clear()
    assert ended.value.code == 2
    assert not ran
    assert "nothing keeps two writers apart" in caplog.text
