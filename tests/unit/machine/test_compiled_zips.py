"""Spark's zips with compiled modules in them."""

from __future__ import annotations

import importlib
import zipfile
from pathlib import Path

import pytest

from musicbox_lib.machine.compiled_zips import compile_zip


def test_python_takes_the_compiled_module_and_a_second_time_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lib.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("zipped_for_a_test/__init__.py", "ANSWER = 3\n")
        made.writestr("zipped_for_a_test/tracks.txt", "t1\n")
    compile_zip(path)
    names = ["zipped_for_a_test/__init__.py", "zipped_for_a_test/__init__.pyc", "zipped_for_a_test/tracks.txt"]
    assert zipfile.ZipFile(path).namelist() == names
    compile_zip(path)
    assert zipfile.ZipFile(path).namelist() == names
    monkeypatch.syspath_prepend(str(path))
    module = importlib.import_module("zipped_for_a_test")
    assert module.ANSWER == 3
    assert str(module.__file__).endswith("__init__.pyc")
