"""The lake: the only reader and writer of its tables.

Other packages say `lake.read(...)`, `lake.days_of(...)`, `lake.overwrite(...)`: what they may use stands in
`__all__`. Importing it needs neither pyspark nor a JVM.
"""

from musicbox_lib.lake.frames import no_rows, read, read_if_written
from musicbox_lib.lake.ledger import LEDGER, code_version, enter_upkeep, run_id
from musicbox_lib.lake.partitions import ReadPartition, WritePartition
from musicbox_lib.lake.places import is_local, local_path, path_of, root, table_lock
from musicbox_lib.lake.snapshots import days_of, files_of, rows_by_day, rows_in, snapshot, version_of, versions_of
from musicbox_lib.lake.write import Rewritten, overwrite, overwrite_rows, publish, rewrite

__all__ = [
    "LEDGER",
    "ReadPartition",
    "Rewritten",
    "WritePartition",
    "code_version",
    "days_of",
    "enter_upkeep",
    "files_of",
    "is_local",
    "local_path",
    "no_rows",
    "overwrite",
    "overwrite_rows",
    "path_of",
    "publish",
    "read",
    "read_if_written",
    "rewrite",
    "root",
    "rows_by_day",
    "rows_in",
    "run_id",
    "snapshot",
    "table_lock",
    "version_of",
    "versions_of",
]
