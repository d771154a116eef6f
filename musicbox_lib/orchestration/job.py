"""How a job starts and ends: arguments in, one sentence and an exit code out."""

from __future__ import annotations

import argparse
import importlib.util
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from musicbox_lib import lake
from musicbox_lib.errors import MusicBoxError
from musicbox_lib.lake import lock
from musicbox_lib.machine import full_disk, stopping
from musicbox_lib.settings import settings

if TYPE_CHECKING:
    from musicbox_lib.lake import ReadPartition, WritePartition

log = logging.getLogger("musicbox")


def program(path: Path) -> ModuleType:
    """A job's program as a module, for who asks it for its arguments or runs it in a process of its own."""
    spec = importlib.util.spec_from_file_location(f"musicbox_job_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(parser: argparse.ArgumentParser, main: Callable[..., None]) -> None:
    """Parse the words, call `main` with them, and end the process: 0 ok, 1 no space left, 2 usage, 3 data
    refused, 4 conflict, 128 and the signal's number after a stop."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("py4j").setLevel(logging.ERROR)

    def say(sentence: str) -> None:
        log.error("%s: %s", parser.prog, sentence)

    try:
        settings()
        with (
            stopping.stoppable(lambda: "its work", "the same words", say=say),
            full_disk.named(parser.prog, "the lake, its models or Spark's scratch files"),
        ):
            arguments = vars(parser.parse_args())
            # Said before a JVM is started and hours of work are done, not at the commit.
            lock.require_lockable(lake.root())
            main(**arguments)
    except MusicBoxError as refusal:
        log.error("%s: %s", parser.prog, refusal)
        sys.exit(refusal.exit_code)


def partition_argument(
    parser: argparse.ArgumentParser, name: str, kind: type[ReadPartition] | type[WritePartition]
) -> None:
    """Add `--track-features gold.track_features/dt=D` to a job's arguments."""
    parser.add_argument(
        f"--{name.replace('_', '-')}", dest=name, type=kind.parse, required=True, metavar="STAGE.TABLE/dt=DAY"
    )
