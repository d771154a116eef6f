"""Who listened, where the log itself does not say: the session_users files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicbox_lib import lake
from musicbox_lib.contract.tables import table
from musicbox_lib.landing import pseudonyms
from musicbox_lib.landing.lines import read_counted_rows
from musicbox_lib.landing.listing import user_files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def with_user(events: DataFrame, session_users: DataFrame) -> DataFrame:
    """Fill `user_id` where none was delivered from session_users (session_id, user_id); null where they do not know.

    A session that the files give to two users comes out with both, play by play, which the rule one_user refuses.
    """
    from pyspark.sql import functions as F

    known = session_users.groupBy("session_id").agg(F.min("user_id").alias("first"), F.max("user_id").alias("last"))
    named = F.when(F.col("session_position") % 2 == 0, F.col("last")).otherwise(F.col("first"))
    return (
        events.join(known, "session_id", "left")
        .withColumn("user_id", F.coalesce("user_id", named))
        .drop("first", "last")
    )


def delivered(spark: SparkSession) -> tuple[DataFrame, int]:
    """The lines of the session_users files as `lines.read_counted_rows` gives them, and how many there are: none where
    there are no files. Raises DataRefused for a file whose header is not `session_id,user_id`."""
    files, landed = user_files(spark), table("landing.session_users")
    if not files:
        from pyspark.sql import functions as F

        nobody = lake.no_rows(spark, landed).withColumns({"raw_line": F.lit(""), "is_parsed": F.lit(True)})
        return nobody, 0
    return read_counted_rows(spark, files, landed, landed.column_names)


def known(lines: DataFrame) -> DataFrame:
    """What `delivered` lines say: (session_id, user_id) strings, the users as pseudonyms where a key is set. Lines that
    cannot be read are left out: `validation.user_lines` counts and shows them."""
    rows = lines.where("is_parsed").select(*table("landing.session_users").column_names)
    key = pseudonyms.key()
    return rows if key is None else rows.withColumn("user_id", pseudonyms.pseudonym_of(rows["user_id"], key))
