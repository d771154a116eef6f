"""What every bench measures: seconds, rate, peak memory, and the ratio to a peer."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

Row = dict[str, Any]
REPEATS = 3
"""The best of three: the machine is shared, and what disturbs only ever adds."""


def measure(case: str, size: str, units: int, work: Callable[[], object]) -> Row:
    """Time `work` over `units` of it (contexts, rows); peak memory is of Python and numpy, in a run of its own."""
    seconds = min(_seconds(work) for _ in range(REPEATS))
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {"case": case, "size": size, "seconds": seconds, "rate": units / seconds, "peak_mb": peak / 2**20}


def against(row: Row, peer: Row) -> Row:
    """The row with its rate held against the peer's."""
    return {**row, "vs": peer["case"], "ratio": row["rate"] / peer["rate"]}


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
