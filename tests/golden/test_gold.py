"""Golden cases of the written tables: a folder holds a table's inputs, five to fifteen rows each with its `why`, and
the answer. `REBUILD_GOLDENS=yes` rewrites the answers and skips, so that a rebuild never passes silently."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from chispa import assert_df_equality
from frames import DAY, frame

from musicbox_lib.contract.tables import tables
from musicbox_lib.evaluation.logged import logged
from musicbox_lib.evaluation.night import Night
from musicbox_lib.features.track_features import track_features
from musicbox_lib.reports import policy_comparison, policy_evaluation, skip_rate
from musicbox_lib.sessions.last_sessions import last_sessions
from musicbox_lib.training.transitions import transitions
from musicbox_lib.validation.track_tables import as_known_tracks, as_rejected_tracks, flag_tracks

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

HERE = Path(__file__).parent
SHOWN = {
    "track_features": [
        *("track_id", "plays", "labelled_plays", "skip_rate", "skip_rate_shrunk", "play_share", "quality_by_fold"),
        *("train_plays", "audio", "legacy_audio", "title", "artist", "release_year"),
    ],
    "last_sessions": [
        *(
            "dt",
            "user_id",
            "fold",
            "session_id",
            "track_ids",
            "skip_grades",
            "n_in_session",
            "user_plays",
            "user_skips",
        ),
        *("context_type", "hour_of_day", "is_shuffle", "premium", "session_dt"),
    ],
    "transitions": [
        *("user_id", "fold", "session_id", "session_position", "track_id", "o_tm1", "a_tm1", "r_t", "d_t", "o_t"),
        *("skip_grade", "propensity"),
    ],
    "known_tracks": ["dt", "file", "line", "track_id", "energy", "title"],
    "rejected_tracks": ["dt", "file", "line", "track_id", "rules"],
    "skip_rate": [
        *("dt", "policy", "segment", "n", "n_users", "skip_1_logged", "skip_rate_logged", "skip_3_logged"),
        *("not_skipped_logged", "skip_rate_dr", "evidence"),
    ],
    "policy_evaluation": ["dt", "policy", "segment", "measure", "value", "lo", "hi", "n", "n_users", "evidence"],
    "policy_comparison": ["dt", "policy", "versus", "segment", "measure", "difference", "lo", "hi", "n", "evidence"],
}
MISSING = (
    *("session_events", "tracks", "rejected_events", "superseded_events", "validation_results"),
    *("validation_examples", "track_embeddings", "baselines", "registry", "top3_recommendations", "diversity"),
    *("skip_prediction", "run_ledger"),
)
"""Written tables without a golden case so far."""
TRACK_TABLES = {"known_tracks": as_known_tracks, "rejected_tracks": as_rejected_tracks}
REPORTS = {
    "skip_rate": skip_rate.rows,
    "policy_evaluation": policy_evaluation.rows,
    "policy_comparison": policy_comparison.rows,
}
CASES = [
    pytest.param(noun, path, id=f"{noun}/{path.name}") for noun in SHOWN for path in sorted((HERE / noun).iterdir())
]


def given(spark: SparkSession, path: Path, name: str) -> DataFrame:
    lines = (path / f"{name.split('.')[1]}.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert all(row["why"] for row in rows), f"{path.name}: every row of {name} says why it is there"
    return frame(spark, name, rows)


def answer(spark: SparkSession, noun: str, path: Path) -> DataFrame:
    if noun in TRACK_TABLES:
        return TRACK_TABLES[noun](flag_tracks(given(spark, path, "bronze.tracks")))
    events = given(spark, path, "silver.listening_events")
    if noun in REPORTS:
        night = Night(DAY, logged(events), {}, {"ddpg_w": "no_history", "random": "no_history"})
        declared = tables()[f"reports.{noun}"]
        full = [{name: row.get(name) for name in declared.column_names} for row in REPORTS[noun](night)]
        return spark.createDataFrame(full, declared.ddl)
    if noun == "track_features":
        return track_features(events, given(spark, path, "silver.known_tracks"), DAY)
    if noun == "last_sessions":
        return last_sessions(events, DAY, 30)
    features, embeddings = (given(spark, path, name) for name in ("gold.track_features", "gold.track_embeddings"))
    return transitions(events, features, embeddings, DAY)


def rounded(frame: DataFrame) -> DataFrame:
    """Floats at four decimals: what a golden file shows of them."""
    from pyspark.sql import functions as F

    shown = []
    for name, kind in frame.dtypes:
        column = F.col(name)
        if kind in {"double", "float"}:
            column = F.round(column.cast("double"), 4)
        if kind in {"array<double>", "array<float>"}:
            column = F.transform(column.cast("array<double>"), lambda value: F.round(value, 4))
        shown.append(column.alias(name))
    return frame.select(*shown)


@pytest.mark.parametrize(("noun", "path"), CASES)
def test_golden(spark: SparkSession, noun: str, path: Path) -> None:
    from pyspark.sql import functions as F

    found = rounded(answer(spark, noun, path).select(*SHOWN[noun]))
    golden = path / f"expected_{noun}.jsonl"
    if os.environ.get("REBUILD_GOLDENS") == "yes":
        rows = sorted(row[0] for row in found.select(F.to_json(F.struct("*"))).collect())
        golden.write_text("".join(f"{row}\n" for row in rows))
        pytest.skip(f"{golden.relative_to(HERE)} rewritten: read the difference before you commit it")
    expected: Any = spark.read.schema(found.schema).json(str(golden))
    assert_df_equality(found, expected, ignore_row_order=True, ignore_nullable=True)


def test_every_written_table_has_a_golden_case_or_is_listed_as_missing() -> None:
    written = {one.noun for one in tables().values() if one.stage != "landing"}
    covered = {noun for noun in written if any((HERE / noun).glob("**/*.jsonl"))}
    assert written - covered == set(MISSING)
