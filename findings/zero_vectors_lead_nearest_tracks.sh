#!/usr/bin/env bash
# A track with an empty embedding is everybody's nearest track.
#
# Versions: duckdb 2.0.0, polars 2.1.0, pandas 2.3.3, numpy 2.4.6 (Python 3.11).
# Behaviour: the cosine of a zero vector is NaN. DuckDB and polars order NaN above every number, so
#   ORDER BY cosine DESC LIMIT 2 and top_k(2) put the track without an embedding first; pandas' nlargest leaves it out.
#   No engine warns. A track without plays or audio has such a vector in many exports.
# Output seen:
#   duckdb: silent, near
#   polars: silent, near
#   pandas: near, far
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3.11 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet duckdb==2.0.0 polars==2.1.0 pandas==2.3.3 numpy==2.4.6
"$place/venv/bin/python" -W ignore - > "$place/seen" <<'PYTHON'
import duckdb
import numpy as np
import pandas as pd
import polars as pl

tracks = {"near": [1.0, 0.1], "silent": [0.0, 0.0], "far": [-1.0, 0.0]}
liked = np.array([1.0, 0.0])
with np.errstate(invalid="ignore"):
    cosines = {name: float(np.dot(v, liked) / (np.linalg.norm(v) * np.linalg.norm(liked))) for name, v in tracks.items()}

rows = ", ".join(f"('{name}', {vector})" for name, vector in tracks.items())
nearest = duckdb.sql(
    f"SELECT track FROM (VALUES {rows}) AS t(track, v) ORDER BY list_cosine_similarity(v, [1.0, 0.0]) DESC LIMIT 2"
).fetchall()
print("duckdb:", ", ".join(row[0] for row in nearest))
frame = {"track": list(cosines), "cosine": list(cosines.values())}
print("polars:", ", ".join(pl.DataFrame(frame).top_k(2, by="cosine")["track"]))
print("pandas:", ", ".join(pd.DataFrame(frame).nlargest(2, "cosine")["track"]))
PYTHON
cat "$place/seen"
diff "$place/seen" - <<'EXPECTED'
duckdb: silent, near
polars: silent, near
pandas: near, far
EXPECTED
