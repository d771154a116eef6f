"""The SQL server's catalogue in PostgreSQL, as Hive's metastore keeps it, where MUSICBOX_METASTORE names a database.

Its JDBC driver is fetched when asked for: `python -m musicbox_lib.sql.server_metastore`.
"""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from musicbox_lib.errors import UsageError
from musicbox_lib.machine import java
from musicbox_lib.machine.spark import local_conf
from musicbox_lib.settings import settings

DRIVER = "org.postgresql:postgresql:42.7.10"


def driver_folder() -> Path:
    """Where the database's JDBC driver lies: beside Delta's jars, not among them, because a job does without it."""
    return settings().jars / "metastore"


def fetch_driver() -> list[Path]:
    """Fetch the driver from Maven Central by Spark's own resolver; needs the network once."""
    from pyspark.sql import SparkSession

    os.environ["JAVA_HOME"] = str(java.choose().home)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    session = builder.config("spark.jars.packages", DRIVER).getOrCreate()
    resolved = session.sparkContext.getConf().get("spark.jars", "").split(",")
    session.stop()
    driver_folder().mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copy(jar.removeprefix("file:"), driver_folder())) for jar in resolved]


def metastore_conf(scratch: Path) -> dict[str, str]:
    """What the session needs for the metastore; nothing where the catalogue stays in memory.

    The password goes into a file in `scratch` that only this user reads: Spark would put it on the JVM's command line,
    where every user of the machine sees it. Raises UsageError for another database than PostgreSQL, and where its
    driver or a lasting folder for analysts' tables is missing.
    """
    address = settings().metastore
    if not address:
        return {}
    if not address.startswith("jdbc:postgresql://"):
        raise UsageError(f"MUSICBOX_METASTORE is {address!r}: write it as jdbc:postgresql://HOST:PORT/DATABASE.")
    if not settings().sql_warehouse:
        raise UsageError(
            "MUSICBOX_METASTORE wants MUSICBOX_SQL_WAREHOUSE beside it: "
            "a folder that outlives the server, for the tables that analysts make."
        )
    if not any(driver_folder().glob("*postgresql*.jar")):
        raise UsageError(
            f"there is no PostgreSQL driver in {driver_folder()}: "
            "run `.venv/bin/python -m musicbox_lib.sql.server_metastore` once, with the network."
        )
    folder = scratch / "conf"
    folder.mkdir(mode=0o700)
    site = folder / "hive-site.xml"
    site.touch(mode=0o600)
    site.write_text(_site(address))
    return {
        "spark.sql.catalogImplementation": "hive",
        "spark.driver.extraClassPath": f"{local_conf()['spark.driver.extraClassPath']}:{driver_folder()}/*:{folder}",
    }


def _stored_classes() -> list[str]:
    """The classes that Hive's metastore keeps in tables, as its own mapping lists them."""
    import pyspark

    [jar] = Path(pyspark.__path__[0], "jars").glob("hive-metastore-*.jar")
    with zipfile.ZipFile(jar) as opened:
        mapping = ElementTree.fromstring(opened.read("package.jdo"))
    return [
        f"{package.get('name')}.{stored.get('name')}"
        for package in mapping.iter("package")
        for stored in package.iter("class")
    ]


def _site(address: str) -> str:
    properties = {
        "javax.jdo.option.ConnectionURL": address,
        "javax.jdo.option.ConnectionDriverName": "org.postgresql.Driver",
        "javax.jdo.option.ConnectionUserName": settings().metastore_user,
        "javax.jdo.option.ConnectionPassword": settings().metastore_password.get_secret_value(),
        # Hive's own tables are made at the first start, all before the first view: made as they come to be needed, one
        # connection waits for the lock of the other, and both for ever.
        "datanucleus.schema.autoCreateAll": "true",
        "datanucleus.autoStartMechanism": "Classes",
        "datanucleus.autoStartClassNames": ",".join(_stored_classes()),
        "hive.metastore.schema.verification": "false",
    }
    lines = [
        f"<property><name>{name}</name><value>{escape(value)}</value></property>" for name, value in properties.items()
    ]
    return "\n".join(["<configuration>", *lines, "</configuration>"])


if __name__ == "__main__":
    sys.stdout.write(f"fetched {', '.join(jar.name for jar in fetch_driver())}\n")
