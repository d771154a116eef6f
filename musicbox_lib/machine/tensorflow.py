"""TensorFlow's start, without its notes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Two Spark workers share two cores: each keeps to one thread, and TensorFlow's start-up notes stay out of the log.
QUIET_TENSORFLOW = {
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
}


@contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Start TensorFlow without its notes about graphics cards, which it writes to the process's standard error before
    it reads any setting; an exception still comes through."""
    for name, value in QUIET_TENSORFLOW.items():
        os.environ.setdefault(name, value)
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
