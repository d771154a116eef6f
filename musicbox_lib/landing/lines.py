"""Delivered files as numbered records, and records as typed rows, every one kept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from musicbox_lib.contract.tables import Table
from musicbox_lib.errors import DataRefused
from musicbox_lib.landing import listing, spellings, torn
from musicbox_lib.landing.header import read_header
from musicbox_lib.landing.places import Delivery

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
    odd: int
    """Lines that open or close a quote and do not do both: only then may a record have several lines."""


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
    """The deliveries' records as rows, and how many there are: `dt`, `file`, `line` (the record's first; the header is
    line 1), `raw_line` (the record as it came), the landed columns under `names` in their types (null where a value
    does not fit) and `is_parsed`.

    A blank line is no row. Line breaks inside quotes belong to the value (`landing/records.py`). Raises DataRefused for
    a file that cannot be read to its end, whose header is not the contract's, or which holds no rows.
    """
    from pyspark.sql import functions as F

    lines = _lines(spark, deliveries)
    blocks = _blocks(lines, deliveries)
    headers = _headers(spark, blocks, deliveries, landed)
    numbered = _numbered(lines, blocks, deliveries, headers)
    torn_files = {_plain(block.file_path) for block in blocks if block.odd}
    count = sum(block.filled for block in blocks if _plain(block.file_path) not in torn_files)
    count -= len(headers) - len(torn_files)
    kept = ["dt", "file", "header"]
    records = numbered.select(*kept, "line", "value")
    if torn_files:
        joined = torn.joined(numbered.where("is_torn"), kept).where(_is_filled()).select(*kept, "line", "value")
        records, count = (
            numbered.where("NOT is_torn").select(*kept, "line", "value").unionByName(joined),
            count + joined.count(),
        )
    # Spark keeps bytes that are not UTF-8 as they came, and Arrow and DuckDB then refuse to read the whole table.
    delivered = records.select(*kept, "line", F.make_valid_utf8("value").alias("raw_line"))
    variants = sorted(set(headers.values()))
    # One pass per header: nearly every batch has one.
    typed = [
        _typed(delivered.where(F.col("header") == number), header, landed, names)
        for number, header in enumerate(variants)
    ]
    rows = typed[0]
    for other in typed[1:]:
        rows = rows.unionByName(other)
    return rows, count


def _lines(spark: SparkSession, deliveries: Sequence[Delivery]) -> DataFrame:
    """The files' lines, cut where each file's header is: a carriage return alone ends a line only in a file whose
    header it ends, and one before a line feed belongs to the last value unless the header ends so."""
    by_ending: dict[str, list[str]] = {}
    for delivery in deliveries:
        by_ending.setdefault(listing.line_ending(spark, delivery), []).append(delivery.location)
    read = [_lines_of(spark, locations, ending) for ending, locations in sorted(by_ending.items())]
    return reduce(lambda one, other: one.unionByName(other), read)


def _lines_of(spark: SparkSession, locations: list[str], ending: str) -> DataFrame:
    from pyspark.sql import functions as F

    value, ends = F.col("value"), F.lit(ending)
    if ending == "\r\n":
        is_returned = F.endswith(value, F.lit("\r"))
        ends = F.when(is_returned, "\r\n").otherwise("\n")
        value = F.when(is_returned, F.substring(value, F.lit(1), F.length(value) - 1)).otherwise(value)
    return spark.read.text(locations, lineSep=ending[-1]).select(
        value.alias("value"),
        ends.alias("ending"),
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
        F.count_if(torn.has_odd_quotes(F.col("value"))).alias("odd"),
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
    """The lines after the header with `dt`, `file`, `line`, `header` (which of the sorted headers) and its `width`, and
    `is_torn`: whether records of their file may have several lines. Only there blank lines are kept."""
    from pyspark.sql import functions as F

    variants = sorted(set(headers.values()))
    by_path = {_plain(delivery.uri): delivery for delivery in deliveries}
    before: dict[str, int] = {}
    places = []
    torn_files = {block.file_path for block in blocks if block.odd}
    for block in blocks:
        path = _plain(block.file_path)
        delivery = by_path[path]
        # Ids grow by one along a block, so this is what an id must gain to be a line of the file.
        shift = before.get(path, 0) + 1 - block.first_id
        header = headers[path]
        told = (delivery.day, delivery.name, variants.index(header), len(header), block.file_path in torn_files)
        places.append((block.file_path, block.file_block_start, shift, *told))
        before[path] = before.get(path, 0) + block.lines
    schema = "file_path string, file_block_start bigint, shift bigint, dt date, file string, header int, "
    schema += "width int, is_torn boolean"
    known = lines.sparkSession.createDataFrame(places, schema)
    return (
        lines.join(F.broadcast(known), ["file_path", "file_block_start"])
        .withColumn("line", F.col("id") + F.col("shift"))
        .where((F.col("line") > 1) & (F.col("is_torn") | _is_filled()))
    )


def _typed(numbered: DataFrame, header: tuple[str, ...], landed: Table, names: Sequence[str]) -> DataFrame:
    """Rows of one header. What Spark cannot read in a column's plain spelling is read once more, word by word, in the
    spellings of its sources: most rows need that not."""
    from pyspark.sql import functions as F

    columns = {column.name: column for column in landed.columns}
    typed = ", ".join(f"`{name}` {columns[name].type}" for name in header) + ", `_corrupt` string"
    words = ", ".join(f"`{name}` string" for name in header) + ", `_corrupt` string"
    # A quote inside quotes is doubled, a backslash is a character, a line break inside quotes stays.
    options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": "_corrupt", "dateFormat": "yyyy-MM-dd"}
    options |= {"escape": '"', "multiLine": "true", "lineSep": "\n"}
    parsed = (
        numbered.withColumn("is_well_formed", torn.is_well_formed(F.col("raw_line")))
        .withColumn("parsed", F.from_csv("raw_line", typed, options))
        .withColumn("is_plain", F.col("is_well_formed") & F.col("parsed._corrupt").isNull())
        .withColumn("words", F.when(~F.col("is_plain"), F.from_csv("raw_line", words, options)))
    )
    values, unread = [], [F.col("words._corrupt").isNotNull()]
    for name, renamed in zip(landed.column_names, names, strict=True):
        column = columns[name]
        if name not in header:
            values.append(F.lit(None).cast(column.type).alias(renamed))
            continue
        plain, word = F.col(f"parsed.`{name}`"), F.col(f"words.`{name}`")
        spelled = spellings.read(word, column)
        unread.append(spellings.is_unread(word, spelled, column))
        value = F.when(F.col("is_plain"), spellings.without_nothing(plain, column)).otherwise(spelled)
        values.append(value.cast(column.type).alias(renamed))
    is_parsed = F.col("is_plain") | (F.col("is_well_formed") & ~reduce(or_, unread))
    return parsed.select(
        "dt", "file", "line", "raw_line", *values, F.coalesce(is_parsed, F.lit(False)).alias("is_parsed")
    )
