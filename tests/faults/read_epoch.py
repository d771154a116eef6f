"""Read one epoch of a day's transitions as the trainer does, stopping after the first row group until a line comes in:
`python read_epoch.py DAY`. Ends with the rows read as JSON, or with what was raised."""

from __future__ import annotations

import json
import sys


def main() -> None:
    from musicbox_lib.lake import ReadPartition
    from musicbox_lib.training.reader import row_groups, snapshot_of

    snapshot = snapshot_of(ReadPartition.parse(f"training.transitions/dt={sys.argv[1]}"))
    read = 0
    sys.stdout.write("read the log\n")
    sys.stdout.flush()
    try:
        for group in row_groups(snapshot, ("session_id", "fold"), seed=1):
            if not read:
                sys.stdout.write("read a group\n")
                sys.stdout.flush()
                sys.stdin.readline()
            read += len(group["session_id"])
    except Exception as failure:
        sys.stdout.write(json.dumps({"raised": f"{type(failure).__name__}: {failure}"}) + "\n")
        return
    sys.stdout.write(json.dumps({"rows": read, "held": snapshot.rows}) + "\n")


if __name__ == "__main__":
    main()
