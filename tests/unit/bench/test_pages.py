"""Benches write their tables into the docs, between two marks, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import pages

PAGE = "# Ingest\n\nHow.\n\n<!-- measured -->\nold\n<!-- /measured -->\n\nWhy.\n"


def test_a_table_replaces_what_stood_between_the_marks_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "ingest.md"
    page.write_text(PAGE)
    for _ in range(2):
        pages.put(page, "| a |\n|---|\n", "Recorded on 2026-11-05.")
    assert page.read_text() == (
        "# Ingest\n\nHow.\n\n<!-- measured -->\nRecorded on 2026-11-05.\n\n| a |\n|---|\n<!-- /measured -->\n\nWhy.\n"
    )


@pytest.mark.parametrize("text", ["# Ingest\n", "# Ingest\n<!-- measured -->\n", "# Ingest\n<!-- /measured -->\n"])
def test_a_page_without_both_marks_is_refused_and_stays(tmp_path: Path, text: str) -> None:
    page = tmp_path / "ingest.md"
    page.write_text(text)
    with pytest.raises(ValueError, match="has no part between"):
        pages.put(page, "| a |", "Recorded.")
    assert page.read_text() == text


def test_rows_of_a_bench_are_one_line_each_with_the_peer_and_the_ratio() -> None:
    rows = [
        {"case": "duckdb", "size": "1,000 rows", "seconds": 2.0, "rate": 500.0, "peak_mb": 12.4},
        {"case": "musicbox", "size": "1,000 rows", "seconds": 4.0, "rate": 250.0, "peak_mb": 40.0}
        | {"vs": "duckdb", "ratio": 0.5},
    ]
    assert pages.table_of(rows).splitlines()[2:] == [
        "| duckdb | 1,000 rows | 2 | 500 | 12 |  |  |",
        "| musicbox | 1,000 rows | 4 | 250 | 40 | duckdb | 0.50 |",
    ]


@pytest.mark.parametrize("name", ["faults", "ingest"])
def test_the_pages_that_a_run_writes_have_their_marks(name: str) -> None:
    assert pages.has_page(name)


def test_a_bench_without_a_page_writes_none() -> None:
    assert not pages.has_page("no_such_bench")
