"""Track-level arrays back to a table's rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from musicbox_lib.contract.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def as_rows(spark: SparkSession, columns: Mapping[str, Any], found: Table) -> DataFrame:
    """A frame with the table's columns, in Arrow all the way: no Python object per value.

    A column is a vector, an array (K, m) for a list column, or (array, mask) with null lists where the mask is false.
    NaN and None are null. Raises KeyError for a column that is missing."""
    from pyspark.sql.pandas.types import to_arrow_schema
    from pyspark.sql.types import StructType

    declared: Any = StructType.fromDDL(found.ddl)
    schema = to_arrow_schema(declared)
    arrays = [_array(columns[field.name], field.type) for field in schema]
    rows: Any = pa.Table.from_arrays(arrays, schema=schema)
    return spark.createDataFrame(rows, schema=declared)


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    if not pa.types.is_list(kind):
        return pa.Array.from_pandas(pd.Series(values), type=kind, safe=False)
    if isinstance(values, pa.Array):
        return values.cast(kind)
    block, mask = values if isinstance(values, tuple) else (values, np.ones(len(values), dtype=np.bool_))
    lengths = np.where(mask, block.shape[1], 0)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(
        pa.array(offsets), pa.array(block[mask].ravel(), type=kind.value_type), type=kind, mask=pa.array(~mask)
    )
