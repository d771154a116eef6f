"""Typed edges: what a transform takes and gives is held against the contract, and a breach raises."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ParamSpec

from musicbox_lib.contract.tables import Table, table
from musicbox_lib.errors import DataRefused

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructField

P = ParamSpec("P")


def spark_fields(found: Table) -> list[StructField]:
    """The declared columns as Spark's own fields."""
    from pyspark.sql.types import StructType

    parsed = StructType.fromDDL(found.ddl)
    assert isinstance(parsed, StructType)
    return parsed.fields


def _declared_types(found: Table) -> dict[str, str]:
    return {field.name: field.dataType.simpleString() for field in spark_fields(found)}


def require_columns(frame: DataFrame, found: Table) -> None:
    """Raise unless the frame has every declared column in its declared type."""
    actual = {field.name: field.dataType.simpleString() for field in frame.schema.fields}
    for name, declared in _declared_types(found).items():
        if name not in actual:
            raise DataRefused(f"{found.noun}: column {name} is missing, schema says {declared}.")
        if actual[name] != declared:
            raise DataRefused(f"{found.noun}: column {name} is {actual[name]}, schema says {declared}.")


def select_declared(frame: DataFrame, found: Table) -> DataFrame:
    """Exactly the declared columns in the declared order; raises as `require_columns` does."""
    require_columns(frame, found)
    return frame.select(*found.column_names)


def contract(takes: Mapping[str, str], gives: str) -> Callable[[Callable[P, DataFrame]], Callable[P, DataFrame]]:
    """Hold a transform to the contract: `takes` maps its arguments to tables, `gives` names its result.

    Arguments are narrowed to the declared columns before the call, the result after it.
    """

    def decorate(transform: Callable[P, DataFrame]) -> Callable[P, DataFrame]:
        signature = inspect.signature(transform)

        @functools.wraps(transform)
        def held(*args: P.args, **kwargs: P.kwargs) -> DataFrame:
            bound = signature.bind(*args, **kwargs)
            for name, full_name in takes.items():
                bound.arguments[name] = select_declared(bound.arguments[name], table(full_name))
            return select_declared(transform(*bound.args, **bound.kwargs), table(gives))

        return held

    return decorate
