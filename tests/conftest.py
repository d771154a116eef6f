"""One Spark session per run, a lake of its own per test."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from musicbox_lib import settings as settings_module

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# A background job of a shell ignores SIGINT and one of nohup SIGHUP, and so would every program that a test starts.
for _number, _default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _default)


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    from musicbox_lib.machine.spark import session

    started = session("tests")
    yield started
    started.stop()


@pytest.fixture(scope="module", autouse=True)
def nothing_kept() -> Iterator[None]:
    """Jobs keep frames until their process ends. Here hundreds of them share one, and Spark holds every new plan
    against everything kept: the last tests of a run took more than twice as long as by themselves."""
    yield
    if "pyspark" in sys.modules:
        from pyspark.sql import SparkSession

        if (active := SparkSession.getActiveSession()) is not None:
            active.catalog.clearCache()


@pytest.fixture
def lake_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty lake that `MUSICBOX_LAKE` points to."""
    root = tmp_path / "lake"
    monkeypatch.setenv("MUSICBOX_LAKE", str(root))
    settings_module.settings.cache_clear()
    yield root
    settings_module.settings.cache_clear()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "spark" in getattr(item, "fixturenames", ()):
            item.add_marker("spark")
    log = settings_module.settings().mssd_log
    if not log.exists():
        for item in items:
            if "mssd" in item.keywords:
                item.add_marker(pytest.mark.skip(reason=f"the real listening log is not at {log}"))
