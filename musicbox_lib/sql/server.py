"""A Spark Thrift Server over the lake, for JDBC and beeline: `python -m musicbox_lib.sql.server`, on this machine only.

One Spark session in this process; every connection gets a session of its own on the same catalogue. By default the
catalogue lives in memory and goes with the server; MUSICBOX_METASTORE keeps it in a database (docs/decisions/0015).
"""

from __future__ import annotations

import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from musicbox_lib import lake
from musicbox_lib.errors import Conflict, DataRefused, MusicBoxError
from musicbox_lib.machine import java, stopping
from musicbox_lib.settings import settings
from musicbox_lib.sql.server_catalogue import Catalogue, wanted_entries
from musicbox_lib.sql.server_metastore import metastore_conf

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CLOSING = 10.0
"""Seconds that the server has to close its session, until its JVM is ended."""


def server_conf(scratch: Path) -> dict[str, str]:
    """What the server's session needs beyond a job's; `scratch` is a folder that goes with the server."""
    return {
        "spark.hadoop.hive.server2.thrift.bind.host": settings().sql_host,
        "spark.hadoop.hive.server2.thrift.port": str(settings().sql_port),
        # Where a table goes that an analyst makes: never into the lake.
        "spark.sql.warehouse.dir": settings().sql_warehouse or str(scratch / "warehouse"),
        "spark.hadoop.hive.exec.scratchdir": str(scratch / "hive"),
        "spark.hadoop.hive.exec.local.scratchdir": str(scratch),
        "spark.hadoop.hive.downloaded.resources.dir": str(scratch / "hive_resources"),
        "spark.hadoop.hive.server2.logging.operation.log.location": str(scratch / "operation_logs"),
        # "quoted" is a name, as in standard SQL and in DuckDB, not a text: one question serves both.
        "spark.sql.ansi.doubleQuotedIdentifiers": "true",
        # Rows go to the client as it reads them: an answer larger than memory would otherwise end the server.
        "spark.sql.thriftServer.incrementalCollect": "true",
        # Delta's short cut for max(dt) takes a date for java.sql.Date; in this server's sessions it is a
        # java.time.LocalDate, and the query dies of a ClassCastException (delta-io/delta issue 4201).
        "spark.databricks.delta.optimizeMetadataQuery.enabled": "false",
    }


def serve(answering: threading.Event) -> None:
    """Show the lake until a stop is requested, and set `answering` once it does. Raises Conflict where the port is
    taken, DataRefused for an empty lake."""
    java.choose()
    if not wanted_entries():
        raise DataRefused(f"no table has been written yet in {lake.root()}: run the nightly DAG first.")
    _refuse_a_taken_port()
    with tempfile.TemporaryDirectory(prefix="musicbox-sql-") as folder, _session(Path(folder)) as spark:
        catalogue = Catalogue(spark)
        shown = catalogue.refresh()
        with _listening(spark, Path(folder)):
            _say(_greeting(shown))
            answering.set()
            told = _tell_refused(catalogue, {})
            while not stopping.requested.wait(settings().sql_refresh_seconds):
                catalogue.refresh()
                told = _tell_refused(catalogue, told)


@contextmanager
def _session(scratch: Path) -> Iterator[SparkSession]:
    from musicbox_lib.machine.spark import session

    spark = session("sql-server", server_conf(scratch) | metastore_conf(scratch))
    process = spark.sparkContext._gateway.proc  # type: ignore[union-attr]  # pyspark keeps it there, untyped
    try:
        yield spark
    finally:
        spark.stop()
        # The JVM ends when its input closes; it writes to its scratch folder until then.
        process.stdin.close()
        process.wait(timeout=60)


@contextmanager
def _listening(spark: SparkSession, scratch: Path) -> Iterator[None]:
    """The server's threads, from the moment they accept connections."""
    jvm = spark._jvm
    assert jvm is not None
    # Its own start looks into a Derby database in memory, whose log file would land in the working directory.
    jvm.java.lang.System.setProperty("derby.stream.error.file", str(scratch / "derby.log"))
    # A wrong question is told to the one who asked; here it would be 80 lines of trace each.
    operation = "org.apache.spark.sql.hive.thriftserver.SparkExecuteStatementOperation"
    jvm.org.apache.logging.log4j.core.config.Configurator.setLevel(operation, jvm.org.apache.logging.log4j.Level.OFF)
    thrift = jvm.org.apache.spark.sql.hive.thriftserver.HiveThriftServer2
    server = thrift.startWithSparkSession(spark._jsparkSession, False)
    try:
        _wait_until_it_answers()
        yield
    finally:
        server.stop()


def _wait_until_it_answers() -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            socket.create_connection(_address(), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise MusicBoxError(f"the SQL server does not answer on {_address()} after 60 s: look at what Spark said above.")


def _refuse_a_taken_port() -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings().sql_host, settings().sql_port))
        except OSError as error:
            raise Conflict(
                f"port {settings().sql_port} on {settings().sql_host} cannot be had ({error.strerror}): "
                "stop what listens there or set MUSICBOX_SQL_PORT."
            ) from None


def _address() -> tuple[str, int]:
    return settings().sql_host, settings().sql_port


def _greeting(shown: int) -> str:
    url = "jdbc:hive2://{}:{}/".format(*_address())
    return (
        f"{shown} tables and views of {lake.root()} at {url} (no password, this machine only; Ctrl-C stops it).\n"
        "In another terminal: . .setup/environment.sh\n"
        f'  beeline -u {url} -e "SELECT * FROM latest_recommendations LIMIT 6"\n'
        f"  beeline -u {url} -f docs/questions.sql"
    )


def _tell_refused(catalogue: Catalogue, told: Mapping[str, str]) -> dict[str, str]:
    """Say once what cannot be shown; returns what has been said."""
    for name, reason in catalogue.refused.items():
        if told.get(name) != reason:
            _say(f"{name} cannot be shown: {reason}")
    return dict(catalogue.refused)


def _say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def main() -> int:
    """Serve until stopped; returns the exit code of a refusal."""
    answering, closed = threading.Event(), threading.Event()

    def end() -> None:
        # Once it answers it closes its session by itself; before, its JVM is still on the way up.
        if answering.is_set():
            closed.wait(CLOSING)
        stopping.end_children()

    try:
        settings()
        with stopping.stoppable(lambda: "the SQL server's work", "`make sql-server`", end=end, unwinding=2):
            try:
                serve(answering)
            finally:
                closed.set()
    except MusicBoxError as refusal:
        sys.stderr.write(f"musicbox: {refusal}\n")
        return refusal.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
