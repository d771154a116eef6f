"""Days and models past their time go, small files become few, replaced ones leave the disk."""

import datetime as dt

from airflow.sdk import DAG, CronTriggerTimetable

from musicbox_lib.orchestration.operators import DEFAULTS, parameters, upkeep

with DAG(
    "musicbox_maintenance",
    description="Retention, registry clean-up, OPTIMIZE, VACUUM",
    # Sunday noon: hours after that day's night and before Monday's night and training, which share the pool.
    schedule=CronTriggerTimetable("0 12 * * 0", timezone="UTC"),
    start_date=dt.datetime(2018, 7, 15, tzinfo=dt.UTC),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    doc_md=__doc__,
    tags=["musicbox"],
) as dag:
    first = parameters()
    models = upkeep("registry", first)
    days = upkeep("retention", first)
    packed = upkeep("optimize", days)
    upkeep("vacuum", packed, models)
