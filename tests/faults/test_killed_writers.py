"""kill -9 of every job that writes, at random moments of its work, then the same job again.

The victim is a process of its own with its own JVM, and the signal goes to both. Its moments are drawn over the time
that the job works in such a process, one in each of N equal parts of it: the JVM's start, which writes nothing, is over
by then. Right after the kill every table is what it was before or what it is after, and readable; after the job ran
again, here, all of them and every model folder are what an undisturbed run gives.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lake_content import Content, copied, model_content, table_content, the_lake, whole_content
from last_day import Step, prepared, run_here
from processes import Kind, OtherProcess

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Keras 3.15 hands its variables to numpy 2 in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

KILLS = int(os.environ.get("MUSICBOX_KILLS", "20"))
SEED = 7005
JOBS = (
    *("session_events", "listening_events", "track_features", "last_sessions", "baselines", "transitions", "trainer"),
    *("registry", "skip_prediction", "top3_recommendations", "policy_evaluation", "diversity"),
)
WITH_TENSORFLOW = ("baselines", "registry", "top3_recommendations", "policy_evaluation")
QUICK = ("session_events",)


@dataclass
class Kitchen:
    """What the kills of one job share."""

    step: Step
    folder: Path
    kind: Kind
    again: Callable[[Path], None]
    """Runs the job on a lake to its end."""

    def victim(self, number: int) -> OtherProcess:
        return OtherProcess(self.kind, self.folder / f"victim-{number}")

    def lake(self, name: str) -> Path:
        return copied(self.step.before, self.folder / name / "lake")

    def words(self, lake: Path) -> list[str]:
        return [word.replace(str(self.step.before.parent.parent / "lake"), str(lake)) for word in self.step.words]


def kill_and_run_again(kitchen: Kitchen, kills: int) -> tuple[int, Counter[str], float]:
    """How many of the kills left a lake that the next run made whole, what was seen right after them, and the seconds
    that the job works undisturbed."""
    job, rng = kitchen.step.job, random.Random(f"{SEED} {kitchen.step.job}")
    with the_lake(kitchen.step.before):
        before = whole_content()
    first = kitchen.victim(0)
    lake = kitchen.lake("undisturbed")
    seconds = first.run(job, kitchen.words(lake), lake)
    following = kitchen.victim(1)
    first.kill()
    with the_lake(lake):
        after = whole_content()
    assert after != before
    seen: Counter[str] = Counter()
    same, done, started = 0, 0, 1
    while done < kills:
        victim, lake = following, kitchen.lake(f"killed-{started}")
        moment = (done + rng.random()) / kills * seconds
        victim.ask(job, kitchen.words(lake), lake)
        ended = victim.answer(moment)
        victim.kill()
        started += 1
        assert started < 3 * kills + 12, "the victims end before they are killed"
        following = kitchen.victim(started)
        if ended is not None:
            # The machine was busier when the job was timed: what this victim took is nearer to its working time.
            seconds = min(seconds, float(ended["seconds"]))
            continue
        done += 1
        with the_lake(lake):
            seen[left_behind(table_content(), before, after)] += 1
            assert set(model_content().items()) <= set((before | after).items()), "a model folder is half visible"
            kitchen.again(lake)
            same += whole_content() == after
    following.kill()
    return same, seen, seconds


def left_behind(now: Content, before: Content, after: Content) -> str:
    """Which state the tables are in; a table in neither fails the test."""
    odd = {name: found for name, found in now.items() if found not in (before[name], after[name])}
    assert not odd, f"half visible: {odd}"
    changed = [name for name in now if before[name] != after[name]]
    new = [name for name in changed if now[name] == after[name]]
    return "new" if changed and new == changed else "between" if new else "old"


@pytest.fixture(scope="module")
def trainer_again(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtherProcess]:
    """A process that trains again and again: the trainer's packages are not those of this process."""
    process = OtherProcess("tensorflow", tmp_path_factory.mktemp("trainer"))
    yield process
    process.kill()


def kitchen_of(step: Step, folder: Path, trainer: Callable[[], OtherProcess]) -> Kitchen:
    kind: Kind = "tensorflow" if step.job == "trainer" else "both" if step.job in WITH_TENSORFLOW else "spark"
    kitchen = Kitchen(step, folder, kind, lambda lake: None)

    def again(lake: Path) -> None:
        if step.job == "trainer":
            trainer().run(step.job, kitchen.words(lake), lake)
        else:
            run_here(step.job, kitchen.words(lake))

    kitchen.again = again
    return kitchen


def report(
    record: Callable[[str, object], None], job: str, same: int, kills: int, seen: Counter[str], s: float
) -> None:
    states = ", ".join(f"{seen[state]} {state}" for state in ("old", "between", "new") if seen[state])
    record("done", f"kill -9 of {job} in its {s:.0f} s of work, then run again")
    record("figure", f"{same}/{kills} the same content (right after: {states})")


@pytest.fixture(scope="module")
def quick_steps(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Step]:
    return prepared(tmp_path_factory.mktemp("quick"), QUICK, users=30, tracks=60, days=2)


@pytest.mark.fault("kill -9 (2 kills)", "kill -9 while it works, then run again")
@pytest.mark.parametrize("job", QUICK)
def test_two_kills_of_a_small_job(
    quick_steps: dict[str, Step], tmp_path: Path, job: str, record_property: Callable[[str, object], None]
) -> None:
    kitchen = kitchen_of(quick_steps[job], tmp_path, lambda: pytest.fail("the trainer is not among them"))
    same, seen, seconds = kill_and_run_again(kitchen, 2)
    report(record_property, job, same, 2, seen, seconds)
    assert same == 2


@pytest.fixture(scope="module")
def steps(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Step]:
    return prepared(tmp_path_factory.mktemp("night"), JOBS, users=60, tracks=80, days=4)


@pytest.mark.slow
@pytest.mark.fault("kill -9", "kill -9 while it works, then run again")
@pytest.mark.parametrize("job", JOBS)
def test_a_killed_job_runs_again(
    steps: dict[str, Step],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    job: str,
    record_property: Callable[[str, object], None],
) -> None:
    kitchen = kitchen_of(steps[job], tmp_path, lambda: request.getfixturevalue("trainer_again"))
    same, seen, seconds = kill_and_run_again(kitchen, KILLS)
    report(record_property, job, same, KILLS, seen, seconds)
    assert same == KILLS
