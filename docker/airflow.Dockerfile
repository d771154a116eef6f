# Airflow with everything its tasks start beside it, as `make setup` makes it. docker build -f docker/airflow.Dockerfile .
FROM python:3.11-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends openjdk-17-jre-headless git make procps && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir uv
WORKDIR /app
COPY . .
RUN make setup
EXPOSE 8080
# Inside a container the way in is the published port, which compose.yaml binds to this machine's own address.
CMD ["bash", "-c", ". .setup/environment.sh && AIRFLOW__API__HOST=0.0.0.0 exec .venv-airflow/bin/python -m musicbox_lib.orchestration.run_airflow"]
