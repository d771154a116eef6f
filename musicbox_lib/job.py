"""How a job starts and ends: arguments in, one sentence and an exit code out."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable

from musicbox_lib import full_disk
from musicbox_lib.errors import MusicBoxError

log = logging.getLogger("musicbox")


def run(parser: argparse.ArgumentParser, main: Callable[..., None]) -> None:
    """Parse the words, call `main` with them, and end the process: 0 ok, 1 no space left, 2 usage, 3 data
    refused, 4 conflict."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("py4j").setLevel(logging.ERROR)
    try:
        with full_disk.named(parser.prog, "the lake, its models or Spark's scratch files"):
            main(**vars(parser.parse_args()))
    except MusicBoxError as refusal:
        log.error("%s: %s", parser.prog, refusal)
        sys.exit(refusal.exit_code)
