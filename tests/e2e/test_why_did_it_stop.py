"""A night that stops says why: the rules, the columns, and lines with file, number and value, in a sentence, in a table
and on a page, though nothing was published."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from deliveries import DAY, OFFICIAL, as_csv, as_line, deliver, play, plays, rows_of, run
from lake_content import the_lake

from musicbox_lib import settings as settings_module
from musicbox_lib.contract.tables import table
from musicbox_lib.errors import DataRefused
from musicbox_lib.landing import pseudonyms
from musicbox_lib.privacy.forget import forget
from musicbox_lib.reports.page.page import page_path, write_page
from musicbox_lib.sql.ask import ask
from musicbox_lib.validation import stops
from musicbox_lib.validation.decision import Result

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EXAMPLES = "silver.validation_examples"
UNREAD, WRONG, TORN, TWICE = (DAY - dt.timedelta(days=back) for back in (4, 3, 2, 1))
GONE = "gone-user-7001"
TRACKS = table("landing.tracks").column_names
AUDIO = {"duration": "200", "release_year": "2001", "key": "3", "mode": "1", "time_signature": "4", "loudness": "-9"}


def sessions(number: int, day: dt.date) -> list[dict[str, str]]:
    return [row for at in range(number) for row in plays(f"{day}-{at}", 10, day)]


def unread() -> bytes:
    """4 of 5 sessions with words for numbers; one of the words is markup, one line has a value too many."""
    rows = sessions(5, UNREAD)
    for row in rows[:40]:
        row |= {"session_position": "<b>one</b>", "hour_of_day": "8.5"}
    rows[1] |= {"user_id": GONE}
    return as_csv([*rows[:2], as_line(rows[2]) + ",0.5", *rows[3:]])


def wrong() -> bytes:
    """Labels that contradict each other in every session, an hour that is none."""
    rows = sessions(5, WRONG)
    for row in rows[::3]:
        row |= {"skip_1": "True", "skip_2": "False"}
    rows[1] |= {"hour_of_day": "24"}
    return as_csv(rows)


def torn() -> bytes:
    """No session has its last three plays."""
    return as_csv([row for row in sessions(4, TORN) if int(row["session_position"]) < 8])


def twice() -> bytes:
    """Every row twice: good as once; but one play of three sessions is told in two ways."""
    rows = sessions(4, TWICE)
    other = [row | ({"hour_of_day": "1"} if row["session_position"] == "5" else {}) for row in rows[:30]]
    return as_csv([*rows, *rows, *other])


def tracks() -> bytes:
    """3 of 8 tracks with values that no track has, one of them that cannot be read."""
    rows = [dict.fromkeys(TRACKS, "0.5") | AUDIO | {"track_id": f"t_{number:03d}"} for number in range(1, 9)]
    rows[1] |= {"energy": "1.5", "valence": "-1"}
    rows[2] |= {"tempo": "fast"}
    rows[3] |= {"key": "12"}
    return as_csv(rows, TRACKS)


def deliver_everything(root: Path) -> None:
    for day, content in ((UNREAD, unread()), (WRONG, wrong()), (TORN, torn()), (TWICE, twice())):
        deliver(root, content, "log.csv", day)
    deliver(root, as_csv([play("good", at, day=DAY) for at in range(1, 11)], OFFICIAL), "log.csv", DAY)
    for kind, name, content in (
        ("tracks", f"tracks.dt={DAY}.csv", tracks()),
        ("session_users", "users.csv", f"session_id,user_id\ngood,{GONE}\nother,u-1,{GONE}\n".encode()),
    ):
        (root / "landing" / kind).mkdir(parents=True)
        (root / "landing" / kind / name).write_bytes(content)


def stopped_night(root: Path) -> str:
    """The sentence of a night that judges all five days."""
    deliver_everything(root)
    run("session_events")
    with pytest.raises(DataRefused) as refusal:
        run("listening_events")
    return str(refusal.value)


@pytest.fixture(scope="module")
def stopped(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("stopped") / "lake"
    with the_lake(root):
        yield stopped_night(root)


def shown(day: dt.date, of: str = "session_logs") -> list[tuple[Any, ...]]:
    rows = [row for row in rows_of(EXAMPLES) if (row["dt"], row["input"]) == (day, of)]
    return sorted((row["rule"], row["file"], row["line"], row["column"], row["value"], row["why"]) for row in rows)


def sentence(day: dt.date, of: str = "session_logs") -> str:
    """The sentence had the night judged nothing else."""
    results = [Result(**row) for row in rows_of("silver.validation_results")]
    ours = [result for result in results if (result.dt, result.input) == (day, of)]
    return stops.sentence(ours, sorted(rows_of(EXAMPLES), key=lambda row: (row["file"], row["line"], row["column"])))


def test_nothing_was_published_and_the_sentence_is_one_bounded_line(stopped: str) -> None:
    for name in ("listening_events", "rejected_events", "known_tracks", "rejected_tracks"):
        assert rows_of(f"silver.{name}") == []
    begins = "the night stops, nothing was published: rejected_share: 3 of 8 rows of tracks on 2026-11-05"
    assert stopped.startswith(begins)
    assert f"see {EXAMPLES} and {page_path(DAY)}, mend the file and land it again." in stopped
    assert len(stopped.replace(f" and {page_path(DAY)}", "")) <= stops.LONGEST
    assert "\n" not in stopped


def test_lines_that_cannot_be_read_name_every_column_at_fault(stopped: str) -> None:
    too_many = f"{UNREAD}-0,<b>one</b>,10,t_003,False,False,False,True,0,1,0,0,0,0,F"
    assert shown(UNREAD) == [
        *(
            ("parsed", "log.csv", line, column, value, "is no whole number")
            for line in (2, 3)
            for column, value in (("hour_of_day", "8.5"), ("session_position", "<b>one</b>"))
        ),
        ("parsed", "log.csv", 4, "raw_line", f"{too_many[:59]}…", "has 24 values where the header has 23 columns"),
    ]
    assert sentence(UNREAD) == (
        "the night stops, nothing was published: rejected_share: 40 of 50 rows of session_logs on 2026-11-01 are "
        "rejected (at most 20 % may be): parsed 40 rows, columns hour_of_day, session_position, raw_line, e.g. log.csv "
        f"line 2: hour_of_day '8.5' is no whole number: see {EXAMPLES}, mend the file and land it again."
    )


def test_wrong_labels_are_shown_label_by_label(stopped: str) -> None:
    labels = ("not_skipped", "skip_1", "skip_2", "skip_3")
    # Positions 1, 4 and 7: every third is skipped late (skip_3) but for what the delivery says now.
    assert [row[2:5] for row in shown(WRONG) if row[0] == "labels_agree"] == [
        (line, label, value)
        for line in (2, 5, 8)
        for label, value in zip(labels, ("False", "True", "False", "True"), strict=True)
    ]
    hour = ("hour_of_day_range", "log.csv", 3, "hour_of_day", "24", "is not from 0 to 23")
    assert [row for row in shown(WRONG) if row[0] == "hour_of_day_range"] == [hour]
    said = sentence(WRONG)
    assert "18 of 50 rows of session_logs on 2026-11-02 are rejected" in said
    assert (
        "labels_agree 17 rows, columns not_skipped, skip_1, skip_2 and 1 more, e.g. log.csv line 2: not_skipped" in said
    )
    assert "hour_of_day_range 1 rows, column hour_of_day, e.g. log.csv line 3: hour_of_day '24' is not from 0" in said


def test_a_session_that_is_not_whole_says_what_is_missing(stopped: str) -> None:
    assert shown(TORN) == [
        (
            "session_complete", "log.csv", line, column, value,
            "is of a session of which 3 positions were not delivered",
        )
        for line in (2, 3, 4)
        for column, value in (("session_length", "10"), ("session_position", str(line - 1)))
    ]  # fmt: skip
    assert "28 of 28 rows" in sentence(TORN)
    assert "session_complete 28 rows, columns session_" in sentence(TORN)


def test_copies_are_shown_and_cost_nothing_and_two_stories_do(stopped: str) -> None:
    copies = [row for row in shown(TWICE) if row[0] == "no_duplicate"]
    assert copies == [
        ("no_duplicate", "log.csv", line, "session_position", str(line - 41), "is a copy of an earlier row of the day")
        for line in (42, 43, 44)
    ]
    stories = [row[2:5] for row in shown(TWICE) if row[0] == "no_conflict"]
    assert stories == [(line, "session_position", "5") for line in (6, 16, 26)]
    # 9 of 110 rows: a copy is no fault.
    assert sentence(TWICE) == ""


def test_tracks_are_shown_by_the_columns_of_their_file(stopped: str) -> None:
    name = f"tracks.dt={DAY}.csv"
    assert shown(DAY, "tracks") == [
        ("key_range", name, 5, "key", "12", "is not from -1 to 11"),
        ("parsed", name, 4, "tempo", "fast", "is no number"),
        ("shares_in_range", name, 3, "energy", "1.5", "is not from 0 to 1"),
        ("shares_in_range", name, 3, "valence", "-1", "is not from 0 to 1"),
    ]
    said = sentence(DAY, "tracks")
    assert "3 of 8 rows of tracks on 2026-11-05 are rejected (at most 20 % may be): parsed 1 rows, column tempo" in said
    assert f"{name} line 4: tempo 'fast' is no number" in said


def test_a_line_of_session_users_that_names_nobody_is_counted_and_shown(stopped: str) -> None:
    [result] = [row for row in rows_of("silver.validation_results") if row["input"] == "session_users"]
    assert (result["rule"], result["evaluated"], result["unexpected"], result["decision"]) == ("parsed", 2, 1, "warn")
    assert shown(DAY, "session_users") == [
        ("parsed", "users.csv", 3, "raw_line", f"other,u-1,{GONE}", "has 3 values where the header has 2 columns")
    ]


def words(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def test_the_page_of_a_stopped_night_gives_rules_counts_and_lines(stopped: str) -> None:
    # The job wrote it; the command writes the same.
    html = page_path(DAY).read_text()
    assert write_page(DAY).read_text() == html
    said = words(html)
    assert "This night stopped" in said
    assert "no earlier night has recommendations that could stand" in said
    assert "rejected_share: 3 of 8 rows of tracks on 2026-11-05 are rejected (at most 20 % may be)" in said
    assert "rejected_share: 40 of 50 rows of session_logs on 2026-11-01 are rejected" in said
    assert "line 4 tempo 'fast' is no number" in said
    assert "<b>one" not in html
    assert "'<b>one</b>' is no whole number" in said


def test_the_quarantine_of_a_lake_whose_first_night_stopped_says_so(stopped: str) -> None:
    with pytest.raises(
        DataRefused, match="the night stopped on the delivery of 2026-11-05 and published nothing. silver"
    ):
        ask("SELECT * FROM quarantine_summary")


def test_a_forgotten_user_is_in_no_example(stopped: str) -> None:
    """Last: it changes the lake."""
    before = rows_of(EXAMPLES)
    theirs = [row for row in before if (row["dt"], row["line"], row["rule"]) == (UNREAD, 3, "parsed")]
    # Nothing of the broken line that is shown names them.
    assert len(theirs) == 2 and GONE not in str(theirs)
    assert GONE in str(before)
    forget(GONE, 7)
    after = rows_of(EXAMPLES)
    assert GONE not in str(after)
    assert [row for row in after if (row["dt"], row["line"]) == (UNREAD, 3)] == []
    gone = {(UNREAD, "session_logs"), (DAY, "session_users")}
    others = [row for row in before if row["line"] != 3 or (row["dt"], row["input"]) not in gone]
    assert sorted(map(str, after)) == sorted(map(str, others))


def test_under_a_key_columns_are_found_and_no_delivered_user_is_shown(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSICBOX_USER_KEY", "a key that is long enough for a test")
    with the_lake(tmp_path / "lake"):
        settings_module.settings.cache_clear()
        said = stopped_night(tmp_path / "lake")
        everything = said + str(rows_of(EXAMPLES)) + page_path(DAY).read_text()
        users = {GONE, *(f"u-{day}-{number}" for day in (UNREAD, WRONG, TORN, TWICE) for number in range(5))}
        assert [user for user in users if user in everything] == []
        assert pseudonyms.pseudonym(GONE, b"a key that is long enough for a test") not in said
        assert [row[2:] for row in shown(UNREAD) if row[0] == "parsed" and row[2] == 2] == [
            (2, "hour_of_day", "x.x", "is no whole number"),
            (2, "session_position", "<x>xxx</x>", "is no whole number"),
        ]
        assert [row[2:5] for row in shown(DAY, "session_users")] == [(3, "raw_line", "xxxxx,x-x,xxxx-xxxx-xxxx")]
    settings_module.settings.cache_clear()
