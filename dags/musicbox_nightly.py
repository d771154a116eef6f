"""Yesterday's sessions in, by morning three tracks for every active user and two reports."""

import datetime as dt

from airflow.sdk import DAG, CronDataIntervalTimetable

from musicbox_lib.orchestration import tasks as job
from musicbox_lib.orchestration.operators import DEFAULTS, RUN_DATE

with DAG(
    "musicbox_nightly",
    description="Ingest a day, describe its tracks, score every active user, report",
    # A cron string would be a trigger with an interval of no length; with 03:00 a backfill's last day falls out of
    # its range.
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=dt.datetime(2018, 7, 15, tzinfo=dt.UTC),
    catchup=False,
    max_active_runs=1,
    params={"run_date": RUN_DATE},
    default_args=DEFAULTS,
    doc_md=__doc__,
    tags=["musicbox"],
) as dag:
    night = job.night()
    events = job.listening_events(night, job.session_events(night))
    features = job.track_features(night, events)
    last = job.last_sessions(night, events)
    top3 = job.top3_recommendations(night, last, features)
    job.report(night, job.policy_evaluation(night, events), job.diversity(night, top3))
