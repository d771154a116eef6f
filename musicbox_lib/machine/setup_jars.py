"""Resolve Delta's jars once, through Spark's own resolver: `python -m musicbox_lib.machine.setup_jars`."""

import os
import re
import shutil
import sys
from pathlib import Path

from musicbox_lib.machine import java
from musicbox_lib.settings import settings


def artifact(jar: Path) -> str:
    """`delta-storage` of both `io.delta_delta-storage-4.4.0.jar` and `delta-storage-4.4.0.jar`."""
    return re.sub(r"-[0-9][^-]*\.jar$", "", jar.name).split("_", 1)[-1]


def resolve(target: Path) -> list[Path]:
    """Fetch delta-spark's jars from Maven Central into `target`; needs the network once."""
    import pyspark
    from delta import configure_spark_with_delta_pip
    from pyspark.sql import SparkSession

    os.environ["JAVA_HOME"] = str(java.choose().home)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    session = configure_spark_with_delta_pip(builder).getOrCreate()
    # What it resolved, in the user's Ivy cache: a second set-up on a machine takes 7 s, not 28.
    resolved = [
        Path(jar.removeprefix("file:")) for jar in session.sparkContext.getConf().get("spark.jars", "").split(",")
    ]
    session.stop()
    # 27 of the 33 resolved jars (80 MB, Hadoop's client among them) come with pyspark already.
    shipped = {artifact(jar) for jar in Path(pyspark.__path__[0], "jars").glob("*.jar")}
    found = [jar for jar in sorted(resolved) if artifact(jar) not in shipped]
    target.mkdir(parents=True, exist_ok=True)
    for jar in found:
        shutil.copy(jar, target / jar.name)
    return found


if __name__ == "__main__":
    names = [jar.name for jar in resolve(settings().jars)]
    sys.stdout.write(f"resolved {', '.join(names)}\n")
