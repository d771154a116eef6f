"""Write the JVM's class archive: `python -m musicbox_lib.machine.class_archive`, in a process of its own.

It runs after `setup_jars`.

The JVM writes the archive when it ends, after the Python process has let go of it. A JVM without the archive
starts all the same, only later (docs/decisions/0002).
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from musicbox_lib.errors import MusicBoxError
from musicbox_lib.machine import java, spark
from musicbox_lib.settings import settings


def rehearse(archive: Path) -> None:
    """Do in small what the jobs do, in a JVM that notes every class it loaded in `archive` when it ends."""
    import deltalake
    from pyspark.sql import SparkSession, Window
    from pyspark.sql import functions as F

    os.environ["JAVA_HOME"] = str(java.choose().home)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    conf = spark.local_conf()
    conf["spark.driver.extraJavaOptions"] += f" -XX:ArchiveClassesAtExit={archive} -Xlog:cds=off -Xlog:cds+dynamic=off"
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
    builder = builder.config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
    builder = builder.config("spark.sql.shuffle.partitions", "2").config("spark.ui.showConsoleProgress", "false")
    for key, value in conf.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch, "log.csv")
        log.write_text("track,skipped,score\n" + "".join(f"t{n % 7},{n % 2 == 0},{n / 7}\n" for n in range(200)))
        plays = session.read.csv(str(log), header=True, schema="track string, skipped boolean, score double")
        ranked = plays.withColumn("rank", F.row_number().over(Window.partitionBy("track").orderBy("score")))
        tracks = ranked.groupBy("track").agg(F.avg("score").alias("score"), F.collect_list("rank").alias("ranks"))
        joined = ranked.join(F.broadcast(tracks.select("track", "ranks")), "track").withColumn(
            "dt", F.lit("2026-11-05").cast("date")
        )
        # A table that is there already, as in all nights but the first: so the write looks for what it replaces.
        deltalake.write_deltalake(f"{scratch}/table", joined.limit(1).toArrow(), partition_by=["dt"])
        writer = joined.persist().write.format("delta").mode("overwrite").option("userMetadata", "rehearsal")
        writer.option("replaceWhere", "dt = '2026-11-05'").save(f"{scratch}/table")
        again = session.read.format("delta").load(f"{scratch}/table").where("dt = '2026-11-05'")
        again.mapInPandas(lambda blocks: blocks, again.schema).groupBy("skipped").count().toPandas()
    process = session.sparkContext._gateway.proc  # type: ignore[union-attr]  # pyspark keeps it there, untyped
    session.stop()
    # The JVM ends when its input closes, and takes a minute to write 100 MB: without the wait there is no archive.
    process.stdin.close()
    if process.wait(timeout=600):
        raise MusicBoxError(f"the JVM ended with {process.returncode} while writing {archive}: run `make setup` again.")


if __name__ == "__main__":
    # Under another name first: a JVM that starts meanwhile must not map half an archive.
    unfinished, finished = settings().jars / "classes.part", settings().jars / "classes.jsa"
    unfinished.unlink(missing_ok=True)
    # A JVM that maps one archive cannot write another.
    finished.unlink(missing_ok=True)
    rehearse(unfinished)
    unfinished.replace(finished)
