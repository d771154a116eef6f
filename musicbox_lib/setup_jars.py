"""Resolve Delta's jars once, through Spark's own resolver: `python -m musicbox_lib.setup_jars`."""

import re
import shutil
import sys
import tempfile
from pathlib import Path

from musicbox_lib.settings import settings


def artifact(jar: Path) -> str:
    """`delta-storage` of both `io.delta_delta-storage-4.4.0.jar` and `delta-storage-4.4.0.jar`."""
    return re.sub(r"-[0-9][^-]*\.jar$", "", jar.name).split("_", 1)[-1]


def resolve(target: Path) -> list[Path]:
    """Fetch delta-spark's jars from Maven Central into `target`; needs the network once."""
    import pyspark
    from delta import configure_spark_with_delta_pip
    from pyspark.sql import SparkSession

    with tempfile.TemporaryDirectory() as ivy:
        builder = SparkSession.builder.master("local[1]").config("spark.jars.ivy", ivy).config("spark.ui.enabled", "false")
        configure_spark_with_delta_pip(builder).getOrCreate().stop()
        target.mkdir(parents=True, exist_ok=True)
        # 27 of the 33 resolved jars (80 MB, Hadoop's client among them) come with pyspark already.
        shipped = {artifact(jar) for jar in Path(pyspark.__path__[0], "jars").glob("*.jar")}
        found = [jar for jar in sorted(Path(ivy, "jars").glob("*.jar")) if artifact(jar) not in shipped]
        for jar in found:
            shutil.copy(jar, target / jar.name)
    return found


def archive_classes(jars: Path) -> None:
    """Write the JVM's class archive by running one small Delta round trip; a JVM without it starts all the same."""
    from musicbox_lib import spark

    archive = jars / "classes.jsa"
    archive.unlink(missing_ok=True)
    conf = spark.local_conf()
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as F

    with tempfile.TemporaryDirectory() as scratch:
        builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
        builder = builder.config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        builder = builder.config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        for key, value in conf.items():
            builder = builder.config(key, value)
        options = f"{conf['spark.driver.extraJavaOptions']} -XX:ArchiveClassesAtExit={archive}"
        session = builder.config("spark.driver.extraJavaOptions", options).getOrCreate()
        frame = session.range(100).select((F.col("id") % 3).alias("dt"), F.array("id").alias("values"))
        for _ in range(2):
            writer = frame.groupBy("dt").agg(F.collect_list("values").alias("values")).write.format("delta").mode("overwrite")
            writer.option("replaceWhere", "dt >= 0").partitionBy("dt").save(f"{scratch}/table")
        session.read.format("delta").load(f"{scratch}/table").where("dt = 1").toPandas()
        session.stop()


if __name__ == "__main__":
    names = [jar.name for jar in resolve(settings().jars)]
    sys.stdout.write(f"resolved {', '.join(names)}\n")
    archive_classes(settings().jars)
