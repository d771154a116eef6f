"""What must hold of a night's slates before anyone may see them; computed in Spark from the tables alone, so it does
not believe the code that made them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicbox_lib.errors import DataRefused

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FAULTS = {
    "unknown": "are not active users",
    "too_few": "have fewer than three unheard tracks to draw from",
    "twice": "have a track twice",
    "ranks": "have ranks other than 1, 2 and 3",
    "heard": "have a track that they heard in their last session",
    "chances": "have a propensity that is not above 0 and at most 1",
}
"""Each fault of a user's slate and how it is told."""


def count_faults(top3_recommendations: DataFrame, last_sessions: DataFrame) -> dict[str, int]:
    """How many users each fault befalls, and `users`, all active ones; one Spark action, one row to this process."""
    from pyspark.sql import functions as F

    judged = with_faults(top3_recommendations, last_sessions)
    counted = [F.count_if(name).alias(name) for name in FAULTS]
    row = judged.agg(F.count_if(~F.col("unknown")).alias("users"), *counted).first()
    return {} if row is None else {name: int(value) for name, value in row.asDict().items()}


def with_faults(top3_recommendations: DataFrame, last_sessions: DataFrame) -> DataFrame:
    """One row for every user that is active or has a slate: `user_id`, `tracks`, `places` and `propensities` of the
    slate, and a boolean for each of the `FAULTS`."""
    from pyspark.sql import functions as F

    slates = top3_recommendations.groupBy("user_id").agg(
        F.collect_list("track_id").alias("tracks"),
        F.sort_array(F.collect_list("rank")).alias("places"),
        F.collect_list("propensity").alias("propensities"),
        F.bool_and((F.col("propensity") > 0) & (F.col("propensity") <= 1)).alias("chances_hold"),
    )
    size = F.size("track_ids")
    in_session = F.least(F.col("n_in_session"), size)
    heard = last_sessions.select(
        "user_id", F.slice("track_ids", size - in_session + 1, in_session).alias("heard"), F.lit(True).alias("active")
    )
    known, answered = F.col("active").isNotNull(), F.col("tracks").isNotNull()
    wrong = {
        "unknown": ~known,
        "too_few": known & (~answered | (F.size("tracks") < 3)),
        "twice": answered & (F.size(F.array_distinct("tracks")) < F.size("tracks")),
        "ranks": answered & (F.size("tracks") >= 3) & (F.col("places") != F.array(F.lit(1), F.lit(2), F.lit(3))),
        "heard": known & answered & F.arrays_overlap("tracks", F.col("heard")),
        "chances": answered & ~F.coalesce("chances_hold", F.lit(False)),
    }
    joined = heard.join(slates, "user_id", "full_outer")
    told = [condition.alias(name) for name, condition in wrong.items()]
    return joined.select("user_id", "tracks", "places", "propensities", *told)


def refuse_faults(top3_recommendations: DataFrame, last_sessions: DataFrame, catalogue_size: int) -> int:
    """Raise DataRefused unless every active user has exactly three distinct, unheard tracks at ranks 1 to 3 with
    chances in (0, 1]; gives the number of users. The refusal names one user and the slate."""
    counts = count_faults(top3_recommendations, last_sessions)
    users = counts.pop("users")
    for fault, number in counts.items():
        if number:
            small = f" (the catalogue has {catalogue_size} tracks: deliver more)" if fault == "too_few" else ""
            [first] = with_faults(top3_recommendations, last_sessions).where(fault).orderBy("user_id").head(1)
            slate = "no slate" if first.tracks is None else _in_words(first.tracks, first.places, first.propensities)
            raise DataRefused(
                f"scores.top3_recommendations: {number} of {users} users {FAULTS[fault]}{small}, one of them "
                f"{first.user_id!r} with {slate}; nothing was published."
            )
    return users


def _in_words(tracks: list[str], ranks: list[int], propensities: list[float]) -> str:
    return (
        f"tracks {', '.join(tracks)} at ranks {', '.join(map(str, ranks))}, chances {', '.join(map(str, propensities))}"
    )
