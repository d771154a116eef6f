"""The reward of a graded answer, as a column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicbox_lib.blocks.grades import REWARDS

if TYPE_CHECKING:
    from pyspark.sql import Column


def reward(grade: Column) -> Column:
    """The reward of a grade 0 to 3 as a double; null where the play carries no label."""
    from pyspark.sql import functions as F

    values = F.array(*[F.lit(value) for value in REWARDS])
    return F.when(grade.between(0, 3), F.element_at(values, (grade + 1).cast("int")))
