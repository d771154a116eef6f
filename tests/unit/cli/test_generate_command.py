"""`musicbox generate` writes over nothing without being told to."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from musicbox_lib.cli.app import app
from musicbox_lib.errors import Conflict


def generated(lake: Path, truth: Path, *more: str, seed: int = 7) -> None:
    words = ["generate", "--users", "20", "--tracks", "80", "--days", "2", "--seed", str(seed)]
    done = CliRunner().invoke(app, [*words, "--out", str(lake), "--truth", str(truth), *more])
    if done.exception:
        raise done.exception


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_filled_lake_is_left_as_it_is_without_a_clear_word(tmp_path: Path) -> None:
    lake, truth = tmp_path / "lake", tmp_path / "truth"
    generated(lake, truth)
    before = content(tmp_path)
    with pytest.raises(Conflict, match="already holds deliveries .*--out, or say --overwrite") as refused:
        generated(lake, truth)
    assert refused.value.exit_code == 4
    assert content(tmp_path) == before
    generated(lake, truth, "--overwrite")
    assert {f"lake/{name}": held for name, held in content(lake).items()} == {
        name: held for name, held in before.items() if name.startswith("lake/")
    }
    # Another world in the same lake would have no truth: no word helps.
    with pytest.raises(Conflict, match="holds other deliveries"):
        generated(lake, truth, "--overwrite", seed=8)


def test_tables_fill_a_lake_too(tmp_path: Path) -> None:
    (tmp_path / "lake" / "bronze" / "session_events" / "_delta_log").mkdir(parents=True)
    with pytest.raises(Conflict, match="already holds 1 tables"):
        generated(tmp_path / "lake", tmp_path / "truth")
    assert not (tmp_path / "truth").exists()


def test_the_truth_of_another_world_is_not_lost_without_a_word(tmp_path: Path) -> None:
    truth = tmp_path / "truth"
    generated(tmp_path / "one", truth)
    before = content(truth)
    with pytest.raises(Conflict, match="another world .20 listeners, 80 tracks, seed 7.*--truth, or say --overwrite"):
        generated(tmp_path / "two", truth, seed=8)
    assert content(truth) == before
    assert not (tmp_path / "two").exists()
    # The same world in another folder has the same truth.
    generated(tmp_path / "three", truth)
    assert content(truth) == before
