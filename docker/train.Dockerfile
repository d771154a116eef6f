# The trainer: Petastorm and TensorFlow, no JVM. docker build -f docker/train.Dockerfile .
FROM python:3.11-slim-bookworm
RUN pip install --no-cache-dir uv
WORKDIR /app
COPY pyproject.toml README.md ./
COPY locks/train.txt locks/
RUN uv venv --python 3.11 .venv-train && uv pip sync --require-hashes --python .venv-train/bin/python locks/train.txt
COPY . .
RUN uv pip install --no-deps --no-build-isolation --python .venv-train/bin/python -e .
ENTRYPOINT ["/app/.venv-train/bin/python", "jobs/trainer.py"]
