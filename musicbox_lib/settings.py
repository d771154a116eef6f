"""Every setting of the suite, read from `MUSICBOX_*` variables."""

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from musicbox_lib.errors import UsageError, unknown_words

PROJECT = Path(__file__).resolve().parent.parent
PREFIX = "MUSICBOX_"
NOT_SETTINGS = (
    # When the demo began, and which process tells of a stop.
    "MUSICBOX_DEMO_STARTED",
    "MUSICBOX_STOP_TOLD_BY",
    # Which page and which file get the table of faults, how many kills a fault test makes, how many rows a log has.
    "MUSICBOX_FAULT_PAGE",
    "MUSICBOX_FAULT_TABLE",
    "MUSICBOX_KILLS",
    "MUSICBOX_LARGE_ROWS",
)
"""Variables of the prefix that make, the commands among themselves and the tests read."""


class Settings(BaseSettings):
    """The suite's settings; `MUSICBOX_LAKE=/data/lake` sets `lake`."""

    model_config = SettingsConfigDict(env_prefix="MUSICBOX_", frozen=True)

    lake: str = "./lake"
    """Root of the lake: a folder, or a path on an object store or HDFS (`s3a://…`, docs/decisions/0024)."""
    schemas: Path = PROJECT / "schemas"
    """The contract: one YAML per table."""
    jars: Path = PROJECT / ".jars"
    """Delta's jars, resolved once at set-up."""
    truth: Path = Path("./truth")
    """What the generator knows about its world; only the evaluation may open it."""
    active_days: int = 30
    """A user is active when a session was delivered within that many days up to the run date."""
    training_days: int = 60
    """How many days of deliveries a training reads."""
    report_contexts: int = 20_000
    """How many contexts of a night the counterfactual reports look at: a hash chooses, the same ones on every run."""
    suite_rows: int = 200_000
    """How many rows of a night Great Expectations looks at beside those that the split flagged: all of an ordinary one,
    every k-th of a bigger one. The split itself looks at every row."""
    seed: int = 20261105
    """Seed of everything random."""
    policies: str = ""
    """Further policies to fit, judge and show, as `module:Class`, several with commas between them. Python must find
    the module wherever jobs run, on Spark's workers too (docs/extend/policy.md)."""
    run_id: str = ""
    """The Airflow run a write belongs to; empty for a run by hand."""
    code_version: str = ""
    """What the ledger records as the code's version; empty asks git, then the package."""
    local_shuffle_partitions: int = 4
    """Shuffle partitions in local mode: 50 made 25 small operations take three minutes."""
    driver_memory: str = "3g"
    """Driver memory where this process starts the JVM itself (tests, CLI)."""
    local_jvm_options: str = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=256m"
    """JVM options in local mode. The quick compiler alone suits jobs of seconds; set it empty for long local runs.
    With it the JVM keeps room for 48 MB of code, which a long session fills (`Out of space in CodeCache`)."""
    lock_seconds: float = 600.0
    """How long a write waits for the table's lock."""
    lease_seconds: float = 300.0
    """On an object store: how long a table's lock outlives its last renewal. A writer that was killed keeps it so long;
    one that stands still for longer loses it. MUSICBOX_LOCK_SECONDS must be more, or nobody waits long enough."""
    sql_host: str = "127.0.0.1"
    """Where `make sql-server` listens. It asks nobody for a password: another address is for a container alone, whose
    published port is bound to the machine's own."""
    sql_port: int = 10000
    """Its port."""
    sql_refresh_seconds: float = 15.0
    """How often it looks for tables written for the first time; a new version of a table is seen at once."""
    sql_warehouse: str = ""
    """Where tables go that an analyst makes through it; empty: a temporary folder that goes with it."""
    sql_views: Path | None = None
    """A folder of analysts' own views: NAME.sql each, as in `musicbox_lib/sql/views`; unset: none."""
    metastore: str = ""
    """A PostgreSQL database that keeps its catalogue, as `jdbc:postgresql://HOST:PORT/DATABASE`; empty: in memory."""
    metastore_user: str = "musicbox"
    """The database's user."""
    metastore_password: SecretStr = SecretStr("")
    """That user's password."""
    user_key: SecretStr = SecretStr("")
    """The key that makes users pseudonyms, at least 16 characters; empty keeps the delivered ids."""
    user_key_file: Path | None = None
    """A file that holds the key instead."""
    vacuum_days: int = 7
    """How long a table's replaced files stay, at least 7: as far back as time travel and RESTORE surely reach."""
    keep_landing_days: int | None = None
    """How many days of session logs landing keeps, counted back from the newest that bronze holds; unset keeps all."""
    keep_bronze_days: int | None = None
    """The same for bronze.session_events; at least as many as landing keeps."""
    keep_silver_days: int | None = None
    """The same for silver; at least as many as bronze keeps, and as nights and trainings read."""
    keep_gold_days: int | None = 60
    """The same for the gold tables: a night reads its own day and the one before."""
    keep_training_days: int | None = 30
    """The same for training.transitions: a training reads its own day."""
    keep_baselines_days: int = 180
    """How many days of models.baselines, counted back from the newest, keep their folders."""
    mssd_log: Path = PROJECT.parent / "shared" / "data" / "mssd_sessions_4000.csv.gz"
    """The real listening log that tests marked `mssd` read."""


def refuse_unknown(variables: Iterable[str]) -> None:
    """Raise UsageError for variables of the prefix that nobody reads: a mistyped MUSICBOX_LAKE would leave the default
    in force without a word."""
    known = [*(f"{PREFIX}{name.upper()}" for name in Settings.model_fields), *NOT_SETTINGS]
    ours = sorted(name.upper() for name in variables if name.upper().startswith(PREFIX))
    if odd := unknown_words(ours, known, PREFIX):
        raise UsageError(f"the environment holds {odd}, which no part of MusicBox reads: correct the name or unset it.")


@lru_cache
def settings() -> Settings:
    """The process's settings, read once. Raises UsageError for an unknown name and for a value that does not parse."""
    refuse_unknown(os.environ)
    try:
        return Settings()
    except ValidationError as wrong:
        # The value itself may be a secret: the variable's name and the reason are enough to find it.
        reasons = [f"{PREFIX}{str(error['loc'][0]).upper()} ({error['msg']})" for error in wrong.errors()]
        raise UsageError(f"the environment holds values that cannot be read: {'; '.join(reasons)}.") from None
