"""A model's catalogue comes back from its file as it went in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.catalogue_file import read_catalogue, write_catalogue
from musicbox_lib.errors import DataRefused


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    features = pd.DataFrame(
        {
            "track_id": ["b", "a", "only_features"],
            "plays": [3, 5, 1],
            "play_share": [0.3, 0.5, 0.1],
            "quality_by_fold": [np.full(10, 0.1, np.float32), np.full(10, -0.2, np.float32), np.zeros(10, np.float32)],
            "audio": [np.array([1.0, 2.0], np.float32), None, None],
            "artist": ["y", None, "x"],
        }
    )
    embeddings = pd.DataFrame(
        {
            "track_id": ["a", "b"],
            "embedding": [np.array([1.0, 0.0], np.float32), np.array([0.0, 1.0], np.float32)],
            "neighbours": [np.array(["b"], dtype=object), None],
            "similarities": [np.array([0.5], np.float32), None],
        }
    )
    return features, embeddings


def test_round_trip(tmp_path: Path) -> None:
    features, embeddings = tables()
    write_catalogue(features, embeddings, tmp_path / "catalogue.parquet")
    read, made = read_catalogue(tmp_path / "catalogue.parquet"), Catalogue.of(features, embeddings)
    assert list(read.track_ids) == ["a", "b"]
    for name in (
        "embedding",
        "quality_by_fold",
        "plays",
        "play_share",
        "audio",
        "artists",
        "neighbours",
        "similarities",
    ):
        np.testing.assert_array_equal(getattr(read, name), getattr(made, name), err_msg=name)


def test_same_tables_give_the_same_file(tmp_path: Path) -> None:
    features, embeddings = tables()
    write_catalogue(features, embeddings, tmp_path / "one.parquet")
    write_catalogue(features.iloc[::-1], embeddings.iloc[::-1], tmp_path / "two.parquet")
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


def test_a_file_that_is_no_catalogue_is_refused(tmp_path: Path) -> None:
    (tmp_path / "catalogue.parquet").write_text("not parquet")
    with pytest.raises(DataRefused, match="is not a catalogue .* train the model again"):
        read_catalogue(tmp_path / "catalogue.parquet")
    with pytest.raises(DataRefused, match="is not a catalogue"):
        read_catalogue(tmp_path / "nowhere.parquet")
