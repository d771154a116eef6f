"""What every process of the suite starts with: `python -m musicbox_lib.machine.environment > .setup/environment.sh`.

One place for it, so that `make`, a shell that sources the file and Airflow's tasks agree.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

from musicbox_lib.errors import MusicBoxError
from musicbox_lib.machine import java
from musicbox_lib.settings import PROJECT

JOBS = PROJECT / ".venv"
AIRFLOW = PROJECT / ".venv-airflow"
TRAIN = PROJECT / ".venv-train"
AIRFLOW_HOME = PROJECT / ".airflow"


def airflow_home() -> Path:
    """Where Airflow keeps its database and logs."""
    return Path(os.environ.get("AIRFLOW_HOME", AIRFLOW_HOME))


def spark_home() -> Path:
    """Spark as the jobs' environment has it; spark-submit of either environment then runs the same jars, without
    which the class archive does not match."""
    return JOBS / "lib" / "python3.11" / "site-packages" / "pyspark"


def fixed() -> dict[str, str]:
    """Variables that are the same for every run on this machine."""
    return {
        "JAVA_HOME": str(java.choose().home),
        "SPARK_HOME": str(spark_home()),
        "PYSPARK_PYTHON": str(JOBS / "bin" / "python"),
        # Without this the driver announces its outside address, which a closed network refuses.
        "SPARK_LOCAL_IP": "127.0.0.1",
        "GX_ANALYTICS_ENABLED": "false",
        "AIRFLOW_HOME": str(AIRFLOW_HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        # Two tasks at a time on two cores; the pool `spark` lets only one of them be a JVM.
        "AIRFLOW__CORE__PARALLELISM": "2",
        # A DAG that is paused takes a trigger and then waits without a word.
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        # For development: everybody on this machine is admin, so the API listens on this machine only.
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def given() -> dict[str, str]:
    """Variables that the user's own value overrides."""
    return {
        # A missing connection would silently mean YARN.
        "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps({"conn_type": "spark", "host": "local[2]"}),
        "AIRFLOW__API__PORT": "8080",
    }


def script() -> str:
    """The variables as a POSIX shell script to be sourced from the project's folder."""
    lines = ["# Written by `make setup` for this machine: . .setup/environment.sh"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in fixed().items()]
    lines += [f'[ -n "${{{name}:-}}" ] || export {name}={shlex.quote(value)}' for name, value in given().items()]
    # Without compiled modules every process compiles what it imports: 3 s for pandas, 10 s for TensorFlow.
    lines.append("unset PYTHONDONTWRITEBYTECODE")
    # Without it, tasks look for Airflow's API on port 8080, whatever the port is.
    lines.append('export AIRFLOW__API__BASE_URL="http://127.0.0.1:$AIRFLOW__API__PORT"')
    # The jobs' first: `musicbox`, `python`, `beeline` and the operator's `spark-submit` are theirs; in Airflow's
    # environment `musicbox` finds none of what it imports. `airflow` is only in the other.
    lines.append(f'export PATH={shlex.quote(f"{JOBS}/bin:{AIRFLOW}/bin:{java.choose().home}/bin")}:"$PATH"')
    for name, default in (("MUSICBOX_LAKE", "lake"), ("MUSICBOX_TRUTH", "truth")):
        # Airflow's tasks run in other folders: a relative path means the one seen from here.
        lines.append(f': "${{{name}:={shlex.quote(str(PROJECT / default))}}}"')
        lines.append(f'case "${name}" in /* | *://*) ;; *) {name}="$PWD/${{{name}#./}}" ;; esac; export {name}')
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    try:
        sys.stdout.write(script())
    except MusicBoxError as missing:
        sys.stderr.write(f"musicbox: {missing}\n")
        sys.exit(missing.exit_code)
