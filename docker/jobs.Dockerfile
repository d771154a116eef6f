# Spark jobs, SQL, reports and the command line. Build from the project's folder: docker build -f docker/jobs.Dockerfile .
FROM python:3.11-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends openjdk-17-jre-headless git procps libgomp1 && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir uv
WORKDIR /app
COPY pyproject.toml README.md ./
COPY locks/jobs.txt locks/
RUN uv venv --python 3.11 .venv && uv pip sync --require-hashes --python .venv/bin/python locks/jobs.txt
COPY . .
RUN uv pip install --no-deps --no-build-isolation --python .venv/bin/python -e . \
    && .venv/bin/python -m musicbox_lib.machine.setup_jars && .venv/bin/python -m musicbox_lib.machine.class_archive
ENV PATH=/app/.venv/bin:$PATH SPARK_HOME=/app/.venv/lib/python3.11/site-packages/pyspark PYSPARK_PYTHON=/app/.venv/bin/python
ENTRYPOINT ["musicbox"]
