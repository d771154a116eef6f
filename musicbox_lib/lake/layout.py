"""How a table is laid out: made once, then given the columns and constraints that its schema gains."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from musicbox_lib.contract import checks
from musicbox_lib.lake.places import path_of
from musicbox_lib.lake.snapshots import snapshot

if TYPE_CHECKING:
    import deltalake

    from musicbox_lib.contract.tables import Table

log = logging.getLogger("musicbox.lake")
# Readers that open the files themselves (DuckDB, Petastorm) would show deleted rows; the other features that they
# do not know (column mapping, row tracking, identity) are off unless asked for.
PLAIN_READERS = {"delta.enableDeletionVectors": "false"}
# Delta's log keeps the least and the greatest value of a file's columns, so a forgotten user's id could stand there for
# as long as the log. Of no column rather than of all but some: in a broken line an id slips into the column next to
# its own. Rows are still counted.
NO_STATISTICS = {"delta.dataSkippingNumIndexedCols": "0"}


def create(found: Table) -> set[str]:
    """Make the empty table if need be: NOT NULL must stand in its first schema, a later ALTER is refused. Gives the
    names of the constraints that it has."""
    import deltalake

    known = snapshot(found.name)
    if known is None:
        known = deltalake.DeltaTable.create(
            path_of(found.name),
            schema=_delta_schema(found),
            mode="ignore",
            partition_by=list(found.partition),
            name=found.noun,
            description=found.about,
            configuration={**PLAIN_READERS, **(NO_STATISTICS if found.is_about_users else {})},
        )
    else:
        _withhold_statistics(found, known)
        _add_columns(found, known)
    return _fence(found, known)


def _withhold_statistics(found: Table, known: deltalake.DeltaTable) -> None:
    """Where the table was made before statistics were withheld."""
    if found.is_about_users and not NO_STATISTICS.items() <= known.metadata().configuration.items():
        known.alter.set_table_properties(dict(NO_STATISTICS))


def _add_columns(found: Table, known: deltalake.DeltaTable) -> None:
    """Give a table of an older release the columns that its schema has gained since, null in its rows."""
    import deltalake

    present = {field.name for field in known.schema().fields}
    # The declared types are asked for only then: Spark's parser reads them, and a restore has no JVM.
    if set(found.column_names) - present:
        missing = [field for field in _delta_schema(found).fields if field.name not in present]
        known.alter.add_columns([deltalake.Field(field.name, field.type, nullable=True) for field in missing])


def _fence(found: Table, known: deltalake.DeltaTable) -> set[str]:
    """Give the table the constraints of its declared checks, and take away those that are declared no more. A check
    that older rows break is left out, and said: `checks.refused_in_words` then looks at new rows itself."""
    import deltalake

    wanted, held = checks.constraints(found), checks.constraints_held(known.metadata().configuration)
    for name in held - set(wanted):
        known.alter.drop_constraint(name)
    missing = {name: sql for name, sql in wanted.items() if name not in held}
    if missing:
        try:
            known.alter.add_constraint(missing)
        except deltalake.exceptions.DeltaError:
            names = ", ".join(sorted(missing))
            log.warning("%s has older rows that break one of %s: new rows alone are held to them.", found.name, names)
            return held & set(wanted)
    return set(wanted)


def _delta_schema(found: Table) -> deltalake.Schema:
    import deltalake

    from musicbox_lib.contract.typed import spark_fields

    fields = []
    for declared, column in zip(spark_fields(found), found.columns, strict=True):
        field = json.loads(declared.json())
        fields.append({**field, "nullable": column.nullable, "metadata": {"comment": column.about}})
    return deltalake.Schema.from_json(json.dumps({"type": "struct", "fields": fields}))
