"""A process of its own that runs jobs on request: `python other_process.py spark|both|tensorflow`.

It warms up (a Spark session, TensorFlow, or both), says `ready`, then reads requests from its standard input, one JSON
object a line: `{"lake": …, "job": …, "words": […]}`. It runs the job's real `main` with those words and answers with
one JSON line: `{"seconds": …}`, or with `"refused"` and the exception's text. So the time that a JVM takes to start is
not part of what a test kills or measures.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))


def warm_up(kind: str) -> None:
    if kind in ("spark", "both"):
        from musicbox_lib.machine.spark import session

        session("other process").range(1).count()
    if kind == "both":
        import lightgbm  # noqa: F401
        import sklearn.linear_model  # noqa: F401
    if kind == "tensorflow":
        import petastorm  # noqa: F401
    if kind in ("tensorflow", "both"):
        import tensorflow

        tensorflow.constant(0)


def answer(request: dict[str, object]) -> dict[str, object]:
    from deliveries import the_job

    from musicbox_lib.orchestration import job
    from musicbox_lib.settings import settings

    os.environ["MUSICBOX_LAKE"] = str(request["lake"])
    settings.cache_clear()
    name, words = str(request["job"]), request["words"]
    assert isinstance(words, list)
    main = the_job(name).main
    started = time.monotonic()
    try:
        job.call(main, name, words)
    except Exception as refusal:
        return {"seconds": time.monotonic() - started, "refused": f"{type(refusal).__name__}: {refusal}"}
    return {"seconds": time.monotonic() - started}


def main() -> None:
    # Spark and TensorFlow write to the standard output; the answers go where nothing else does.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warm_up(sys.argv[1])
    replies.write("ready\n")
    replies.flush()
    for line in sys.stdin:
        replies.write(json.dumps(answer(json.loads(line))) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
