"""The nightly DAG for each day of a range, oldest first, one at a time. `dry_run` only lists the days."""

import datetime as dt

from airflow.sdk import DAG, Param

from musicbox_lib.orchestration.operators import DEFAULTS, backfill_days, nightly_runs

with DAG(
    "musicbox_backfill",
    description="Run the nightly DAG for each delivered day from from_date to to_date",
    schedule=None,
    start_date=dt.datetime(2018, 7, 15, tzinfo=dt.UTC),
    catchup=False,
    max_active_runs=1,
    params={
        "from_date": Param("2026-11-01", type="string", format="date", description="The first day, YYYY-MM-DD."),
        "to_date": Param("2026-11-01", type="string", format="date", description="The last day, included."),
        "dry_run": Param(False, type="boolean", description="Only list the days, with and without a delivery."),
    },
    default_args=DEFAULTS,
    doc_md=__doc__,
    tags=["musicbox"],
) as dag:
    nightly_runs(backfill_days())
