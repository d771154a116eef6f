"""One case of the ingest bench in a process of its own: `python -m bench.ingest_case CASE DAY FILE` writes its
seconds (a JVM's start apart), the peak memory of the process and its JVM, and the rows that came out, as JSON."""

from __future__ import annotations

import datetime as dt
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bench import ingest_duckdb
from musicbox_lib import lake
from musicbox_lib.contract import jobs
from musicbox_lib.contract.tables import table
from musicbox_lib.lake import ReadPartition
from musicbox_lib.machine.spark import session
from musicbox_lib.orchestration import job
from musicbox_lib.validation.suite import import_ahead

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Rows = dict[str, int]


def _run(name: str, day: str) -> None:
    job.call(job.program(job.path_of(name)).main, name, jobs.job(name).words(day=day))


def _rows(*names: str) -> Rows:
    found = {name: lake.snapshot(name) for name in names}
    return {name.split(".")[1]: read.to_pyarrow_dataset().count_rows() for name, read in found.items() if read}


def musicbox(day: str) -> Rows:
    """The two jobs of a night, as they are."""
    _run("session_events", day)
    _run("listening_events", day)
    return _rows("silver.listening_events", "silver.rejected_events", "silver.validation_results")


def unvalidated(day: str) -> Rows:
    """The same tables without a rule: every line that fits its columns goes to silver, no session is looked at but for
    the hour it began."""
    from pyspark.sql import functions as F

    from musicbox_lib.validation.session_facts import session_facts
    from musicbox_lib.validation.session_logs import as_listening_events
    from musicbox_lib.validation.verdicts import hashed

    _run("session_events", day)
    spark = session("unvalidated")
    events = lake.read(spark, ReadPartition.parse(f"bronze.session_events/dt={day}")).where(
        "is_parsed AND track_id IS NOT NULL AND session_position IS NOT NULL"
    )
    sessions = session_facts(events.withColumn("breaks_alone", F.lit(False)))
    sessions = sessions.where(F.col("first_play").isNotNull()).withColumn("is_clean", F.lit(True)).persist()
    sessions = hashed(sessions, sessions.count())
    nothing = {"is_rejected": F.lit(0), "first_play": F.lit(None).cast("bigint")}
    nothing |= {name: F.lit(None).cast("date") for name in ("delivered_on", "superseded_on")}
    none = events.limit(0).withColumns(nothing)
    # Past the lake, whose table would refuse the rows that break a rule.
    return _written(as_listening_events(events, sessions, none), "unvalidated")


def _written(rows: DataFrame, name: str) -> Rows:
    import deltalake

    out = f"{lake.root()}/{name}"
    rows.write.format("delta").save(out)
    return {name: deltalake.DeltaTable(out).to_pyarrow_dataset().count_rows()}


def plain_spark(day: str) -> Rows:
    """What a job without this suite does: Spark's own CSV reader with the schema, one Delta table."""
    spark = session("plain_spark")
    schema = ", ".join(column.ddl for column in table("landing.session_logs").columns)
    read = spark.read.csv(f"{lake.root()}/landing/session_logs/dt={day}", schema=schema, header=True)
    return _written(read, "plain")


def duckdb(day: str) -> Rows:
    """DuckDB with the same rules."""
    root = Path(lake.root())
    return ingest_duckdb.ingest(sorted((root / "landing" / "session_logs" / f"dt={day}").iterdir()), root, day)


CASES: dict[str, Callable[[str], Rows]] = {case.__name__: case for case in (musicbox, unvalidated, plain_spark, duckdb)}


def _jvm_peak() -> float:
    """Megabytes that the JVM had at most; 0 without one."""
    from pyspark import SparkContext

    context = SparkContext._active_spark_context
    if context is None:
        return 0.0
    pid = context._jvm.ProcessHandle.current().pid()  # type: ignore[union-attr]
    status = Path(f"/proc/{pid}/status").read_text()
    return float(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    """Run the case that the words name."""
    case, day = sys.argv[1], str(dt.date.fromisoformat(sys.argv[2]))
    if case != "duckdb":
        # A job's own JVM is started beside the clock, and warm as one that has read a line; what the job imports while
        # its JVM starts, it imports here too.
        if case == "musicbox":
            import_ahead()
        session(case).range(1).count()
    started = time.perf_counter()
    rows = CASES[case](day)
    seconds = time.perf_counter() - started
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    answer = {"seconds": seconds, "peak_mb": own + _jvm_peak(), "rows": rows}
    Path(sys.argv[3]).write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
