"""Faults on purpose: as many in the files as the truth says, where it says, and not a byte elsewhere."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from musicbox_lib.cli import app
from musicbox_lib.contract.tables import table
from musicbox_lib.errors import UsageError
from musicbox_lib.synthetic.faults.kinds import KINDS
from musicbox_lib.synthetic.faults.plant import read_faults
from musicbox_lib.synthetic.generate import generate

FROM, DAYS = dt.date(2026, 10, 31), 4
EVERY = Path(app.__file__).parent.parent / "synthetic" / "faults" / "every_kind.yaml"
COLUMNS = table("landing.session_logs").column_names
Lines = dict[tuple[str, bytes], list[bytes]]


def make(root: Path, faults: dict[str, int], users: int = 60, workers: int = 1) -> Path:
    generate(
        users=users,
        tracks=100,
        days=DAYS,
        seed=7004,
        from_date=FROM,
        lake=root / "lake",
        truth=root / "truth",
        faults=faults,
        workers=workers,
    )
    return root


def lines_of(root: Path) -> Lines:
    """(day, session_id) -> delivered lines."""
    found: Lines = {}
    for file in sorted((root / "lake" / "landing" / "session_logs").glob("dt=*/sessions.csv.gz")):
        header, *lines = gzip.decompress(file.read_bytes()).splitlines()
        assert header == ",".join(COLUMNS).encode()
        for line in lines:
            found.setdefault((file.parent.name.removeprefix("dt="), line.split(b",")[0]), []).append(line)
    return found


@dataclass(frozen=True)
class Made:
    clean: Lines
    faulty: Lines
    truth: dict[str, Any]
    folder: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    clean = make(tmp_path_factory.mktemp("clean"), {})
    faulty = make(tmp_path_factory.mktemp("faulty"), read_faults(EVERY))
    assert not (clean / "truth" / "faults.json").exists()
    truth = json.loads((faulty / "truth" / "faults.json").read_text())
    return Made(lines_of(clean), lines_of(faulty), truth, faulty)


def test_the_example_names_every_kind() -> None:
    assert list(read_faults(EVERY)) == list(KINDS)


def test_counts_are_those_asked_for_and_no_session_has_two(made: Made) -> None:
    assert {name: fault["count"] for name, fault in made.truth.items()} == read_faults(EVERY)
    places = [place["session_id"] for fault in made.truth.values() for place in fault["where"]]
    assert len(set(places)) == len(places) == sum(read_faults(EVERY).values())
    assert all(fault["rows"] == sum(place["rows"] for place in fault["where"]) for fault in made.truth.values())


def test_every_line_without_a_fault_keeps_its_bytes(made: Made) -> None:
    targets = {place["session_id"].encode(): place for fault in made.truth.values() for place in fault["where"]}
    changed = Counter[str]()
    for key in made.clean.keys() | made.faulty.keys():
        before, after = made.clean.get(key, []), made.faulty.get(key, [])
        if key[1] not in targets:
            assert after == before
            continue
        place = targets[key[1]]
        named = {str(position).encode() for position in place["positions"]}
        other_before = [line for line in before if line.split(b",")[1] not in named]
        assert [line for line in after if line.split(b",")[1] not in named] == other_before
        changed[place["session_id"]] += after != before
    # Delivered twice is seen on its second day only.
    assert set(changed.values()) == {1}


def rows(made: Made, kind: str) -> list[tuple[dict[str, Any], list[list[bytes]], list[list[bytes]]]]:
    """Each place of a kind with the session's values before and after."""
    found = []
    for place in made.truth[kind]["where"]:
        session = place["session_id"].encode()
        before = next(lines for (_, name), lines in made.clean.items() if name == session)
        after = made.faulty[place["day"], session]
        found.append((place, [line.split(b",") for line in before], [line.split(b",") for line in after]))
    assert len(found) == 2
    return found


@pytest.mark.parametrize(
    ("kind", "column", "holds"),
    [
        ("wrong_type", "hour_of_day", b"noon"),
        ("out_of_range", "hour_of_day", b"31"),
        ("unknown_enum_value", "context_type", b"jukebox"),
        ("malformed_id", "track_id_clean", b" ?"),
        ("nul_byte", "hist_user_behavior_reason_start", b"\x00"),
        ("replacement_character", "hist_user_behavior_reason_start", b"\xef\xbf\xbd"),
        ("latin_1_byte", "hist_user_behavior_reason_start", b"\xf6"),
        ("over_long_field", "hist_user_behavior_reason_start", b"x" * 5000),
        ("unclosed_quote", "context_type", b'"'),
    ],
)
def test_a_row_fault_is_one_value_of_one_row(made: Made, kind: str, column: str, holds: bytes) -> None:
    at = COLUMNS.index(column)
    for place, before, after in rows(made, kind):
        (position,) = place["positions"]
        differing = [(i, j) for i, row in enumerate(after) for j, value in enumerate(row) if value != before[i][j]]
        assert differing == [(position - 1, at)]
        assert holds in after[position - 1][at]
        assert holds not in before[position - 1][at]


def test_labels_contradict_each_other_in_one_row(made: Made) -> None:
    for place, _, after in rows(made, "contradicting_labels"):
        row = dict(zip(COLUMNS, after[place["positions"][0] - 1], strict=True))
        assert (row["skip_1"], row["skip_2"]) == (b"True", b"False")


def test_a_row_stands_twice_alike_or_not(made: Made) -> None:
    for kind, same in (("exact_duplicate", True), ("conflicting_duplicate", False)):
        for place, before, after in rows(made, kind):
            (position,) = place["positions"]
            assert len(after) == len(before) + 1
            assert after[position - 1] == before[position - 1]
            assert (after[position] == before[position - 1]) == same
            assert after[position][:2] == before[position - 1][:2]


def test_rows_are_missing_within_and_at_the_end(made: Made) -> None:
    for place, before, after in rows(made, "gap_in_positions"):
        (position,) = place["positions"]
        assert 1 < position < len(before)
        assert after == before[: position - 1] + before[position:]
        assert place["rows"] == len(after)
    for place, before, after in rows(made, "truncated_session"):
        assert after == before[: len(after)]
        assert place["positions"] == list(range(len(after) + 1, len(before) + 1)) != []


def test_sessions_say_two_lengths_or_too_many(made: Made) -> None:
    for _, before, after in rows(made, "two_lengths"):
        assert Counter(int(row[2]) for row in after) == {len(before): len(before) - 1, len(before) - 1: 1}
    for _, before, after in rows(made, "more_than_20_rows"):
        assert [int(row[1]) for row in after] == list(range(1, 22))
        assert {row[2] for row in after} == {b"21"}
        assert [row[3:] for row in after[: len(before)]] == [row[3:] for row in before]


def test_dates_are_late_and_ahead(made: Made) -> None:
    at = COLUMNS.index("date")
    for kind, days in (("late_date", range(-120, -30)), ("future_date", range(2, 6))):
        for place, _, after in rows(made, kind):
            delivered = dt.date.fromisoformat(place["day"])
            assert all((dt.date.fromisoformat(row[at].decode()) - delivered).days in days for row in after)


def test_a_session_comes_again_the_next_day(made: Made) -> None:
    for place, before, after in rows(made, "delivered_twice"):
        assert after == before
        eve = str(dt.date.fromisoformat(place["day"]) - dt.timedelta(days=1))
        assert (eve, place["session_id"].encode()) in made.clean
        assert (place["day"], place["session_id"].encode()) not in made.clean


def test_the_same_seed_places_the_same_faults(made: Made, tmp_path: Path) -> None:
    again = make(tmp_path, read_faults(EVERY))
    assert json.loads((again / "truth" / "faults.json").read_text()) == made.truth
    for file in sorted((again / "lake" / "landing").rglob("*.gz")):
        assert file.read_bytes() == (made.folder / file.relative_to(again)).read_bytes()
    # Another fault beside it does not move it.
    alone = make(tmp_path / "alone", {"gap_in_positions": 2, "delivered_twice": 2})
    found = json.loads((alone / "truth" / "faults.json").read_text())
    assert found["delivered_twice"] == made.truth["delivered_twice"]


def test_what_cannot_be_planted_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "faults.yaml"
    for text, says in (
        ("gap: 1\n", r"there is no fault 'gap'.*: name some of wrong_type, out_of_range"),
        ("nul_byte: -1\n", "nul_byte is -1: it must be a number of faults"),
        ("nul_byte: many\n", "nul_byte is 'many'"),
        ("- nul_byte\n", "must hold lines `kind: number`"),
        ("a: [\n", "cannot be read as YAML"),
    ):
        file.write_text(text)
        with pytest.raises(UsageError, match=says) as refusal:
            read_faults(file)
        assert str(file) in str(refusal.value)
    with pytest.raises(UsageError, match="cannot be read as YAML"):
        read_faults(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match="5000 faults nul_byte do not fit"):
        make(tmp_path / "full", {"nul_byte": 5_000})


def test_the_command_takes_worlds_by_name_and_faults_by_file(tmp_path: Path) -> None:
    words = ["generate", "--users", "30", "--tracks", "80", "--days", "2", "--seed", "7005", "--world", "drift"]
    places = ["--out", str(tmp_path / "lake"), "--truth", str(tmp_path / "truth")]
    faults = tmp_path / "faults.yaml"
    faults.write_text("nul_byte: 3\n")
    done = CliRunner().invoke(app.app, [*words, *places, "--faults", str(faults)])
    assert done.exit_code == 0, done.output
    assert "3 faults were written on purpose" in done.output
    assert json.loads((tmp_path / "truth" / "world.json").read_text())["world"]["name"] == "drift"
    assert json.loads((tmp_path / "truth" / "faults.json").read_text())["nul_byte"]["count"] == 3
    refused = CliRunner().invoke(app.app, [*words[:-1], "drfit", *places])
    assert isinstance(refused.exception, UsageError)
    assert "plays_apart_from_mood" in str(refused.exception)
    told = CliRunner().invoke(app.app, ["generate", "--help"], env={"COLUMNS": "300"})
    assert "cold_tracks, default, drift, noisy_logging, null" in told.output
