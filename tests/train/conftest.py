"""A tiny lake whose best answer is known (tests/support/tiny_lake.py)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tiny_lake import write_lake

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture
def tiny_lake(lake_root: Path) -> Path:
    """The lake root, filled."""
    write_lake(lake_root)
    return lake_root
