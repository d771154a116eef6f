"""bronze.tracks judged by the rules of silver.known_tracks, and split by them."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from musicbox_lib.contract.sound import SOUND
from musicbox_lib.contract.tables import table
from musicbox_lib.contract.typed import contract
from musicbox_lib.validation.rules import set_aside, with_broken_rules
from musicbox_lib.validation.session_facts import open_quotes

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

RULES = "silver.known_tracks"
SHARES = (
    *("acousticness", "beat_strength", "bounciness", "danceability", "energy", "instrumentalness", "liveness"),
    *("mechanism", "organism", "speechiness", "valence"),
)
"""Descriptors that lie in 0 to 1; flatness and the dynamic range do not (1.1 and 32.3 in the dataset)."""


def flag_tracks(tracks: DataFrame) -> DataFrame:
    """The bronze rows with their facts and the rules that each breaks, as `listening_events.flag` does."""
    return with_broken_rules(tracks.transform(with_track_facts), table(RULES))


def with_track_facts(tracks: DataFrame) -> DataFrame:
    """Add `open_quotes` (0 or 1), `infinite_values`, `odd_shares` and `audio_values` (counts), and what the rows of one
    track and day tell together, null where the track cannot be read: `copy_number` (1 for the first of equal rows) and
    `track_contents` (1, or 2 where rows differ)."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    told = [name for name in tracks.columns if name not in {"dt", "file", "line", "raw_line"}]
    numbers = [F.col(name).cast("double") for name in SOUND]
    shares = [F.col(name) for name in SHARES]
    of_track = Window.partitionBy("dt", "track_key")
    readable = F.col("track_id").isNotNull() & F.col("is_parsed")
    content = F.when(readable, F.xxhash64(*told))
    facts = tracks.withColumns(
        {
            "open_quotes": open_quotes(),
            "infinite_values": _count([F.isnan(value) | (F.abs(value) >= 1e30) for value in numbers]),
            "odd_shares": _count([~value.between(0, 1) for value in shares]),
            "audio_values": _count([value.isNotNull() for value in numbers]),
            # A key of its own for every row whose track cannot be read: a null would gather them in one task.
            "track_key": F.when(readable, F.col("track_id")).otherwise(F.concat_ws(":", F.lit(""), "file", "line")),
            "content": content,
        }
    )
    first = F.row_number().over(of_track.orderBy("file", "line"))
    differ = F.min("content").over(of_track) != F.max("content").over(of_track)
    return facts.withColumns(
        {
            "copy_number": F.when(readable, first),
            "track_contents": F.when(readable, F.when(differ, 2).otherwise(1)),
        }
    ).drop("track_key", "content")


def _count(conditions: list[Column]) -> Column:
    from pyspark.sql import functions as F

    return reduce(add, [F.coalesce(condition, F.lit(False)).cast("int") for condition in conditions])


@contract(takes={}, gives="silver.rejected_tracks")
def as_rejected_tracks(flagged: DataFrame) -> DataFrame:
    """The rows that broke a quarantine rule, with all that they broke."""
    return set_aside(flagged, table(RULES))


@contract(takes={}, gives="silver.known_tracks")
def as_known_tracks(flagged: DataFrame) -> DataFrame:
    """The sound rows."""
    return flagged.where("is_rejected = 0")
