"""The files in which a line has an odd number of quotes: their lines joined into records, as `landing/records.py` says.

Only their lines that are no sound row by themselves are sorted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from musicbox_lib.landing.records import MOST_LINES, QUOTED, WELL_FORMED

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def has_odd_quotes(text: Column) -> Column:
    """Whether a line opens or closes a quote and does not do both."""
    from pyspark.sql import functions as F

    quotes = F.octet_length(text) - F.octet_length(F.replace(text, F.lit('"'), F.lit("")))
    return F.contains(text, F.lit('"')) & (quotes % 2 == 1)


def is_well_formed(text: Column) -> Column:
    """As `records.is_well_formed`."""
    from pyspark.sql import functions as F

    return ~F.contains(text, F.lit('"')) | text.rlike(rf"\A{WELL_FORMED}\z")


def _width_of(text: Column) -> Column:
    from pyspark.sql import functions as F

    bare = F.when(F.contains(text, F.lit('"')), F.regexp_replace(text, QUOTED, "")).otherwise(text)
    return F.octet_length(bare) - F.octet_length(F.replace(bare, F.lit(","), F.lit(""))) + 1


def joined(lines: DataFrame, kept: Sequence[str]) -> DataFrame:
    """Lines (`file_path`, `line`, `value`, `ending`, `width`: the header's, and what else is `kept`) of the files after
    their headers as records: `line` is the first one's, `value` the whole record as it came."""
    from pyspark.sql import functions as F

    odd = has_odd_quotes(F.col("value"))
    sound = ~odd & is_well_formed(F.col("value")) & (_width_of(F.col("value")) == F.col("width"))
    told = lines.withColumns({"odd": odd.cast("int"), "is_sound": sound})
    columns = ["file_path", *kept, "line", "value"]
    return told.where("is_sound").select(*columns).unionByName(_joined(told.where("NOT is_sound"), columns))


def _joined(lines: DataFrame, columns: Sequence[str]) -> DataFrame:
    """Lines that are no sound row by themselves, joined where quotes open and close. Neighbours form a stretch: between
    two stretches stands a sound row, and no record goes beyond one."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    in_file = Window.partitionBy("file_path").orderBy("line")
    in_stretch = Window.partitionBy("file_path", "stretch").orderBy("line")
    of_record = Window.partitionBy("file_path", "stretch", "record")
    before = F.sum("odd").over(in_stretch.rowsBetween(Window.unboundedPreceding, -1))
    opens = (F.coalesce(before, F.lit(0)) % 2 == 0).cast("int")
    told = (
        lines.withColumn("stretch", F.col("line") - F.row_number().over(in_file))
        .withColumn("opens", opens)
        .withColumn("record", F.sum("opens").over(in_stretch.rowsBetween(Window.unboundedPreceding, 0)))
        .withColumns({"lines": F.count(F.lit(1)).over(of_record), "quotes": F.sum("odd").over(of_record)})
        .withColumn("is_joined", F.col("lines").between(2, MOST_LINES) & (F.col("quotes") % 2 == 0))
    )
    parts = F.sort_array(F.collect_list(F.struct("line", "value", "ending")))
    same = [name for name in columns if name not in {"line", "value"}]
    joined = told.where("is_joined").groupBy(*same, "stretch", "record").agg(parts.alias("parts"))
    texts = F.transform("parts", lambda part: F.concat(part["value"], part["ending"]))
    last = F.element_at("parts", -1)
    whole = F.concat(F.array_join(F.slice(texts, 1, F.size("parts") - 1), ""), last["value"])
    return (
        told.where("NOT is_joined")
        .select(*columns)
        .unionByName(joined.withColumns({"line": F.col("parts")[0]["line"], "value": whole}).select(*columns))
    )
