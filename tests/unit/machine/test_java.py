"""Which Java is chosen, and what is said where none fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from musicbox_lib.errors import MusicBoxError
from musicbox_lib.machine import java

WHOLE = "java.base jdk.incubator.vector java.sql"


def home(folder: Path, version: str, modules: str = WHOLE) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "java").touch()
    (folder / "release").write_text(f'IMPLEMENTOR="Test"\nJAVA_VERSION="{version}"\nMODULES="{modules}"\n')
    return folder


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The homes that this machine seems to have; JAVA_HOME, where given, comes first as ever."""
    found: list[Path] = []

    def homes(environ: dict[str, str]) -> list[Path]:
        return ([Path(environ["JAVA_HOME"])] if environ.get("JAVA_HOME") else []) + found

    monkeypatch.setattr(java, "_homes", homes)
    return found


def test_seventeen_before_twenty_one_and_never_another(only: list[Path], tmp_path: Path) -> None:
    only += [home(tmp_path / "a", "25.0.3"), home(tmp_path / "b", "21.0.2"), home(tmp_path / "c", "17.0.15")]
    assert java.choose({}).home == tmp_path / "c"
    only.pop()
    assert java.choose({}).version == 21


def test_a_fitting_java_home_wins_and_an_unfitting_one_is_passed_over(only: list[Path], tmp_path: Path) -> None:
    only += [home(tmp_path / "c", "17.0.15")]
    mine = home(tmp_path / "mine", "21.0.2")
    assert java.choose({"JAVA_HOME": str(mine)}).home == mine
    newer = home(tmp_path / "newer", "25")
    assert java.choose({"JAVA_HOME": str(newer)}).home == tmp_path / "c"


def test_a_runtime_without_the_vector_module_does_not_fit(only: list[Path], tmp_path: Path) -> None:
    only += [home(tmp_path / "jlinked", "17.0.1", modules="java.base java.sql")]
    with pytest.raises(MusicBoxError, match=r"found 17 in .*jlinked, on which Spark 4.2 does not run"):
        java.choose({})


def test_no_java_is_one_sentence_with_what_to_do(only: list[Path]) -> None:
    with pytest.raises(MusicBoxError) as raised:
        java.choose({})
    assert str(raised.value) == (
        "there is no Java 17 or 21 here: install one, as with `apt-get install openjdk-17-jre-headless`, "
        "or point JAVA_HOME to it."
    )


def test_old_version_numbers_are_read(only: list[Path], tmp_path: Path) -> None:
    only += [home(tmp_path / "eight", "1.8.0_402")]
    assert [one.version for one in java.installed({})] == [8]
