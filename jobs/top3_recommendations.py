"""gold.last_sessions of a day -> scores.top3_recommendations of that day, by the champion as of it."""

from musicbox_lib import lake
from musicbox_lib.lake import ReadPartition, WritePartition
from musicbox_lib.machine.spark import session
from musicbox_lib.orchestration import job
from musicbox_lib.scoring.audit import refuse_faults
from musicbox_lib.scoring.serving import serving_of, tasks_for
from musicbox_lib.scoring.top3_recommendations import slate_seed
from musicbox_lib.scoring.top3_recommendations import top3_recommendations as recommend
from musicbox_lib.settings import settings


def main(
    last_sessions: ReadPartition,
    track_features: ReadPartition,
    track_embeddings: ReadPartition,
    registry: ReadPartition,
    top3_recommendations: WritePartition,
) -> None:
    """Find who serves, draw, audit, publish."""
    read = (last_sessions, track_features, track_embeddings)
    inputs = lake.versions_of(*read)
    # Before the JVM starts: a missing model is told in a second.
    serving = serving_of(registry, track_features, track_embeddings)
    spark = session("top3_recommendations")
    contexts = lake.read(spark, last_sessions).coalesce(tasks_for(last_sessions, serving))
    slates = recommend(contexts, serving, slate_seed(settings().seed, top3_recommendations.run_date)).persist()
    refuse_faults(slates, contexts, serving.size)
    lake.overwrite(slates, top3_recommendations, {**inputs, registry.table.name: serving.model_id})


if __name__ == "__main__":
    job.run("top3_recommendations", main)
