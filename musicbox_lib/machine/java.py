"""Which Java the suite runs on. Standard library only: it is asked before any environment exists."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from musicbox_lib.errors import MusicBoxError

FIT = (17, 21)
"""The versions that Spark 4.2 is built and tested on."""
VECTORS = "jdk.incubator.vector"
"""Spark 4 starts its JVM with this module; a jlinked runtime without it does not start at all."""


@dataclass(frozen=True)
class Java:
    """A Java home, its feature version (17 of 17.0.15) and whether Spark can start on it."""

    home: Path
    version: int
    whole: bool

    @property
    def fits(self) -> bool:
        """Whether Spark 4.2 runs on it."""
        return self.version in FIT and self.whole


def _of(home: Path) -> Java | None:
    """The Java at that home, read from its `release` file: no JVM is started."""
    release = home / "release"
    if not (home / "bin" / "java").exists() or not release.exists():
        return None
    text = release.read_text(errors="replace")
    found = re.search(r'JAVA_VERSION="(?:1\.)?(\d+)', text)
    modules = re.search(r'^MODULES="(.*)"$', text, re.MULTILINE)
    whole = modules is None or VECTORS in modules.group(1).split()
    return Java(home, int(found.group(1)), whole) if found else None


def _homes(environ: Mapping[str, str]) -> Iterator[Path]:
    if environ.get("JAVA_HOME"):
        yield Path(environ["JAVA_HOME"])
    for pattern in ("usr/lib/jvm/*", "opt/*j*", "opt/java/*", "Library/Java/JavaVirtualMachines/*/Contents/Home"):
        yield from sorted(Path("/").glob(pattern))
    yield from sorted(Path("~/.sdkman/candidates/java").expanduser().glob("*"))
    on_path = shutil.which("java", path=environ.get("PATH"))
    if on_path:
        yield Path(on_path).resolve().parent.parent


def installed(environ: Mapping[str, str] | None = None) -> list[Java]:
    """Every Java found: JAVA_HOME first, then the usual folders, then the one on PATH."""
    homes = dict.fromkeys(home.resolve() for home in _homes(os.environ if environ is None else environ))
    return [java for home in homes if (java := _of(home))]


def choose(environ: Mapping[str, str] | None = None) -> Java:
    """The first Java that fits, 17 before 21 outside JAVA_HOME; raises with what to install where there is none."""
    found = installed(environ)
    fitting = [java for java in found if java.fits]
    given = (os.environ if environ is None else environ).get("JAVA_HOME")
    for java in fitting:
        if given and java.home == Path(given).resolve():
            return java
    if fitting:
        return min(fitting, key=lambda java: FIT.index(java.version))
    others = ", ".join(f"{java.version} in {java.home}" for java in found)
    raise MusicBoxError(
        f"there is no Java 17 or 21 here{f' (found {others}, on which Spark 4.2 does not run)' if others else ''}: "
        "install one, as with `apt-get install openjdk-17-jre-headless`, or point JAVA_HOME to it."
    )


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{choose().home}\n")
    except MusicBoxError as missing:
        sys.stderr.write(f"musicbox: {missing}\n")
        sys.exit(missing.exit_code)
