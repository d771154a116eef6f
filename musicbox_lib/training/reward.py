"""What a graded answer is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column

REWARDS = (1.0, 0.6, 0.1, 0.0)
"""By grade: not skipped, skip_3 only, skip_2, skip_1 (docs/method.md#reward)."""


def reward(grade: Column) -> Column:
    """The reward of a grade 0 to 3 as a double; null where the play carries no label."""
    from pyspark.sql import functions as F

    values = F.array(*[F.lit(value) for value in REWARDS])
    return F.when(grade.between(0, 3), F.element_at(values, (grade + 1).cast("int")))
