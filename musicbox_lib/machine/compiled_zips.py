"""Put compiled modules into Spark's zips: `python -m musicbox_lib.machine.compiled_zips`, after the jobs' packages.

Spark's driver and workers import pyspark from `python/lib/pyspark.zip`, where Python cannot keep what it compiled:
each process compiled the same modules again, 2.6 s of a job's 17.6 s (docs/decisions/0002).
"""

from __future__ import annotations

import time
import zipfile
from importlib._bootstrap_external import _code_to_timestamp_pyc  # type: ignore[attr-defined]  # what py_compile uses
from pathlib import Path

from musicbox_lib.machine.environment import spark_home


def compile_zip(path: Path) -> None:
    """Write the zip again with a `.pyc` beside every `.py`, which Python takes while date and size agree."""
    unfinished = path.with_suffix(".part")
    with zipfile.ZipFile(path) as given, zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as compiled:
        for entry in given.infolist():
            if entry.filename.endswith(".pyc"):
                continue
            content = given.read(entry)
            compiled.writestr(entry, content)
            if entry.filename.endswith(".py"):
                code = compile(content, f"{path.name}/{entry.filename}", "exec", dont_inherit=True)
                # A zip's times are local times without a zone, and Python reads them as such.
                modified = int(time.mktime((*entry.date_time, -1, -1, -1)))
                pyc = _code_to_timestamp_pyc(code, modified, len(content))
                compiled.writestr(zipfile.ZipInfo(entry.filename + "c", entry.date_time), pyc, zipfile.ZIP_DEFLATED)
    # A new file in the old one's place: the old one may be a link into the installer's cache.
    unfinished.replace(path)


if __name__ == "__main__":
    for archive in sorted((spark_home() / "python" / "lib").glob("*.zip")):
        compile_zip(archive)
