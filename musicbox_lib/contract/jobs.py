"""Every job, declared once: what it reads, writes and is told, in the order of its arguments.

The parser of a job, its Airflow task, the replay, the benches, the data dictionary, the reference and the sentence
"run the job X first" are made from this list; `main` of `jobs/NAME.py` takes exactly these arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# Which days of a table a job takes on a run. `{day}` is the run's date, a template where Airflow fills it in.
DAY = "dt={day}"
UP_TO_DAY = "dt=..{day}"
TRAINING_DAYS = "dt={training_from}..{day}"
DAY_AND_BEFORE = "dt={day_before}..{day}"
UP_TO_DAY_BEFORE = "dt=..{day_before}"
NEWEST_BEFORE = "dt=latest..{day_before}"
WHOLE = ""
"""A table without partitions."""


@dataclass(frozen=True)
class Read:
    """A table that a job reads; the argument has the table's noun."""

    table: str
    days: str

    @property
    def name(self) -> str:
        """The argument's name."""
        return self.table.partition(".")[2]

    @property
    def word(self) -> str:
        """The argument's value, days still to be filled in: `gold.last_sessions/dt={day}`."""
        return f"{self.table}/{self.days}" if self.days else self.table


@dataclass(frozen=True)
class Write(Read):
    """A table that a job writes."""


@dataclass(frozen=True)
class Value:
    """Anything else that a job is told. An optional one is left out where nobody gives it."""

    name: str
    kind: Literal["date", "int", "path", "text"]
    about: str
    word: str
    required: bool = True


RUN_DATE = Value("run_date", "date", "The day that the run is for.", "{day}")
SEED = Value("seed", "int", "Seed of everything random.", "{seed}")
MODELS = Value("models", "path", "The folder that holds a folder per model.", "{models}")
MODEL = Value("model", "text", "The model's id; without it the newest folder trained for the run date.", "", False)
GOLD = (Read("gold.track_features", DAY), Read("gold.track_embeddings", DAY))
GOLD_BEFORE = (Read("gold.track_features", NEWEST_BEFORE), Read("gold.track_embeddings", NEWEST_BEFORE))


@dataclass(frozen=True)
class Job:
    """`jobs/NAME.py`: its arguments in order, and the environment whose interpreter runs it."""

    name: str
    arguments: tuple[Read | Write | Value, ...]
    environment: Literal["jobs", "train"] = "jobs"

    @property
    def reads(self) -> list[str]:
        """The tables read, as `stage.table`."""
        return [given.table for given in self.arguments if isinstance(given, Read) and not isinstance(given, Write)]

    @property
    def writes(self) -> list[str]:
        """The tables written."""
        return [given.table for given in self.arguments if isinstance(given, Write)]

    def words(self, **run: str) -> list[str]:
        """The command line of a run: `run` has `day`, and what else the arguments name of `day_before`,
        `training_from`, `seed` and `models`. Raises KeyError for one that is missing."""
        filled = [(given.name, given.word.format_map(run)) for given in self.arguments]
        return [word for name, value in filled if value for word in (option(name), value)]


def option(name: str) -> str:
    """An argument's name on a command line."""
    return f"--{name.replace('_', '-')}"


JOBS = (
    Job("session_events", (RUN_DATE, Write("bronze.session_events", UP_TO_DAY), Write("bronze.tracks", UP_TO_DAY))),
    Job(
        "listening_events",
        (
            Read("bronze.session_events", UP_TO_DAY),
            Read("bronze.tracks", UP_TO_DAY),
            Write("silver.listening_events", UP_TO_DAY),
            Write("silver.superseded_events", UP_TO_DAY),
            Write("silver.rejected_events", UP_TO_DAY),
            Write("silver.known_tracks", UP_TO_DAY),
            Write("silver.rejected_tracks", UP_TO_DAY),
            Write("silver.validation_results", UP_TO_DAY),
            Write("silver.validation_examples", UP_TO_DAY),
        ),
    ),
    Job(
        "track_features",
        (
            Read("silver.listening_events", UP_TO_DAY),
            Read("silver.known_tracks", UP_TO_DAY),
            Write("gold.track_features", DAY),
            Write("gold.track_embeddings", DAY),
        ),
    ),
    Job("last_sessions", (Read("silver.listening_events", UP_TO_DAY), Write("gold.last_sessions", DAY))),
    Job("skip_prediction", (Read("silver.listening_events", TRAINING_DAYS), Write("reports.skip_prediction", DAY))),
    Job(
        "transitions",
        (Read("silver.listening_events", TRAINING_DAYS), *GOLD, Write("training.transitions", DAY)),
    ),
    Job("trainer", (Read("training.transitions", DAY), *GOLD, SEED, MODELS), environment="train"),
    Job(
        "baselines",
        (Read("silver.listening_events", TRAINING_DAYS), *GOLD, Write("models.baselines", DAY), SEED, MODELS),
    ),
    Job("registry", (RUN_DATE, Read("silver.listening_events", UP_TO_DAY), Write("models.registry", WHOLE), MODEL)),
    Job(
        "top3_recommendations",
        (
            Read("gold.last_sessions", DAY),
            *GOLD,
            Read("models.registry", WHOLE),
            Write("scores.top3_recommendations", DAY),
        ),
    ),
    Job(
        "policy_evaluation",
        (
            Read("silver.listening_events", UP_TO_DAY),
            # Nothing that a policy knows may come from the night that evaluates it.
            *GOLD_BEFORE,
            Read("models.registry", WHOLE),
            Read("models.baselines", UP_TO_DAY_BEFORE),
            Write("reports.policy_evaluation", DAY),
            Write("reports.skip_rate", DAY),
            Write("reports.policy_comparison", DAY),
        ),
    ),
    Job(
        "diversity",
        (
            # Two days: how much of the slate before comes again.
            Read("scores.top3_recommendations", DAY_AND_BEFORE),
            Read("gold.last_sessions", DAY),
            *GOLD,
            Read("silver.listening_events", DAY),
            Write("reports.diversity", DAY),
        ),
    ),
)
"""In an order in which they can run."""
# The ledger is written with every write: the first job of a night begins it.
BEGINS_THE_LEDGER = "session_events"


def job(name: str) -> Job:
    """The job of that name; raises KeyError where there is none."""
    return {declared.name: declared for declared in JOBS}[name]


def writer_of(table: str) -> str:
    """The name of the job that writes a table of the lake; raises KeyError for a table that no job writes."""
    if table == "ops.run_ledger":
        return BEGINS_THE_LEDGER
    return {written: declared.name for declared in JOBS for written in declared.writes}[table]
