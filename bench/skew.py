"""One user with half of all rows: the jobs' transforms on such a log against an ordinary one of as many rows. The ratio
is of seconds to the ordinary log's; a task per user is what could make it grow."""

from __future__ import annotations

import datetime as dt
import resource
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from bench.measured import Row
from musicbox_lib.contract.tables import table
from musicbox_lib.machine.spark import session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SIZES = {"small": 60_000, "full": 1_000_000}
DAY = dt.date(2026, 11, 5)
DAYS = 10
SESSION, SESSIONS_OF_A_USER = 20, 3
TRACKS = 2_000
GIANT = "giant"


def listening_events(spark: SparkSession, rows: int, giant_share: float) -> DataFrame:
    """Rows of silver.listening_events: sessions of 20 plays, three per user but for the giant's share of all sessions.
    Everything hangs on the row's number alone, so the log is the same on every run."""
    from pyspark.sql import functions as F

    number, place = F.expr(f"id div {SESSION}"), (F.col("id") % SESSION + 1).cast("int")
    # A user's sessions lie days apart, and the giant's lie among everybody's.
    user = F.when(F.pmod(F.xxhash64("number"), F.lit(1000)) < giant_share * 1000, F.lit(GIANT)).otherwise(
        F.concat(F.lit("u"), F.expr(f"number div {SESSIONS_OF_A_USER}"))
    )
    grade = F.pmod(F.xxhash64("id", F.lit(1)), F.lit(4)).cast("tinyint")
    play = F.date_sub(F.lit(DAY), (F.col("number") % DAYS).cast("int"))
    values = {
        "dt": play,
        "session_id": F.concat(F.lit("s"), "number"),
        "session_position": place,
        "session_length": F.lit(SESSION),
        "track_id": F.concat(F.lit("t"), F.pmod(F.xxhash64("id"), F.lit(TRACKS))),
        "skip_1": grade == 3,
        "skip_2": grade >= 2,
        "skip_3": grade >= 1,
        "not_skipped": grade == 0,
        "hour_of_day": F.lit(9),
        "date": play,
        "is_shuffle": F.lit(False),
        "premium": F.lit(True),
        "context_type": F.lit("catalog"),
        "reason_start": F.lit("fwdbtn"),
        "reason_end": F.lit("trackdone"),
        "user_id": user,
        "propensity": F.lit(1 / TRACKS),
        "skip_grade": grade,
        "session_date": play,
        "session_hour": F.lit(9),
    }
    declared = table("silver.listening_events").columns
    plain = spark.range(rows).withColumn("number", number)
    return plain.select(
        *[values.get(column.name, F.lit(0)).cast(column.type).alias(column.name) for column in declared]
    )


def cases(spark: SparkSession, events: DataFrame) -> dict[str, Callable[[], object]]:
    """What the night and the training do with a user's plays, each to its end."""
    from musicbox_lib.evaluation.night import judge_night
    from musicbox_lib.features.track_embeddings import track_embeddings
    from musicbox_lib.features.track_features import track_features
    from musicbox_lib.sessions.contexts import as_contexts
    from musicbox_lib.sessions.last_sessions import last_sessions
    from musicbox_lib.training.transitions import transitions

    features = track_features(events, spark.createDataFrame([], table("silver.known_tracks").ddl), DAY).persist()
    embeddings = track_embeddings(events, features, DAY).persist()
    known = features.toPandas(), embeddings.toPandas()
    return {
        "contexts": lambda: to_its_end(as_contexts(events)),
        "last_sessions": lambda: to_its_end(last_sessions(events, DAY, 30)),
        "track_features": lambda: to_its_end(
            track_features(events, spark.createDataFrame([], table("silver.known_tracks").ddl), DAY)
        ),
        "transitions": lambda: to_its_end(transitions(events, features, embeddings, DAY)),
        "policy_evaluation": lambda: judge_night(events, *known, None, None, DAY),
    }


def to_its_end(frame: DataFrame) -> None:
    """Compute every row, keep none."""
    frame.write.format("noop").mode("overwrite").save()


def seconds(rows: int, giant_share: float) -> dict[str, float]:
    """Of each case, on a log of so many rows."""
    spark = session("skew")
    events = listening_events(spark, rows, giant_share).persist()
    to_its_end(events)
    found = {}
    for name, work in cases(spark, events).items():
        started = time.perf_counter()
        work()
        found[name] = time.perf_counter() - started
    spark.catalog.clearCache()
    return found


def run(size: str) -> list[Row]:
    """Both logs; the small one once before, so that the JVM is warm for both."""
    seconds(SIZES["small"] // 10, 0.5)
    rows = SIZES[size]
    even, skewed = seconds(rows, 0.0), seconds(rows, 0.5)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    made: list[Row] = []
    for name, plain in even.items():
        base = {"size": size, "peak_mb": peak}
        made.append({**base, "case": f"{name}: ordinary log", "seconds": plain, "rate": rows / plain})
        took = skewed[name]
        made.append(
            {**base, "case": f"{name}: half of it one user's", "seconds": took, "rate": rows / took,
             "vs": "ordinary log", "ratio": took / plain}
        )  # fmt: skip
    return made
