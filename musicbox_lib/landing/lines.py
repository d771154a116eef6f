"""Delivered files as numbered lines, and lines as typed rows, every one kept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from musicbox_lib.errors import DataRefused
from musicbox_lib.landing import listing
from musicbox_lib.landing.header import read_header
from musicbox_lib.landing.places import Delivery
from musicbox_lib.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

# Of a failed read only the innermost cause says what is wrong with the file.
UNREADABLE = re.compile(r"(?:EOFException|ZipException|IOException): ([^\n]*)")
BLANKS = " \t\n\x0b\f\r"


@dataclass(frozen=True)
class _Block:
    """A stretch of a file that one task reads: how it is recognised, and what stands before it in its file."""

    file_path: str
    file_block_start: int
    lines: int
    filled: int
    first_id: int


def delivered_columns(bronze: Table) -> tuple[str, ...]:
    """The names that a bronze table gives to the landed columns, in the landed order."""
    names = bronze.column_names
    return names[names.index("raw_line") + 1 : names.index("is_parsed")]


def read_rows(spark: SparkSession, deliveries: Sequence[Delivery], landed: Table, names: Sequence[str]) -> DataFrame:
    """As `read_counted_rows`, the rows alone."""
    return read_counted_rows(spark, deliveries, landed, names)[0]


def read_counted_rows(
    spark: SparkSession, deliveries: Sequence[Delivery], landed: Table, names: Sequence[str]
) -> tuple[DataFrame, int]:
    """The deliveries' lines as rows, and how many there are: `dt`, `file`, `line` (the header is line 1), `raw_line`,
    the landed columns under `names` in their types (null where a value does not fit) and `is_parsed`.

    A blank line is no row. Raises DataRefused for a file that cannot be read to its end, whose header is not the
    contract's, or which holds no rows.
    """
    from pyspark.sql import functions as F

    lines = _lines(spark, deliveries)
    blocks = _blocks(lines, deliveries)
    headers = _headers(spark, blocks, deliveries, landed)
    numbered = _numbered(lines, blocks, deliveries, headers)
    variants = sorted(set(headers.values()))
    # One pass per header: nearly every batch has one.
    typed = [
        _typed(numbered.where(F.col("header") == number), header, landed, names)
        for number, header in enumerate(variants)
    ]
    rows = typed[0]
    for other in typed[1:]:
        rows = rows.unionByName(other)
    return rows, sum(block.filled for block in blocks) - len(headers)


def _lines(spark: SparkSession, deliveries: Sequence[Delivery]) -> DataFrame:
    from pyspark.sql import functions as F

    text = spark.read.text([delivery.location for delivery in deliveries])
    return text.select(
        "value",
        F.col("_metadata.file_path").alias("file_path"),
        F.col("_metadata.file_block_start").alias("file_block_start"),
        F.monotonically_increasing_id().alias("id"),
    )


def _is_filled() -> Column:
    from pyspark.sql import functions as F

    # It stops at the first other character, which a regular expression finds only after copying the line.
    return F.ltrim("value", F.lit(BLANKS)) != ""


def _blocks(lines: DataFrame, deliveries: Sequence[Delivery]) -> list[_Block]:
    """One row per file, or per 128 MB of a big plain one, in the order of the files' lines."""
    from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
    from pyspark.errors import PySparkException
    from pyspark.sql import functions as F

    found = lines.groupBy("file_path", "file_block_start").agg(
        F.count(F.lit(1)).alias("lines"),
        F.count_if(_is_filled()).alias("filled"),
        F.min("id").alias("first_id"),
    )
    try:
        read = [_Block(*row) for row in found.collect()]
    except (PySparkException, Py4JJavaError) as failure:
        raise DataRefused(_unreadable(str(failure), deliveries)) from None
    return sorted(read, key=lambda block: (block.file_path, block.file_block_start))


def _plain(uri: str) -> str:
    """A path as both Hadoop (file:/a) and Spark (file:///a) write it."""
    return re.sub(r"^file:/+", "file:/", uri)


def _unreadable(failure: str, deliveries: Sequence[Delivery]) -> str:
    named = [delivery.path for delivery in deliveries if _plain(delivery.uri) in re.sub(r"file:/+", "file:/", failure)]
    causes = UNREADABLE.findall(failure)
    why = f" ({causes[-1].strip()})" if causes else ""
    what = named[0] if len(named) == 1 else "one of the delivered files"
    return f"landing/{what} cannot be read to its end{why}: it is cut short or corrupt; land the file anew."


def _headers(
    spark: SparkSession, blocks: Sequence[_Block], deliveries: Sequence[Delivery], landed: Table
) -> dict[str, tuple[str, ...]]:
    """Each file's header by its plain path."""
    filled: dict[str, int] = {}
    for block in blocks:
        path = _plain(block.file_path)
        filled[path] = filled.get(path, 0) + block.filled
    headers = {}
    for delivery in deliveries:
        path, where = _plain(delivery.uri), f"landing/{delivery.path}"
        if path not in filled:
            raise DataRefused(f"{where} is empty: land the file anew.")
        headers[path] = read_header(listing.first_line(spark, delivery), where, landed)
        if filled[path] < 2:
            raise DataRefused(f"{where} has a header and no rows: land the file anew.")
    return headers


def _numbered(
    lines: DataFrame,
    blocks: Sequence[_Block],
    deliveries: Sequence[Delivery],
    headers: dict[str, tuple[str, ...]],
) -> DataFrame:
    """The lines after the header with `dt`, `file`, `line` and `header` (which of the sorted headers)."""
    from pyspark.sql import functions as F

    variants = sorted(set(headers.values()))
    by_path = {_plain(delivery.uri): delivery for delivery in deliveries}
    before: dict[str, int] = {}
    places = []
    for block in blocks:
        path = _plain(block.file_path)
        delivery = by_path[path]
        # Ids grow by one along a block, so this is what an id must gain to be a line of the file.
        shift = before.get(path, 0) + 1 - block.first_id
        places.append(
            (block.file_path, block.file_block_start, shift, delivery.day, delivery.name, variants.index(headers[path]))
        )
        before[path] = before.get(path, 0) + block.lines
    schema = "file_path string, file_block_start bigint, shift bigint, dt date, file string, header int"
    known = lines.sparkSession.createDataFrame(places, schema)
    return (
        lines.join(F.broadcast(known), ["file_path", "file_block_start"])
        .withColumn("line", F.col("id") + F.col("shift"))
        .where((F.col("line") > 1) & _is_filled())
        # Spark keeps bytes that are not UTF-8 as they came, and Arrow and DuckDB then refuse to read the whole table.
        .withColumn("raw_line", F.make_valid_utf8("value"))
    )


def _typed(numbered: DataFrame, header: tuple[str, ...], landed: Table, names: Sequence[str]) -> DataFrame:
    from pyspark.sql import functions as F

    types = {column.name: column.type for column in landed.columns}
    schema = ", ".join(f"`{name}` {types[name]}" for name in header) + ", `_corrupt` string"
    options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": "_corrupt", "dateFormat": "yyyy-MM-dd"}
    parsed = numbered.withColumn("parsed", F.from_csv("raw_line", schema, options))
    values = [
        (F.col(f"parsed.`{name}`") if name in header else F.lit(None)).cast(types[name]).alias(renamed)
        for name, renamed in zip(landed.column_names, names, strict=True)
    ]
    return parsed.select(
        "dt", "file", "line", "raw_line", *values, F.col("parsed._corrupt").isNull().alias("is_parsed")
    )
