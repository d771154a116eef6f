"""Everything heard in the training days becomes a model, and the model champion if it is not worse."""

import datetime as dt

from airflow.sdk import DAG, CronTriggerTimetable

from musicbox_lib.orchestration import tasks as job
from musicbox_lib.orchestration.operators import DEFAULTS, RUN_DATE

with DAG(
    "musicbox_training",
    description="Ingest, describe the tracks, learn, register the model",
    # Weekly: item effects move slowly, and one more week is a sixth of what a training reads. Sunday's end, so that
    # Monday's night already scores with it; the interval of one day makes Sunday the logical date, not last Monday.
    schedule=CronTriggerTimetable("0 0 * * 1", timezone="UTC", interval=dt.timedelta(days=1)),
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
    job.baselines(night, events, features)
    model = job.trainer(night, job.transitions(night, events, features), features)
    job.registry(night, model)
    job.skip_prediction(night, events)
