"""Two Spark applications that write one table of a lake on S3 at one moment, with the table's lock and without it.

    . .setup/environment.sh && .venv/bin/python tests/faults/s3_pair.py [--rounds 10]

By hand, not in CI: it fetches hadoop-aws (700 MB, from Maven Central, into Spark's Ivy cache) and moto (from PyPI, into
an environment of its own under the temporary folder). The server is on loopback and ends with this program. It answers
one request at a time, so that a conditional PUT is atomic as it is on S3, and keeps a commit PUT without a condition
waiting for up to HOLD_SECONDS for a second one of the same version: without the lock, that is the moment at which one
is lost.

Each round both applications replace a day of their own through `lake.overwrite`. A commit is lost where its application
reported success and the day holds the rows of another round; the commits in the table's log are counted as well. Ends
with 0 where the lock lost none and its absence lost some, else with 1.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import re
import select
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.request import Request, urlopen

MOTO = "moto[server]==5.2.5"
HADOOP_AWS = "org.apache.hadoop:hadoop-aws:3.5.0"
CACHE = Path(tempfile.gettempdir()) / "musicbox-s3-pair"
BUCKET = "lake"
TABLE = "silver.validation_results"
DAYS = (dt.date(2026, 11, 4), dt.date(2026, 11, 5))
HOLD_SECONDS = 1.5
ANSWER_SECONDS = 180
SERVER_SECONDS = 1800
COMMIT = re.compile(r"/_delta_log/\d{20}\.json$")


# --- the server, in moto's own environment -------------------------------------------------------------------------


class OneAtATime:
    """A WSGI application in front of moto's: see the module."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app
        self.turn = threading.Lock()
        self.arrival = threading.Condition()
        self.waiting: Counter[str] = Counter()
        self.commits = {"conditional": 0, "unconditional": 0}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/pair/commits":
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(self.commits).encode()]
        if environ["REQUEST_METHOD"] == "PUT" and COMMIT.search(path):
            kind = "conditional" if "HTTP_IF_NONE_MATCH" in environ else "unconditional"
            self.commits[kind] += 1
            if kind == "unconditional":
                self.hold(path)
        with self.turn:
            return list(self.app(environ, start_response))

    def hold(self, path: str) -> None:
        with self.arrival:
            self.waiting[path] += 1
            self.arrival.notify_all()
            self.arrival.wait_for(lambda: self.waiting[path] > 1, timeout=HOLD_SECONDS)


def serve() -> None:
    """Say the port, then answer until the standard input ends."""
    from moto.moto_server.werkzeug_app import (  # type: ignore[import-not-found]
        DomainDispatcherApplication,
        create_backend_app,
    )
    from werkzeug.serving import make_server  # type: ignore[import-not-found]

    server = make_server("127.0.0.1", 0, OneAtATime(DomainDispatcherApplication(create_backend_app)), threaded=True)
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    select.select([sys.stdin], [], [], SERVER_SECONDS)
    os._exit(0)


# --- an application, in a process and a JVM of its own --------------------------------------------------------------


def write(day: str, endpoint: str, jars: str, is_locked: bool) -> None:
    """Say `ready`, then write the day once for each line of standard input, whose number the rows carry."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from musicbox_lib import lake
    from musicbox_lib.contract.tables import table
    from musicbox_lib.machine import spark

    if not is_locked:

        class Unlocked:
            def require(self) -> None: ...

        lake.table_lock = lambda name: nullcontext(Unlocked())
    conf = spark.local_conf()
    conf["spark.driver.extraClassPath"] += f":{jars}"
    conf["spark.driver.memory"] = "1g"
    for key, value in {"endpoint": endpoint, "endpoint.region": "us-east-1", "path.style.access": "true"}.items():
        conf[f"spark.hadoop.fs.s3a.{key}"] = value
    session = spark.session(f"writer of {day}", conf)
    session.range(1).count()
    replies.write("ready\n")
    replies.flush()
    for line in sys.stdin:
        row = (dt.date.fromisoformat(day), "tracks", f"round_{line.strip()}", "warn", "A rule.", 10, 1, 0.1, False)
        frame = session.createDataFrame([(*row, "go_on", None, None, None)], table(TABLE).ddl)
        try:
            rows = lake.overwrite(frame, lake.WritePartition.parse(f"{TABLE}/dt={day}"))
            answer: dict[str, object] = {"rows": rows}
        except Exception as failure:
            answer = {"failed": f"{type(failure).__name__}: {str(failure).splitlines()[0]}"}
        replies.write(json.dumps(answer) + "\n")
        replies.flush()


# --- the pair --------------------------------------------------------------------------------------------------------


@dataclass
class Result:
    """What the rounds of one mode showed."""

    reported: int = 0
    in_the_log: int = 0
    refused: int = 0
    lost: int = 0
    ledger_lines: int = 0
    seconds: float = 0.0


class Process:
    """A program of this file, asked and answering by lines."""

    def __init__(self, python: Path, words: list[str], said: IO[bytes]) -> None:
        self.words = " ".join(words[:2])
        self.process = subprocess.Popen(
            [str(python), __file__, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, bufsize=0
        )

    def line(self, seconds: float = ANSWER_SECONDS) -> str:
        assert self.process.stdout is not None
        ready = select.select([self.process.stdout], [], [], seconds)[0]
        line = self.process.stdout.readline().decode().strip() if ready else ""
        if not line:
            raise SystemExit(f"the process `{self.words}` gave no answer: look at {CACHE}/stderr")
        return line

    def ask(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def resolved_jars() -> str:
    """hadoop-aws and what it needs, as a class path; fetched at the first run."""
    program = (
        "from pyspark.sql import SparkSession\n"
        "builder = SparkSession.builder.master('local[1]').config('spark.ui.enabled', 'false')\n"
        f"session = builder.config('spark.jars.packages', '{HADOOP_AWS}').getOrCreate()\n"
        "print('jars=' + session.sparkContext.getConf().get('spark.jars'))\n"
    )
    kept = CACHE / "jars"
    if not kept.exists() or not all(Path(jar).exists() for jar in kept.read_text().split(":")):
        out = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True).stdout
        line = next(line for line in out.splitlines() if line.startswith("jars="))
        kept.write_text(":".join(re.sub("^file:/*", "/", jar) for jar in line.removeprefix("jars=").split(",")))
    return kept.read_text()


def moto_python() -> Path:
    """An environment with moto; made at the first run."""
    python = CACHE / "moto" / "bin" / "python"
    if not (CACHE / "moto" / "made").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(CACHE / "moto")], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", MOTO], check=True)
        (CACHE / "moto" / "made").touch()
    return python


@contextmanager
def started(python: Path, words: list[str]) -> Iterator[Process]:
    """The program; what it says besides its answers goes to CACHE/stderr."""
    with (CACHE / "stderr").open("ab") as said:
        process = Process(python, words, said)
        try:
            yield process
        finally:
            process.end()


def rounds_of(number: int, endpoint: str, jars: str, is_locked: bool) -> Result:
    """So many rounds of two writers on a lake of their own."""
    import deltalake

    from musicbox_lib import lake
    from musicbox_lib.settings import settings

    os.environ["MUSICBOX_LAKE"] = f"s3a://{BUCKET}/{uuid.uuid4().hex}"
    settings.cache_clear()
    result = Result()
    with ExitStack() as stack:
        mode = "locked" if is_locked else "unlocked"
        words = [["write", str(day), endpoint, jars, mode] for day in DAYS]
        writers = [stack.enter_context(started(Path(sys.executable), each)) for each in words]
        for writer in writers:
            assert writer.line() == "ready"
        # One after the other, so that the table is there and both JVMs are warm.
        for writer in writers:
            writer.ask("0")
            assert json.loads(writer.line()) == {"rows": 1}
        began = time.monotonic()
        for round_number in range(1, number + 1):
            for writer in writers:
                writer.ask(str(round_number))
            answers = [json.loads(writer.line()) for writer in writers]
            rows = deltalake.DeltaTable(lake.path_of(TABLE)).to_pyarrow_table().to_pylist()
            rules = {row["dt"]: row["rule"] for row in rows}
            for day, answer in zip(DAYS, answers, strict=True):
                result.reported += "rows" in answer
                result.refused += "failed" in answer
                result.lost += "rows" in answer and rules.get(day) != f"round_{round_number}"
            sys.stdout.write(f"  {mode}, round {round_number}: {answers}, the table has {sorted(rules.values())}\n")
            sys.stdout.flush()
        result.seconds = time.monotonic() - began
        history = deltalake.DeltaTable(lake.path_of(TABLE)).history()
        result.in_the_log = sum(commit["operation"] == "WRITE" for commit in history) - len(writers)
        ledger = deltalake.DeltaTable(lake.path_of(lake.LEDGER))
        result.ledger_lines = ledger.to_pyarrow_table().num_rows - len(writers)
    return result


def main() -> int:
    """Both modes; see the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    number = parser.parse_args().rounds
    CACHE.mkdir(parents=True, exist_ok=True)
    jars, python = resolved_jars(), moto_python()
    with started(python, ["serve"]) as server:
        endpoint = f"http://127.0.0.1:{int(server.line(60))}"
        os.environ |= {"AWS_ACCESS_KEY_ID": "pair", "AWS_SECRET_ACCESS_KEY": "pair", "AWS_REGION": "us-east-1"}
        os.environ |= {"AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true"}
        urlopen(Request(f"{endpoint}/{BUCKET}", method="PUT")).close()
        results = {is_locked: rounds_of(number, endpoint, jars, is_locked) for is_locked in (True, False)}
        with urlopen(f"{endpoint}/pair/commits") as answer:
            commits = json.load(answer)
    for is_locked, result in results.items():
        sys.stdout.write(
            f"{'with' if is_locked else 'without'} the lock: {number} rounds of two writers, {result.reported} commits "
            f"reported, {result.in_the_log} in the table's log, {result.refused} refused, {result.lost} lost, "
            f"{result.ledger_lines} ledger lines, {result.seconds:.0f} s\n"
        )
    sys.stdout.write(f"commit PUTs: {commits}\n")
    locked, unlocked = results[True], results[False]
    none_lost = locked.lost == 0 and locked.reported == locked.in_the_log == 2 * number
    return 0 if none_lost and unlocked.lost > 0 else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve()
    elif sys.argv[1:2] == ["write"]:
        write(sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5] == "locked")
    else:
        sys.exit(main())
