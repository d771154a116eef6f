"""A stop stops: SIGTERM, SIGINT or SIGHUP ends a command and all that it started, with one sentence.

The signal is waited for in a thread of its own, on the interpreter's wakeup descriptor. A handler would run only when
native code returns (a fit, a compaction), and others put theirs in its place: Airflow's task runner that for SIGTERM,
Spark that for SIGINT. The exit code is 128 and the signal's number, as a shell has it: 143, 130, 129.
"""

from __future__ import annotations

import ctypes
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
GRACE = 6.0
"""Seconds that what was started has between SIGTERM and SIGKILL. A JVM takes about one to end."""
LIMIT = 17.0
"""Seconds from the signal to the end, whatever happens."""
EXIT_CODES = tuple(code for number in SIGNALS for code in (128 + number, -number))
"""How a stopped process ends: by its own hand, or by the signal's default."""
SUBREAPER = 36
"""prctl's PR_SET_CHILD_SUBREAPER."""

TOLD_BY = "MUSICBOX_STOP_TOLD_BY"
"""In the environment of what a stoppable command starts: the process that tells of a stop, so that it is told once."""

requested = threading.Event()
"""A stop has been asked for in this process: nothing new is started from now on."""
_listening = threading.Event()


class Process(NamedTuple):
    """A living process with its parent and its group."""

    pid: int
    parent: int
    group: int


def processes() -> Iterator[Process]:
    """Every living process of this machine; one that has ended but was not yet waited for is none."""
    if not Path("/proc/self/stat").exists():
        listed = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,pgid=,stat="], capture_output=True, text=True, check=True
        )
        for pid, parent, group, state in (line.split() for line in listed.stdout.splitlines()):
            if "Z" not in state:
                yield Process(int(pid), int(parent), int(group))
        return
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent, group = stat.read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if state not in "ZX":
            yield Process(int(stat.parent.name), int(parent), int(group))


def descendants(pid: int) -> set[int]:
    """The living processes that one started, directly or not."""
    children: dict[int, list[int]] = {}
    for process in processes():
        children.setdefault(process.parent, []).append(process.pid)
    below: set[int] = set()
    waiting = [pid]
    while waiting:
        new = children.get(waiting.pop(), [])
        below.update(new)
        waiting += new
    return below


def send(pids: set[int], number: signal.Signals) -> None:
    """Send a signal to each process that still lives."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def end_all(of: Callable[[], set[int]], first: Callable[[], set[int]], seconds: float = GRACE) -> None:
    """SIGTERM once to each of `first`, then SIGKILL to what is left of `of` after that time, until nothing is left.
    Both are asked again and again, because processes start others while they end."""
    asked: set[int] = set()
    until = time.monotonic() + seconds
    while living := of():
        if time.monotonic() < until:
            new = first() - asked
            send(new, signal.SIGTERM)
            asked |= new
        else:
            send(living, signal.SIGKILL)
        time.sleep(0.05)


def end_group(group: int, seconds: float = GRACE) -> None:
    """End every process of a group."""

    def members() -> set[int]:
        return {process.pid for process in processes() if process.group == group}

    end_all(members, members, seconds)


def end_children(seconds: float = GRACE) -> None:
    """End what this process started. Its children are asked first and end their own; what they leave follows."""
    me = os.getpid()

    def children() -> set[int]:
        return {process.pid for process in processes() if process.parent == me}

    end_all(lambda: descendants(me), children, seconds)


def _to_stderr(sentence: str) -> None:
    sys.stderr.write(f"musicbox: {sentence}\n")
    sys.stderr.flush()


@contextmanager
def stoppable(
    doing: Callable[[], str],
    again: str,
    *,
    say: Callable[[str], None] = _to_stderr,
    end: Callable[[], None] = end_children,
    unwinding: float = 0.0,
    before_leaving: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    """Within this block of the main thread a stop signal ends the process and what it started.

    `doing` names what is at work and `again` the command that does it again, both for the sentence that `say` gets; a
    command that another stoppable one started leaves the sentence to that one.
    `end` ends what was started; then the block has `unwinding` seconds to be left; then `before_leaving` is called.
    """
    requested.clear()
    left = threading.Event()
    tells = os.environ.setdefault(TOLD_BY, str(os.getpid())) == str(os.getpid())

    def stop(number: signal.Signals) -> None:
        name = "its work"

        def leave() -> None:
            try:
                send(descendants(os.getpid()), signal.SIGKILL)
                logging.disable(logging.NOTSET)
                if tells:
                    what = f"stopped by {number.name} during {name}"
                    say(f"{what}: nothing more was published; run it again with {again}.")
                sys.stdout.flush()
            finally:
                os._exit(128 + number)

        # Whatever the steps below wait for, as a lock of the main thread's: the end comes.
        limit = threading.Timer(LIMIT, leave)
        limit.daemon = True
        limit.start()
        # What ends takes others with it, which log it with a trace: py4j that its JVM has gone.
        logging.disable(logging.CRITICAL)
        try:
            name = doing()
            end()
            left.wait(unwinding)
            before_leaving()
        finally:
            leave()

    if sys.platform == "linux":
        # What a child leaves behind becomes this process's own child, so that nothing started is out of sight.
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    heard, written = socket.socketpair()
    written.setblocking(False)
    waiting = threading.Thread(target=_wait, args=(heard, stop), daemon=True, name="stop")
    waiting.start()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        # A shell starts what runs in the background with interrupts ignored: they are asked for expressly. `nohup` asks
        # for the opposite, and gets it.
        if not (number == signal.SIGHUP and before[number] == signal.SIG_IGN):
            signal.signal(number, _leave_to_the_thread)
    earlier = signal.set_wakeup_fd(written.fileno(), warn_on_full_buffer=False)
    _listening.set()
    try:
        yield
    except BaseException as failure:
        # What was waited for may have ended of the same signal a moment before this process heard of it.
        if not (isinstance(failure, SystemExit) and not failure.code):
            requested.wait(0.2)
        raise
    finally:
        left.set()
        if requested.is_set():
            waiting.join()
        if tells:
            del os.environ[TOLD_BY]
        _listening.clear()
        signal.set_wakeup_fd(earlier)
        for number, handler in before.items():
            signal.signal(number, handler)
        written.close()
        waiting.join()
        heard.close()


def _leave_to_the_thread(_number: int, _frame: FrameType | None) -> None:
    """The interpreter writes a signal's number to the wakeup descriptor only where a handler is set."""


def _before_fork() -> None:
    if _listening.is_set():
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def _after_fork() -> None:
    if _listening.is_set():
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _in_a_fork() -> None:
    """A forked process has no such thread, and what it hears is not to be written to its parent's."""
    if _listening.is_set():
        signal.set_wakeup_fd(-1)
        for number in SIGNALS:
            if signal.getsignal(number) is _leave_to_the_thread:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_a_fork)


def _wait(heard: socket.socket, stop: Callable[[signal.Signals], None]) -> None:
    """Until a signal of SIGNALS comes, or the other end is closed."""
    make = _make_above()
    while True:
        if select.select([heard], [], [], 1.0 if make else None)[0]:
            if not (numbers := heard.recv(64)):
                return
        elif os.getppid() != make:
            make = None
            continue
        else:
            numbers = b"" if _catches_interrupts(make) else bytes([signal.SIGINT])
        for number in numbers:
            if number in SIGNALS:
                requested.set()
                stop(signal.Signals(number))


def _make_above() -> int | None:
    """The `make` that started this process and catches interrupts, where this system shows it."""
    parent = os.getppid()
    try:
        is_make = Path(f"/proc/{parent}/comm").read_text().strip() in ("make", "gmake")
    except OSError:
        return None
    return parent if is_make and _catches_interrupts(parent) else None


def _catches_interrupts(make: int) -> bool:
    """GNU make passes SIGTERM on to its recipe, but not SIGINT: it takes for granted that a terminal sent it to all.
    It then waits for the recipe with SIGINT back at its default, which the kernel shows."""
    try:
        status = Path(f"/proc/{make}/status").read_text()
    except OSError:
        # It has just gone, without a word to anybody.
        return True
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (signal.SIGINT - 1) & 1)
