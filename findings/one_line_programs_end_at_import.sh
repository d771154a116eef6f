#!/usr/bin/env bash
# `python -c "import great_expectations; …"` ends at the import, silently and with exit code 0.
#
# Versions: pyspark 4.2.0, great-expectations 1.24.1 (Python 3.11), pyspark without its optional gRPC packages.
# Behaviour: Great Expectations imports what it can of Spark. pyspark's Connect modules take a main module without a file
#   for a doctest run; where a gRPC package is missing they print "Skipping doctests" and end the process with 0.
#   The same words in a file work. A health check or a container's command of one line reports success and does nothing.
# Output seen:
#   one line: exit 0, says "Skipping doctests", reached the end: no
#   a file: exit 0, reached the end: yes
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3.11 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet setuptools wheel
"$place/venv/bin/pip" install --quiet --no-build-isolation pyspark==4.2.0 great-expectations==1.24.1 pandas==2.3.3 pyarrow==26.0.1
program='import great_expectations; print("the end")'
export GX_ANALYTICS_ENABLED=false PYTHONWARNINGS=ignore
reached() { grep -q "the end" "$1" && echo yes || echo no; }
code=0
"$place/venv/bin/python" -c "$program" > "$place/line" 2>&1 || code=$?
skipping=$(grep -q "Skipping doctests" "$place/line" && echo 'says "Skipping doctests"' || echo 'says nothing of doctests')
echo "one line: exit $code, $skipping, reached the end: $(reached "$place/line")" > "$place/seen"
echo "$program" > "$place/program.py"
code=0
"$place/venv/bin/python" "$place/program.py" > "$place/file" 2>&1 || code=$?
echo "a file: exit $code, reached the end: $(reached "$place/file")" >> "$place/seen"
cat "$place/seen"
diff "$place/seen" - <<'EXPECTED'
one line: exit 0, says "Skipping doctests", reached the end: no
a file: exit 0, reached the end: yes
EXPECTED
