"""What keeps the writers of a table apart, by the file system that the lake is on (docs/decisions/0024).

A local file system: a lock of the operating system. An object store: a lease (`lake.lease`). HDFS: nothing, since Delta
commits there by a rename that never replaces a file. Any other: refused.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from musicbox_lib.errors import Conflict, MusicBoxError, UsageError
from musicbox_lib.settings import settings

if TYPE_CHECKING:
    from obstore.store import ObjectStore

log = logging.getLogger("musicbox.lake")

LEASED = ("s3", "s3a", "gs", "abfs", "abfss")
"""Object stores: Delta's commit on S3 is a PUT without a condition. On Google's and Azure's it has one; the lock is
taken there too, and costs four requests."""
GUARDED = ("hdfs",)
SHORTEST_LEASE = 60.0
"""Seconds. A renewal waits for its store up to a minute."""


class Lock(Protocol):
    """A table's lock, as its writer has it."""

    def require(self) -> None:
        """Raise Conflict where another writer may have the lock by now."""


class _Kept:
    """A lock that cannot be lost."""

    def require(self) -> None:
        pass


def require_lockable(root: str) -> None:
    """Raise UsageError where the writers of a lake at that root cannot be kept apart: a store that does not keep the
    conditions of a PUT, or a file system of which this is not known. Asks an object store once a process."""
    scheme = _scheme(root)
    if scheme in LEASED:
        _store(root)
    elif scheme not in ("file", *GUARDED):
        known = ", ".join(f"{one}://" for one in (*LEASED, *GUARDED))
        raise UsageError(
            f"MUSICBOX_LAKE is {root!r}, where nothing keeps two writers apart: give a folder or one of {known}."
        )


@contextmanager
def hold(root: str, name: str) -> Iterator[Lock]:
    """Hold the lock of a table of the lake at that root. Raises Conflict where it is not had in
    MUSICBOX_LOCK_SECONDS or was lost while it was held, and what `require_lockable` raises."""
    require_lockable(root)
    scheme = _scheme(root)
    if scheme in LEASED:
        with _leased(root, name) as lock:
            yield lock
    elif scheme == "file":
        with _locked_file(Path(root.removeprefix("file://")), name):
            yield _Kept()
    else:
        yield _Kept()


def _scheme(root: str) -> str:
    return root.partition("://")[0].lower() if "://" in root else "file"


@contextmanager
def _locked_file(root: Path, name: str) -> Iterator[None]:
    from filelock import FileLock, Timeout

    folder = root / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{name}.lock")
    try:
        lock.acquire(timeout=settings().lock_seconds)
    except Timeout:
        raise Conflict(
            f"{name} is being written by another process since {settings().lock_seconds:.0f} s: "
            "wait for it or stop it, then run this again."
        ) from None
    try:
        yield
    finally:
        lock.release()


@lru_cache
def _store(root: str) -> ObjectStore:
    try:
        from musicbox_lib.lake import lease
    except ImportError:
        raise UsageError(
            f"MUSICBOX_LAKE is {root!r}, and this environment ({sys.prefix}) has no obstore to lock its tables with: "
            "run this in the jobs environment."
        ) from None
    if settings().lease_seconds < SHORTEST_LEASE:
        raise UsageError(
            f"MUSICBOX_LEASE_SECONDS is {settings().lease_seconds:.0f}: give {SHORTEST_LEASE:.0f} or more, a renewal "
            "waits for its store that long."
        )
    store = lease.open_store(root)
    lease.require_conditional_puts(store, root)
    return store


@contextmanager
def _leased(root: str, name: str) -> Iterator[Lock]:
    from musicbox_lib.lake.lease import LeasedLock

    lock = LeasedLock(_store(root), name, settings().lease_seconds, settings().run_id, at_loss=_cancel_spark_jobs)
    lock.acquire(settings().lock_seconds)
    try:
        yield lock
    except BaseException as failure:
        try:
            lock.release()
        except Conflict as lost:
            raise lost from failure
        except MusicBoxError as unanswered:
            log.warning("%s", unanswered)
        raise
    lock.release()


def _cancel_spark_jobs() -> None:
    """Stop the write of a lost lock before its commit, where it has not come that far."""
    pyspark = sys.modules.get("pyspark")
    context = None if pyspark is None else pyspark.SparkContext._active_spark_context
    if context is not None:
        context.cancelAllJobs()
