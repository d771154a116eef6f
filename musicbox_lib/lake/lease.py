"""A table's lock on an object store: one small object per table, changed by conditional PUTs alone.

The object is either free or held. Its holder renews it; whoever waits takes it over once it has seen the same ETag for
longer than the lease, by a PUT that the store refuses unless that ETag still stands. No clock of another machine is
read. What this guarantees and what it cannot is in docs/decisions/0024.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError, PreconditionError

from musicbox_lib.errors import Conflict, MusicBoxError, UsageError

if TYPE_CHECKING:
    from obstore import PutMode, UpdateVersion
    from obstore.store import ObjectStore

log = logging.getLogger("musicbox.lake")

FOLDER = ".locks"
RENEWALS_A_LEASE = 5
"""A renewal may fail four times in a row before anybody may take the lock over."""
POLL_SECONDS = 1.0
"""How often a waiter looks: one GET."""
# A request is answered within 30 s (obstore's own limit) and tried anew for that long: a renewal then takes at most
# 60 s, the fifth of a lease of 300 s.
RETRIES = {"max_retries": 3, "retry_timeout": dt.timedelta(seconds=30)}
# What obstore raises where a request failed; FileNotFoundError also stands for a bucket that does not exist.
FAILED = (BaseError, OSError, ValueError)
REFUSED = (AlreadyExistsError, PreconditionError)
FREE, HELD = "free", "held"


def open_store(root: str) -> ObjectStore:
    """The store of a lake root such as `s3a://bucket/lake`, whose paths count from that root. Credentials and endpoint
    are those that delta-rs reads, AWS_* and the like. Raises UsageError for a root that names no bucket."""
    from obstore.store import from_url

    try:
        # No client_options: obstore 0.12.1 then forgets those of the environment (AWS_ALLOW_HTTP).
        return from_url(root, retry_config=RETRIES)  # type: ignore[call-overload,no-any-return]
    except FAILED as error:
        raise UsageError(f"MUSICBOX_LAKE is {root!r}, which cannot be opened: {_first_line(error)}.") from None


def require_conditional_puts(store: ObjectStore, root: str) -> None:
    """Raise UsageError where the store does not refuse a PUT whose condition does not hold: a lock there is none."""
    path = f"{FOLDER}/probe-{uuid.uuid4().hex}"
    try:
        first = obstore.put(store, path, b"1", mode="create")
        try:
            kept = _is_refused(store, path, "create")
            obstore.put(store, path, b"2", mode=_unless_changed(first))
            kept = kept and _is_refused(store, path, _unless_changed(first))
        finally:
            obstore.delete(store, path)
    except (NotImplementedError, NotSupportedError):
        kept = False
    except FAILED as error:
        if "501 Not Implemented" not in str(error):
            raise MusicBoxError(
                f"nothing can be locked in {root}: {_first_line(error)}; look at the bucket's name, the endpoint and "
                "the credentials (docs/decisions/0024)."
            ) from None
        kept = False
    if not kept:
        raise UsageError(
            f"the store of {root} does not keep the conditions of a PUT (If-None-Match, If-Match), so two writers can "
            "lose each other's commits: keep MUSICBOX_LAKE on a store that does."
        )


def _is_refused(store: ObjectStore, path: str, mode: PutMode) -> bool:
    try:
        obstore.put(store, path, b"3", mode=mode)
    except REFUSED:
        return True
    return False


def _unless_changed(version: Mapping[str, object]) -> UpdateVersion:
    """The condition that the object is still that version: S3 and Azure compare the ETag, Google the generation."""
    # obstore 0.12.1 refuses the None that it gives itself where a store has no versions.
    return {key: version[key] for key in ("e_tag", "version") if version.get(key)}  # type: ignore[return-value]


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(" .")


@dataclass(frozen=True)
class _Entry:
    """What a lock's object says. Every PUT writes another text, or ETags, which S3 makes of the text, would repeat."""

    state: str
    token: str
    holder: str
    run_id: str
    renewals: int
    lease_seconds: float
    written_at: str

    @classmethod
    def of(cls, text: bytes) -> _Entry | None:
        """None for a text that this class did not write."""
        try:
            entry = cls(**json.loads(text))
        except (TypeError, ValueError):
            return None
        return entry if isinstance(entry.lease_seconds, int | float) else None


@dataclass(frozen=True)
class _Seen:
    """The object as it was read; without a version there is none. `since` is this process's own clock, in seconds,
    after the answer came: the version may be older than that, never younger."""

    version: UpdateVersion | None
    entry: _Entry | None
    since: float = field(default_factory=time.monotonic, compare=False)


class LeasedLock:
    """The lock of one table, for one writer, once. `lease` and `poll` are in seconds; `at_loss` is called once, in the
    renewing thread, when another writer is seen to have taken the lock over."""

    def __init__(
        self,
        store: ObjectStore,
        name: str,
        lease: float,
        run_id: str = "",
        poll: float = POLL_SECONDS,
        at_loss: Callable[[], None] = lambda: None,
    ) -> None:
        self.name, self.lease = name, lease
        self.path = f"{FOLDER}/{name}.lock"
        self._store, self._run_id, self._poll, self._at_loss = store, run_id, poll, at_loss
        self._token = uuid.uuid4().hex
        self._renewals = 0
        self._version: UpdateVersion = {}
        self._is_lost = False
        self._mutex = threading.Lock()
        self._stop = threading.Event()
        self._renewing = threading.Thread(target=self._keep, name=f"lock of {name}", daemon=True)

    def acquire(self, seconds: float) -> None:
        """Take the lock, waiting for it that long. Raises Conflict where another writer has it until then, and
        MusicBoxError where the store gives no answer."""
        try:
            self._wait(time.monotonic() + seconds, seconds)
        except FAILED as error:
            raise MusicBoxError(f"the lock of {self.name} cannot be taken: {_first_line(error)}.") from None
        self._renewing.start()

    def require(self) -> None:
        """Renew the lock, to be called right before a commit: no other writer has had it since it was taken, and none
        can have it for the length of a lease. Raises Conflict where one has, MusicBoxError where the store gives no
        answer."""
        try:
            self._renew()
        except FAILED as error:
            raise MusicBoxError(
                f"the lock of {self.name} cannot be renewed ({_first_line(error)}): run this again."
            ) from None
        if self._is_lost:
            raise self._lost()

    def release(self) -> None:
        """Set the lock free if it is this writer's still, which shows that no other had it in between. Raises Conflict
        where one had, MusicBoxError where the store gives no answer."""
        self._stop.set()
        try:
            with self._mutex:
                self._is_lost = self._is_lost or not self._update(FREE)
        except FAILED as error:
            raise MusicBoxError(
                f"the lock of {self.name} cannot be set free ({_first_line(error)}), so nothing shows that this write "
                "was the only one: run this again."
            ) from None
        finally:
            self._renewing.join()
        if self._is_lost:
            raise self._lost()

    def _wait(self, until: float, seconds: float) -> None:
        seen = self._read()
        while not (self._is_free(seen) and self._take(seen)):
            left = until - time.monotonic()
            if left <= 0:
                raise self._taken(seen, seconds)
            time.sleep(min(self._poll, left))
            now = self._read()
            seen = seen if now.version == seen.version else now

    def _is_free(self, seen: _Seen) -> bool:
        if seen.version is None or (seen.entry is not None and seen.entry.state == FREE):
            return True
        # The holder's own lease counts, which may be set otherwise than this one's.
        lease = self.lease if seen.entry is None else seen.entry.lease_seconds
        return time.monotonic() - seen.since > lease

    def _take(self, seen: _Seen) -> bool:
        """Whether the object was still as it was seen, so that the lock is this writer's now."""
        try:
            self._version = self._put(HELD, "create" if seen.version is None else _unless_changed(seen.version))
        except REFUSED:
            now = self._read()
            if now.version is None or now.entry is None or now.entry.token != self._token:
                return False
            self._version = now.version  # this PUT came through at its first try, whose answer was lost
        if seen.version is not None and not (seen.entry is not None and seen.entry.state == FREE):
            log.warning("%s: took over the lock of %s, who renews it no more.", self.name, _who(seen.entry))
        return True

    def _keep(self) -> None:
        """Renew until the lock is given back or lost. A renewal that fails is tried again: as long as nobody else
        wants the lock, it is this writer's however late it comes."""
        while not self._stop.wait(self.lease / RENEWALS_A_LEASE):
            try:
                self._renew()
            except FAILED as error:
                log.warning("the lock of %s could not be renewed: %s", self.name, _first_line(error))
            if self._is_lost:
                self._at_loss()
                return

    def _renew(self) -> None:
        with self._mutex:
            if not self._is_lost and not self._stop.is_set():
                self._is_lost = not self._update(HELD)

    def _update(self, state: str) -> bool:
        """Write the object's next text; False where it is another writer's."""
        for _ in range(2):
            try:
                self._version = self._put(state, _unless_changed(self._version))
                return True
            except REFUSED:
                seen = self._read()
            if seen.version is None or seen.entry is None or seen.entry.token != self._token:
                return False
            if seen.entry.state == FREE:
                return True
            self._version = seen.version  # an earlier PUT came through whose answer was lost
        return False

    def _put(self, state: str, mode: PutMode) -> UpdateVersion:
        self._renewals += 1
        entry = _Entry(
            state=state,
            token=self._token,
            holder=f"process {os.getpid()} on {socket.gethostname()}",
            run_id=self._run_id,
            renewals=self._renewals,
            lease_seconds=self.lease,
            written_at=dt.datetime.now(dt.UTC).isoformat(),
        )
        return _unless_changed(obstore.put(self._store, self.path, json.dumps(asdict(entry)).encode(), mode=mode))

    def _read(self) -> _Seen:
        try:
            answer = obstore.get(self._store, self.path)
        except FileNotFoundError:
            return _Seen(None, None)
        return _Seen(_unless_changed(answer.meta), _Entry.of(bytes(answer.bytes())))

    def _taken(self, seen: _Seen, seconds: float) -> Conflict:
        lease = self.lease if seen.entry is None else seen.entry.lease_seconds
        return Conflict(
            f"{self.name} is being written by {_who(seen.entry)} since {seconds:.0f} s: wait for it or stop it, then "
            f"run this again. (Where it was killed, its lock is free for whoever has waited {lease:.0f} s: "
            "MUSICBOX_LOCK_SECONDS.)"
        )

    def _lost(self) -> Conflict:
        return Conflict(
            f"{self.name}: another writer took the lock of this one, which had not renewed it for {self.lease:.0f} s, "
            f"and either may have replaced the other's commit: see `musicbox restore {self.name} --list`, then run "
            "this again, and the other too where its version is missing."
        )


def _who(entry: _Entry | None) -> str:
    if entry is None:
        return "an unknown process"
    return f"{entry.holder} ({entry.run_id})" if entry.run_id else entry.holder
