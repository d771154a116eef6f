"""The variables that `make` was given: a mistyped one is refused, because no target would read it.

Recipes call it as a program, before their own: `python -m musicbox_lib.machine.make_variables`."""

from __future__ import annotations

import os
import re
import sys

from musicbox_lib.errors import MusicBoxError, UsageError, unknown_words

VARIABLES = ("RUN_DATE", "FROM", "TO", "DRY_RUN", "Q", "NAME", "SIZE", "KILLS")
"""What the Makefile's targets read."""


def refuse_mistyped() -> None:
    """Raise UsageError for a variable given to make that looks like one of its own: DRYRUN=1 would run it all,
    NAM=scoring every bench. Others may be a program's, as in `make test PYTEST_ADDOPTS=-x`."""
    # In a value make writes a blank as "\ ".
    given = re.findall(r"(?:^|(?<!\\)\s)(\w+)=", os.environ.get("MAKEFLAGS", ""))
    near = [odd for name in given if "did you mean" in (odd := unknown_words([name], VARIABLES))]
    if near:
        raise UsageError(f"make knows no {', '.join(near)}: give it again with the right name.")


if __name__ == "__main__":
    try:
        refuse_mistyped()
    except MusicBoxError as refusal:
        sys.stderr.write(f"musicbox: {refusal}\n")
        sys.exit(refusal.exit_code)
