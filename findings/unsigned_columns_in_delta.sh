#!/usr/bin/env bash
# A Parquet column of unsigned integers becomes a Delta column that cannot hold its upper half.
#
# Versions: deltalake 1.6.6, pyarrow 26.0.1 (Python 3.11).
# Behaviour: Delta has no unsigned types. write_deltalake takes the signed type of the SAME width, not the next wider one.
#   The first write decides it: a uint16 column of small values becomes `short` without a word, and the first value above
#   32,767 is refused weeks later. Listening logs are published with such columns (a played ratio as uint16, seconds and
#   user ids as uint32).
# What to do: cast uint8 and uint16 to int32, uint32 to int64, before the first write.
# Output seen:
#   first write: {'user': 'integer', 'ratio': 'short'}
#   ratio 40000: refused, DeltaError
#   user 3000000000: refused, DeltaError
#   cast before the first write: {'user': 'long', 'ratio': 'integer'}, both rows read back
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3.11 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet deltalake==1.6.6 pyarrow==26.0.1
"$place/venv/bin/python" - "$place" > "$place/seen" <<'PYTHON'
import json
import sys

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

place = sys.argv[1]


def plays(user, ratio):
    return pa.table({"user": pa.array([user], pa.uint32()), "ratio": pa.array([ratio], pa.uint16())})


def types(path):
    return {field["name"]: field["type"] for field in json.loads(DeltaTable(path).schema().to_json())["fields"]}


as_published = f"{place}/as_published"
write_deltalake(as_published, plays(7, 100))
print("first write:", types(as_published))
for name, later in (("ratio 40000", plays(7, 40_000)), ("user 3000000000", plays(3_000_000_000, 100))):
    try:
        write_deltalake(as_published, later, mode="append")
        print(f"{name}: taken")
    except Exception as refusal:
        print(f"{name}: refused, {type(refusal).__name__}")

widened = f"{place}/widened"
wide = pa.schema([("user", pa.int64()), ("ratio", pa.int32())])
write_deltalake(widened, plays(7, 100).cast(wide))
write_deltalake(widened, plays(3_000_000_000, 40_000).cast(wide), mode="append")
read_back = sorted(row["user"] for row in DeltaTable(widened).to_pyarrow_table().to_pylist())
both = "both rows read back" if read_back == [7, 3_000_000_000] else f"read back {read_back}"
print(f"cast before the first write: {types(widened)}, {both}")
PYTHON
cat "$place/seen"
diff "$place/seen" - <<'EXPECTED'
first write: {'user': 'integer', 'ratio': 'short'}
ratio 40000: refused, DeltaError
user 3000000000: refused, DeltaError
cast before the first write: {'user': 'long', 'ratio': 'integer'}, both rows read back
EXPECTED
