"""The grades of an answer and what each is worth."""

from __future__ import annotations

UNLABELLED = -1
"""The grade of a play whose log carries no label, and the filler where there is no play."""
REWARDS = (1.0, 0.6, 0.1, 0.0)
"""By grade: not skipped, skip_3 only, skip_2, skip_1 (docs/method.md#reward)."""
