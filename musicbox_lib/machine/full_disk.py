"""A device without space, told in one sentence. Delta's commits are whole files: what was published still stands."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from musicbox_lib.errors import DiskFull

# Python says it by number; Spark and delta-rs only in the text of what they raise.
TOLD = "no space left on device"


def is_full(failure: BaseException) -> bool:
    """Whether a failed write was told that the device is full."""
    return (isinstance(failure, OSError) and failure.errno == errno.ENOSPC) or TOLD in str(failure).lower()


@contextmanager
def named(what: str, where: str) -> Iterator[None]:
    """Raise DiskFull, with what was being written and where, in place of a failure that a full device caused."""
    try:
        yield
    except Exception as failure:
        if not is_full(failure):
            raise
        raise DiskFull(
            f"{what}: no space left on the device that holds {where}: it stands as it was; "
            "free some space, then run this again."
        ) from None
