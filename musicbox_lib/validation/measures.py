"""What is measured of a whole day's delivery: the columns that day rules look at."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from musicbox_lib.validation.history import Counts, Measures
from musicbox_lib.validation.rules import FAULTY, UNREAD

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


Sums = dict[dt.date, dict[str, int]]


def sums_of(sessions: DataFrame, warnings: Sequence[str]) -> Sums:
    """Per day, what its sessions (`session_facts.with_deliveries`) add up to, the `warnings` of those that are clean,
    how many they are (`sessions`), how many of them are `unclean` and how many other days accepted (`known`)."""
    from pyspark.sql import functions as F

    told = [F.sum(name).alias(name) for name in SUMMED]
    told += [F.sum(F.when(F.col("is_clean"), F.col(name))).alias(name) for name in warnings]
    told += [F.count(F.lit(1)).alias("sessions"), F.count_if(~F.col("is_clean")).alias("unclean")]
    told += [F.count_if(F.col("first_accepted").isNotNull()).alias("known")]
    rows = sessions.groupBy("dt").agg(*told).collect()
    return {row.dt: row.asDict() for row in rows}


SUMMED = ("session_rows", "labelled", "skipped", "fresh", "without_propensity", "without_user")


def of_session_logs(sums: Sums, unknown: Mapping[dt.date, int] | None, counts: Counts, before: Days) -> Measures:
    """Per day of `counts`: `rows`, `rejected_share` (without mere repetitions), `unlabelled_share`, `skip_rate` (skip_2
    among labelled rows), `fresh_share`, `without_propensity_share`, `without_user_share`, `unknown_track_share` (None
    without a track table) and `days_since_last` (None for the first delivery; `before`: all days delivered)."""
    measures: Measures = {}
    for day, broken in counts.items():
        told = sums.get(day, dict.fromkeys(SUMMED, 0))
        rows = told["session_rows"] + broken.get(UNREAD, 0)
        measures[day] = {
            "rows": float(rows),
            "rejected_share": _share(broken.get(FAULTY, 0), rows),
            "unlabelled_share": _share(told["session_rows"] - told["labelled"], told["session_rows"]),
            "skip_rate": _share(told["skipped"], told["labelled"]),
            "fresh_share": _share(told["fresh"], told["session_rows"]),
            "without_propensity_share": _share(told["without_propensity"], told["session_rows"]),
            "without_user_share": _share(told["without_user"], told["session_rows"]),
            "unknown_track_share": None if unknown is None else _share(unknown.get(day, 0), rows),
            "days_since_last": _days_since(day, before),
        }
    return measures


def of_tracks(tracks: DataFrame, counts: Counts) -> Measures:
    """Per day of `counts`: `rows`, `rejected_share`, `without_audio_share` and `without_title_share` of the delivered
    track rows."""
    from pyspark.sql import functions as F

    asked = tracks.groupBy("dt").agg(
        F.count(F.lit(1)).alias("rows"),
        F.count_if(F.col("audio_values") == 0).alias("silent"),
        F.count_if(F.col("title").isNull()).alias("untitled"),
    )
    sums = {row.dt: row for row in asked.collect()}
    return {
        day: {
            "rows": float(sums[day].rows) if day in sums else 0.0,
            "rejected_share": _share(broken.get(FAULTY, 0), sums[day].rows if day in sums else 0),
            "without_audio_share": _share(sums[day].silent, sums[day].rows) if day in sums else None,
            "without_title_share": _share(sums[day].untitled, sums[day].rows) if day in sums else None,
        }
        for day, broken in counts.items()
    }


def plays_of_unknown_tracks(events: DataFrame, known_tracks: DataFrame) -> dict[dt.date, int]:
    """Per day, the rows whose track no valid track row describes."""
    from pyspark.sql import functions as F

    plays = events.groupBy("dt", "track_id").agg(F.count(F.lit(1)).alias("plays"))
    unknown = plays.join(known_tracks.select("track_id").distinct(), "track_id", "left_anti")
    return dict(unknown.groupBy("dt").agg(F.sum("plays")).collect())


Days = Sequence[dt.date]


def _days_since(day: dt.date, delivered: Days) -> float | None:
    earlier = [one for one in delivered if one < day]
    return float((day - max(earlier)).days) if earlier else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
