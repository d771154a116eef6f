"""The declared checks of a table: as Delta's own CHECK constraints, which every writer is held to, and in words when
a writer was refused."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from musicbox_lib.contract.tables import Check, Table
from musicbox_lib.errors import DataRefused

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

PREFIX = "delta.constraints."
_REFUSED = re.compile(r"CHECK constraint|validation check|not.null|non-nullable", re.IGNORECASE)
"""How Spark and delta-rs say that a row broke a constraint or a NOT NULL. delta-rs does not say which."""


@dataclass(frozen=True)
class Breach:
    """A check that rows break: how many of how many, and of one of them the key and the values that it looks at."""

    check: Check
    rows: int
    of: int
    key: Mapping[str, Any]


def constraint_name(check: Check) -> str:
    """The constraint's name carries the condition's hash: a condition that changes makes another constraint, though
    Delta's writers rewrite the condition itself (`BETWEEN` comes back as two comparisons)."""
    return f"{check.name}_{hashlib.sha256(check.sql.encode()).hexdigest()[:8]}"


def constraints(found: Table) -> dict[str, str]:
    """Name -> condition, as the table's configuration should have them."""
    return {constraint_name(check): check.sql for check in found.checks}


def constraints_held(configuration: Mapping[str, str]) -> set[str]:
    """The names of the constraints that a table's configuration has."""
    return {name.removeprefix(PREFIX) for name in configuration if name.startswith(PREFIX)}


def every_check(found: Table) -> tuple[Check, ...]:
    """The NOT NULL of each required column, then the declared checks."""
    required = (column.name for column in found.columns if not column.nullable)
    return (
        *(Check(f"{name}_given", f"{name} IS NOT NULL", f"{name} is NOT NULL.") for name in required),
        *found.checks,
    )


def _shown(check: Check, found: Table) -> list[str]:
    """The key's columns, then the others that the check names."""
    named = set(re.findall(r"\w+", check.sql))
    return [*found.grain, *(name for name in found.column_names if name in named and name not in found.grain)]


def breach_in_frame(frame: DataFrame, found: Table) -> Breach | None:
    """The first check that rows of the frame break; one pass, one row to this process."""
    from pyspark.sql import functions as F

    checks = every_check(found)
    broken = [~F.coalesce(F.expr(check.sql), F.lit(False)) for check in checks]
    counted = [F.count_if(one).alias(f"n{at}") for at, one in enumerate(broken)]
    keys = [F.struct(*_shown(check, found)) for check in checks]
    firsts = [F.min(F.when(one, keys[at])).alias(f"k{at}") for at, one in enumerate(broken)]
    row = frame.agg(F.count(F.lit(1)).alias("of"), *counted, *firsts).collect()[0]
    for at, check in enumerate(checks):
        if row[f"n{at}"]:
            return Breach(check, row[f"n{at}"], row["of"], row[f"k{at}"].asDict())
    return None


def breach_in_rows(rows: pa.Table, found: Table) -> Breach | None:
    """The same for rows that this process holds."""
    import duckdb

    with duckdb.connect() as connection:
        connection.register("written", rows)
        # Lists are counted by another word in DuckDB.
        connection.execute("CREATE MACRO cardinality(list) AS len(list)")
        for check in every_check(found):
            # Conditions and columns come from the contract, never from a user.
            broken = f"FROM written WHERE NOT coalesce(({check.sql}), false)"
            [count] = connection.execute(f"SELECT count(*) {broken}").fetchone() or (0,)
            if count:
                shown = _shown(check, found)
                keys = ", ".join(f'"{name}"' for name in shown)
                first = connection.execute(f"SELECT {keys} {broken} ORDER BY ALL LIMIT 1").fetchone() or ()
                return Breach(check, count, rows.num_rows, dict(zip(shown, first, strict=True)))
    return None


@contextmanager
def refused_in_words(found: Table, job: str, fenced: set[str], breach: Callable[[], Breach | None]) -> Iterator[None]:
    """Run a write; where its rows break a check, raise DataRefused with the check's sentence instead of the writer's
    own words. `fenced` are the constraints that the table has: where one is missing, the rows are looked at first."""
    if not set(constraints(found)) <= fenced and (broken := breach()):
        raise DataRefused(_sentence(found, job, broken))
    try:
        yield
    except Exception as refusal:
        if _REFUSED.search(str(refusal)) and (broken := breach()):
            raise DataRefused(_sentence(found, job, broken)) from None
        raise


def _sentence(found: Table, job: str, broken: Breach) -> str:
    # A vector of 64 numbers is told by its first.
    key = {name: text if len(text := str(value)) <= 60 else text[:59] + "…" for name, value in broken.key.items()}
    return (
        f"{found.name}: {broken.rows} of {broken.of} rows break the check {broken.check.name} "
        f"({broken.check.about.rstrip('.')}), one of them at {key}; nothing was published, what stood there still "
        f"stands: mend what the job {job} made, then run it again."
    )
