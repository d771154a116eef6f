# MusicBox: `make` lists what there is. Every target sets up what it needs, once (stamps in .setup/).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:
MAKEFLAGS += --no-print-directory
# A tool that finds a half-made file from an aborted run would take it for whole.
.DELETE_ON_ERROR:

UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
# A Python that nobody asked for, fetched from the network, is a surprise: a missing 3.11 is said instead.
export UV_PYTHON_DOWNLOADS := never
# pyspark comes as source and is built once; another set-up on this machine may be at it (uv's default is 300 s).
export UV_LOCK_TIMEOUT := 1800
ENVIRONMENT := . .setup/environment.sh
# A mistyped variable is one that nobody reads: `make bench NAM=scoring` would run every bench.
VARIABLES := .venv/bin/python -m musicbox_lib.machine.make_variables
# Recipes end in `exec`: make passes SIGTERM on to the process that it started, which must be the program and no shell.
# The user's words reach the commands through the environment, never as part of a shell line.
export RUN_DATE ?=
export FROM ?=
export TO ?=
export Q ?=
# make takes $9, $(x) and $' in a value for variables of its own, and leaves them out of the query.
override Q := $(value Q)
# When make began: the demo tells how long all of it took, set-up included.
export MUSICBOX_DEMO_STARTED := $(shell date +%s)

.PHONY: help setup demo quick test test-all faults bench lint docs train nightly backfill sql sql-server report airflow clean

help:  ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

# ── set-up ──────────────────────────────────────────────────────────────────────────────────────────────────────

setup: .setup/ready  ## the three environments, Java, Delta's jars and Airflow's database
	@.venv/bin/musicbox doctor

# The installs come one after the other (uv locks its cache: side by side one of them ran into the lock's time-out);
# the jars, the archive and Airflow's database are made beside them.
.setup/ready: pyproject.toml $(wildcard locks/*.txt) musicbox_lib/machine/environment.py musicbox_lib/machine/class_archive.py musicbox_lib/machine/setup_jars.py | .setup/uv
	@$(MAKE) -j 3 .setup/airflow-db .setup/train .setup/classes
	touch $@

.setup:
	@mkdir -p $@

.setup/uv: | .setup
	@if ! command -v uv > /dev/null && [ ! -x .uv/bin/uv ]; then
		echo "setup: uv is missing, installing it into .uv"
		python3 -m venv .uv && .uv/bin/pip install --quiet uv
	fi
	$(UV) python find 3.11 > /dev/null 2>&1 || {
		echo "musicbox: there is no Python 3.11 here: install one, as with \`apt-get install python3.11 python3.11-venv\` or pyenv." >&2
		exit 1
	}
	touch $@

# $(1) group, $(2) environment: exactly the lock's files, each held against its hash.
define install
	@echo "setup: $(2) from locks/$(1).txt"
	[ -x $(2)/bin/python ] || $(UV) venv --quiet --python 3.11 $(2)
	$(UV) pip sync --quiet --require-hashes --python $(2)/bin/python locks/$(1).txt
	$(UV) pip install --quiet --no-deps --no-build-isolation --python $(2)/bin/python -e .
	# The command line is the jobs' alone: elsewhere it finds none of what it imports.
	[ $(1) = jobs ] || rm -f $(2)/bin/musicbox
	touch $@
endef

.setup/jobs: locks/jobs.txt pyproject.toml musicbox_lib/machine/compiled_zips.py | .setup/uv
	$(call install,jobs,.venv)
	.venv/bin/python -m musicbox_lib.machine.compiled_zips

.setup/airflow: locks/airflow.txt pyproject.toml | .setup/uv .setup/jobs
	$(call install,airflow,.venv-airflow)

.setup/train: locks/train.txt pyproject.toml | .setup/uv .setup/airflow
	$(call install,train,.venv-train)

.setup/java: | .setup
	@if ! python3 -m musicbox_lib.machine.java > /dev/null 2>&1 && [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
		echo "setup: no Java 17 or 21 here, installing openjdk-17-jre-headless"
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq openjdk-17-jre-headless > /dev/null
	fi
	python3 -m musicbox_lib.machine.java > $@.home && mv $@.home $@

.setup/environment.sh: .setup/java .setup/jobs musicbox_lib/machine/environment.py musicbox_lib/machine/java.py
	@.venv/bin/python -m musicbox_lib.machine.environment > $@

.setup/jars: .setup/environment.sh musicbox_lib/machine/setup_jars.py
	@echo "setup: Delta's jars"
	$(ENVIRONMENT) && .venv/bin/python -m musicbox_lib.machine.setup_jars > .setup/jars.log 2>&1 || { tail -5 .setup/jars.log >&2; exit 1; }
	touch $@

# Without the archive everything works, seconds later per job: a failure here is said and does not stop the set-up.
.setup/classes: .setup/jars musicbox_lib/machine/class_archive.py
	@echo "setup: the JVM's class archive (a minute; docs/decisions/0002)"
	$(ENVIRONMENT) && .venv/bin/python -m musicbox_lib.machine.class_archive > .setup/classes.log 2>&1 || {
		echo "setup: no class archive, jobs start slower (.setup/classes.log)"; }
	touch $@

.setup/airflow-db: .setup/airflow .setup/environment.sh
	@echo "setup: Airflow's database in .airflow"
	$(ENVIRONMENT) && airflow db migrate > .setup/airflow-db.log 2>&1 && airflow pools set spark 1 "one JVM at a time" >> .setup/airflow-db.log 2>&1 || {
		tail -5 .setup/airflow-db.log >&2; exit 1; }
	touch $@

# ── the two commands of the README ──────────────────────────────────────────────────────────────────────────────

demo: .setup/ready  ## a generated world: land 14 days, train, run two nights, show what came out
	@$(ENVIRONMENT) && exec .venv/bin/python -m musicbox_lib.cli.demo

quick: .setup/ready  ## in under a minute: ruff on the changed files, and the tests without Spark
	@$(ENVIRONMENT)
	changed=$$(git diff --name-only --diff-filter=d HEAD -- '*.py'; git ls-files --others --exclude-standard -- '*.py')
	if [ -n "$$changed" ]; then
		.venv/bin/ruff check $$changed
		.venv/bin/ruff format --check $$changed
	fi
	.venv/bin/python -m pytest -q -m "not spark and not slow" tests/unit
	echo "quick: $$SECONDS s"

test: .setup/ready  ## every test but the slow ones, in all three environments
	@$(ENVIRONMENT)
	failed=0
	.venv/bin/python -m pytest -m "not slow" || failed=1
	.venv-airflow/bin/python -m pytest -m "not slow" tests/dags || failed=1
	.venv-train/bin/python -m pytest -m "not slow" tests/train || failed=1
	exit $$failed

test-all: .setup/ready  ## the slow tests too
	@$(ENVIRONMENT)
	failed=0
	.venv/bin/python -m pytest || failed=1
	.venv-airflow/bin/python -m pytest tests/dags || failed=1
	.venv-train/bin/python -m pytest tests/train || failed=1
	exit $$failed

faults: .setup/ready  ## every fault, kill -9 to full disks, and their page in docs/measured (hours; KILLS=2 for less and no page)
	@$(ENVIRONMENT) && $(VARIABLES) && MUSICBOX_FAULT_TABLE=bench/results/faults MUSICBOX_KILLS=$(or $(KILLS),20) MUSICBOX_FAULT_PAGE=$(if $(KILLS),,faults) exec .venv/bin/python -m pytest tests/faults

lint: .setup/ready  ## ruff, strict mypy and who may import whom
	@.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

docs: .setup/ready  ## the docs site in .site/, with links checked and nothing loaded from outside
	@$(ENVIRONMENT) && exec .venv/bin/python -m sphinx -q -W --keep-going -c docs/site -d .site/.doctrees docs .site

bench: .setup/ready  ## every bench at its small size; NAME=scoring SIZE=full for one in full
	@$(ENVIRONMENT) && $(VARIABLES) && exec .venv/bin/python -m bench $(if $(NAME),--name "$(NAME)") $(if $(SIZE),--size "$(SIZE)")

# ── runs ────────────────────────────────────────────────────────────────────────────────────────────────────────

nightly: .setup/ready  ## RUN_DATE=2026-11-05: that night's DAG, here and now
	@$(ENVIRONMENT) && exec .venv-airflow/bin/python -m musicbox_lib.orchestration.run_dag musicbox_nightly --run-date "$$RUN_DATE"

train: .setup/ready  ## RUN_DATE=2026-11-05: the training DAG as of that day, here and now
	@$(ENVIRONMENT) && exec .venv-airflow/bin/python -m musicbox_lib.orchestration.run_dag musicbox_training --run-date "$$RUN_DATE"

backfill: .setup/ready  ## FROM=2026-11-01 TO=2026-11-03: the nightly DAG for each delivered day, oldest first
	@$(ENVIRONMENT) && exec .venv-airflow/bin/python -m musicbox_lib.orchestration.run_dag musicbox_nightly --from-date "$$FROM" --to-date "$$TO" $(if $(DRY_RUN),--dry-run)

sql: .setup/ready  ## Q="SELECT count(*) FROM silver.listening_events": ask the lake (DuckDB, no JVM)
	@$(ENVIRONMENT) && $(VARIABLES) && exec .venv/bin/musicbox sql "$$Q"

sql-server: .setup/ready  ## the same tables and views over JDBC (Spark Thrift Server), this machine only; Ctrl-C stops it
	@$(ENVIRONMENT) && exec .venv/bin/python -m musicbox_lib.sql.server

report: .setup/ready  ## RUN_DATE=2026-11-05: write that night's page and print its path
	@$(ENVIRONMENT) && $(VARIABLES) && exec .venv/bin/musicbox report --dt "$$RUN_DATE"

airflow: .setup/ready  ## the scheduler and the UI on http://127.0.0.1:8080, for development
	@$(ENVIRONMENT) && exec .venv-airflow/bin/python -m musicbox_lib.orchestration.run_airflow

clean:  ## remove environments, jars, Airflow's home, the docs site and stamps; the lake stays
	rm -rf .venv .venv-airflow .venv-train .uv .jars .setup .airflow .site .mypy_cache .ruff_cache .pytest_cache spark-warehouse
