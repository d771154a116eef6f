"""The Spark session of a job, a test or a command, and what a local JVM is started with."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from musicbox_lib.errors import MusicBoxError, UsageError
from musicbox_lib.settings import settings

if TYPE_CHECKING:
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

_BRINGS_JARS = ("spark.driver.extraClassPath", "spark.jars", "spark.jars.packages")
"""Settings by which a submitter puts Delta on the class path."""
_GATEWAY = "PYSPARK_GATEWAY_PORT"
"""Set by spark-submit for the program that it starts."""


def local_conf() -> dict[str, str]:
    """What a JVM in local mode must be started with, whether by spark-submit or by this process.

    Raises where set-up has not resolved Delta's jars.
    """
    jars = settings().jars
    if not any(jars.glob("*delta-spark*.jar")):
        raise MusicBoxError(f"there are no Delta jars in {jars}: run `make setup`.")
    archive = jars / "classes.jsa"
    options = settings().local_jvm_options.split()
    # Classes come ready parsed from an archive: a job of one small write took 28 s with it, 36 s without.
    options += [f"-XX:SharedArchiveFile={archive}", "-Xshare:auto", "-Xlog:cds=off"] if archive.exists() else []
    return {
        # On the class path, not in spark.jars: classes of a later loader do not come from the archive.
        "spark.driver.extraClassPath": f"{jars}/*",
        "spark.driver.extraJavaOptions": " ".join(options),
        "spark.driver.memory": settings().driver_memory,
    }


def _submitted() -> SparkConf:
    """What spark-submit was given; empty without one."""
    from pyspark import SparkConf, SparkContext

    if _GATEWAY in os.environ:
        # They are the JVM's: before Python is connected to it there are none, and `--master yarn` ran as local[2].
        SparkContext._ensure_initialized()
    return SparkConf()


def session(name: str, conf: Mapping[str, str] = MappingProxyType({})) -> SparkSession:
    """A session with Delta, in UTC. Under spark-submit the submitter's master and memory stand. `conf` is what the
    program needs beyond that; it wins over what is set here.

    Raises UsageError under a local spark-submit that brings no jars."""
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    # Without this the driver announces its outside address, which a closed network refuses.
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = (
        SparkSession.builder.appName(name)
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        # On, every expression tells the JVM where in Python it was written: a small night's judging took 40 s, off 33.
        .config("spark.python.sql.dataFrameDebugging.enabled", "false")
        # A key of pseudonyms stands in a query's plan as two literals of 64 bytes: plans and event logs leave them out.
        .config("spark.sql.redaction.string.regex", "(?:0x|X')[0-9A-F]{128}")
    )
    submitted = _submitted()
    master = submitted.get("spark.master") or "local[2]"
    if master.startswith("local"):
        builder = (
            builder.master(master)
            .config("spark.sql.shuffle.partitions", str(settings().local_shuffle_partitions))
            # The default of 50 made 25 small operations take three minutes on two cores.
            .config("spark.databricks.delta.snapshotPartitions", "2")
            # Packed files do not split: in two tasks a core waits for the longer one.
            .config("spark.sql.files.minPartitionNum", "8")
            .config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false")
        )
        if not any(submitted.contains(name) for name in _BRINGS_JARS):
            if _GATEWAY in os.environ:
                # The JVM runs already: what is set now comes too late, and ends in two pages of Java.
                raise UsageError(
                    "spark-submit started a JVM without Delta's jars: on this machine call the job as a program, "
                    f"`python {sys.argv[0]} …`."
                )
            for key, value in local_conf().items():
                builder = builder.config(key, value)
    for key, value in conf.items():
        builder = builder.config(key, value)
    interrupted = signal.getsignal(signal.SIGINT)
    spark = builder.getOrCreate()
    # PySpark takes Ctrl-C for itself and asks a JVM that may be gone: who started this process says how it stops.
    if interrupted is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, interrupted)
    spark.sparkContext.setLogLevel("ERROR")
    logging.getLogger("py4j").setLevel(logging.ERROR)
    return spark
