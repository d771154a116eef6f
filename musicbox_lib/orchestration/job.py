"""How a job starts and ends: arguments in, one sentence and an exit code out."""

from __future__ import annotations

import argparse
import importlib.util
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

from musicbox_lib import lake
from musicbox_lib.contract import jobs
from musicbox_lib.contract.days import parse_date
from musicbox_lib.errors import MusicBoxError, UsageError
from musicbox_lib.lake import ReadPartition, WritePartition, lock
from musicbox_lib.machine import full_disk, stopping
from musicbox_lib.settings import PROJECT, settings

KINDS: dict[str, Callable[[str], object]] = {"date": parse_date, "int": int, "path": Path, "text": str}
log = logging.getLogger("musicbox")


def path_of(name: str) -> Path:
    """The job's program."""
    return PROJECT / "jobs" / f"{name}.py"


def program(path: Path) -> ModuleType:
    """A job's program as a module, to call its `main` in this process."""
    spec = importlib.util.spec_from_file_location(f"musicbox_job_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def parser(name: str, about: str | None = None) -> argparse.ArgumentParser:
    """The arguments of a job, as `contract.jobs` declares them; `about` heads its help."""
    declared = jobs.job(name)
    example = declared.words(day="D", day_before="D-1", training_from="FROM", seed="N", models="LAKE/models")
    made = argparse.ArgumentParser(prog=name, description=about, epilog=" ".join(example), allow_abbrev=False)
    for given in declared.arguments:
        option = jobs.option(given.name)
        if isinstance(given, jobs.Value):
            made.add_argument(option, type=KINDS[given.kind], required=given.required, help=given.about)
        else:
            made.add_argument(option, type=_partition_of(given), required=True, metavar="STAGE.TABLE/dt=DAY")
    return made


def _partition_of(given: jobs.Read) -> Callable[[str], ReadPartition | WritePartition]:
    """The type of an argument for that table: another table's partition is refused before the job starts."""
    kind = WritePartition if isinstance(given, jobs.Write) else ReadPartition

    def parse(word: str) -> ReadPartition | WritePartition:
        partition = kind.parse(word)
        if partition.table.name != given.table:
            raise UsageError(f"{jobs.option(given.name)} takes a partition of {given.table}, not {word!r}.")
        return partition

    return parse


def call(main: Callable[..., None], name: str, words: Sequence[str]) -> None:
    """Parse a command line of that job and call its `main`; what it refuses is raised."""
    main(**vars(parser(name).parse_args(list(words))))


def run(name: str, main: Callable[..., None]) -> None:
    """Parse the words, call `main` with them, and end the process: 0 ok, 1 no space left, 2 usage, 3 data
    refused, 4 conflict, 128 and the signal's number after a stop."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("py4j").setLevel(logging.ERROR)

    def say(sentence: str) -> None:
        log.error("%s: %s", name, sentence)

    try:
        settings()
        with (
            stopping.stoppable(lambda: "its work", "the same words", say=say),
            full_disk.named(name, "the lake, its models or Spark's scratch files"),
        ):
            about = getattr(main, "__globals__", {}).get("__doc__")
            arguments = vars(parser(name, about).parse_args())
            # Said before a JVM is started and hours of work are done, not at the commit.
            lock.require_lockable(lake.root())
            main(**arguments)
    except MusicBoxError as refusal:
        log.error("%s: %s", name, refusal)
        sys.exit(refusal.exit_code)
