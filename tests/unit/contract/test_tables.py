"""The contract itself: every schema file loads, is complete and says where it stands."""

import pytest

from musicbox_lib.contract.tables import table, tables
from musicbox_lib.errors import UsageError
from musicbox_lib.settings import settings

STAGE_FOLDERS = {
    "landing": "1_landing",
    "bronze": "2_bronze",
    "silver": "3_silver",
    "gold": "4_gold",
    "training": "5_training",
    "models": "6_models",
    "scores": "7_scores",
    "reports": "8_reports",
    "ops": "9_ops",
}


@pytest.mark.parametrize("name", sorted(tables()))
def test_a_table_is_one_file_with_a_grain_of_its_own_columns(name: str) -> None:
    found = table(name)
    path = settings().schemas / STAGE_FOLDERS[found.stage] / f"{found.noun}.yaml"
    assert path.exists()
    assert set(found.grain) <= set(found.column_names)
    assert set(found.partition) <= set(found.column_names) or found.format == "csv"


@pytest.mark.parametrize("name", sorted(tables()))
def test_every_column_has_a_sentence_and_every_key_is_required(name: str) -> None:
    found = table(name)
    for column in found.columns:
        assert column.about.endswith("."), column.name
    if found.format == "delta":
        assert [c.name for c in found.columns if c.name in found.grain and c.nullable] == []


def test_an_unknown_table_is_refused_with_the_known_names() -> None:
    with pytest.raises(UsageError, match=r"there is no table 'gold.nothing': the tables are .*gold.track_features"):
        table("gold.nothing")
    for near in ("silver.known_track", "known_tracks", "Silver.known_tracks"):
        with pytest.raises(UsageError) as refused:
            table(near)
        assert str(refused.value) == f"there is no table {near!r} (did you mean silver.known_tracks?)."


@pytest.mark.parametrize("name", ["gold/../bronze", "gold.x; drop", "", "gold"])
def test_words_that_are_no_table_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        table(name)
