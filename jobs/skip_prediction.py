"""silver.listening_events of the training days -> reports.skip_prediction of the last of them."""

from musicbox_lib import lake
from musicbox_lib.lake import ReadPartition, WritePartition
from musicbox_lib.machine.spark import session
from musicbox_lib.orchestration import job
from musicbox_lib.sessions import known_plays
from musicbox_lib.settings import settings
from musicbox_lib.skip_prediction import skip_prediction as predictions


def main(listening_events: ReadPartition, skip_prediction: WritePartition) -> None:
    """Predict every play of the training days by models that never saw its user, and say how well."""
    inputs = known_plays.versions_of(listening_events)
    events = known_plays.read(session("skip_prediction"), listening_events)
    rows = predictions.skip_prediction(events, skip_prediction.run_date, settings().seed)
    lake.overwrite_rows("skip_prediction", rows, skip_prediction, inputs)


if __name__ == "__main__":
    job.run("skip_prediction", main)
