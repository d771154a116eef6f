"""What lies in landing, listed by Hadoop's file system, so that any lake root works."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from musicbox_lib.errors import DataRefused
from musicbox_lib.landing import places, records
from musicbox_lib.landing.places import Delivery

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# A header of the 34 track columns has 420 characters.
LONGEST_HEADER = 1 << 14
log = logging.getLogger(__name__)


def _listed(spark: SparkSession, folder: str) -> list[Any]:
    """Hadoop's file statuses in a folder by name; none where the folder is not there."""
    jvm: Any = spark.sparkContext._jvm  # Hadoop's file systems have no Python face
    path = jvm.org.apache.hadoop.fs.Path(folder)
    system = path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
    found = list(system.listStatus(path)) if system.exists(path) else []
    return sorted(found, key=lambda status: str(status.getPath().getName()))


def line_ending(spark: SparkSession, delivery: Delivery) -> str:
    """What ends a file's header; a line feed where nothing does, or where the file cannot be read (the first pass over
    its lines says so)."""
    from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]

    jvm: Any = spark.sparkContext._jvm
    gateway: Any = spark.sparkContext._gateway
    buffer = gateway.new_array(jvm.char, LONGEST_HEADER)
    try:
        with _reader(spark, delivery) as reader:
            count = reader.read(buffer, 0, LONGEST_HEADER)
    except Py4JJavaError:
        return "\n"
    head = str(jvm.java.lang.String.valueOf(buffer, 0, count)) if count > 0 else ""
    return records.ending_of(head)


@contextmanager
def _reader(spark: SparkSession, delivery: Delivery) -> Iterator[Any]:
    """A Java reader of the file's text, unpacked."""
    jvm: Any = spark.sparkContext._jvm
    conf = spark.sparkContext._jsc.hadoopConfiguration()
    path = jvm.org.apache.hadoop.fs.Path(delivery.location)
    opened = path.getFileSystem(conf).open(path)
    try:
        codec = jvm.org.apache.hadoop.io.compress.CompressionCodecFactory(conf).getCodec(path)
        unpacked = opened if codec is None else codec.createInputStream(opened)
        text = jvm.java.io.InputStreamReader(unpacked, jvm.java.nio.charset.StandardCharsets.UTF_8)
        yield jvm.java.io.BufferedReader(text)
    finally:
        opened.close()


def first_line(spark: SparkSession, delivery: Delivery) -> str:
    """The first line of a file that can be read to its end and is not empty. An aggregate of the lines that kept it
    would sort all of them: a string does not fit the buffer of a hash aggregation."""
    with _reader(spark, delivery) as reader:
        return str(reader.readLine())


def _delivery(status: Any, day: dt.date, below: str) -> Delivery:
    name = str(status.getPath().getName())
    if not places.DATA_FILE.fullmatch(name):
        raise DataRefused(
            f"landing/{below}/{name} is not named *.csv or *.csv.gz, free of []{{}}*?\\: "
            "take it out and land it with `musicbox land`."
        )
    fingerprint = f"{status.getLen()}:{status.getModificationTime()}"
    path = status.getPath()
    return Delivery(day, name, f"{below}/{name}", str(path.toString()), str(path.toUri().toString()), fingerprint)


def _hidden(status: Any) -> bool:
    return str(status.getPath().getName()).startswith((".", "_"))


def log_deliveries(spark: SparkSession, until: dt.date) -> list[Delivery]:
    """The session logs delivered up to a day, by day and name. Later folders are not even opened."""
    found = []
    for folder in _listed(spark, places.landing(places.LOGS)):
        name = str(folder.getPath().getName())
        day = places.day_of_folder(name) if folder.isDirectory() else None
        if day is None:
            if not _hidden(folder):
                log.warning("landing/%s/%s is in no folder dt=YYYY-MM-DD and is not read", places.LOGS, name)
        elif day <= until:
            below = f"{places.LOGS}/{name}"
            statuses = _listed(spark, str(folder.getPath().toString()))
            found += [_delivery(status, day, below) for status in statuses if not _hidden(status)]
    return found


def track_deliveries(spark: SparkSession, until: dt.date) -> list[Delivery]:
    """The track tables known at a day, by name."""
    statuses = [status for status in _listed(spark, places.landing(places.TRACKS)) if not _hidden(status)]
    days = [places.day_of_tracks(str(status.getPath().getName())) for status in statuses]
    return [_delivery(status, day, places.TRACKS) for status, day in zip(statuses, days, strict=True) if day <= until]


def user_files(spark: SparkSession) -> list[Delivery]:
    """The files that name the user of each session; they carry no day and count as known from the start."""
    statuses = [status for status in _listed(spark, places.landing(places.USERS)) if not _hidden(status)]
    return [_delivery(status, places.ALWAYS, places.USERS) for status in statuses]
