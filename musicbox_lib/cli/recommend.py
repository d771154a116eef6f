"""One user's last session and the three tracks that answer it, as a person wants to see them. No JVM."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from musicbox_lib import lake
from musicbox_lib.cli.grid import plain_console, shown
from musicbox_lib.contract.jobs import writer_of
from musicbox_lib.errors import DataRefused
from musicbox_lib.landing.pseudonyms import names_of

if TYPE_CHECKING:
    from rich.console import Console

SCORES, SESSIONS, TRACKS = "scores.top3_recommendations", "gold.last_sessions", "gold.track_features"
ANSWERS = {
    0: "not skipped",
    1: "skipped late (skip_3)",
    2: "skipped (skip_2)",
    3: "skipped at once (skip_1)",
    -1: "no label",
}
"""What each grade of gold.last_sessions means."""
REASONS = {
    "near_liked_track": "near {because}, which was not skipped",
    "fits_session": "fits the session as the model sees it",
    "item_knn_of_liked": "heard together with {because}, which was not skipped",
    "item_knn_of_heard": "heard together with {because}",
    "popular_in_catalogue": "among the catalogue's most played",
    "exploring": "to learn from: drawn for the sake of trying",
}
"""What each reason_code says."""

Row = dict[str, Any]


@dataclass(frozen=True)
class UserAnswer:
    """A night's answer to one user."""

    day: dt.date
    user_id: str
    session: list[tuple[str, int]]
    """The last session's (track_id, grade), oldest first."""
    slate: list[Row]
    """Rows of scores.top3_recommendations by rank."""
    tracks: dict[str, Row]
    """title and artist of the tracks above, where delivered."""

    def name(self, track_id: str) -> str:
        """`title by artist`, as far as they are known, else the track's id."""
        known = self.tracks.get(track_id, {})
        title = known.get("title") or track_id
        return f"{title} by {known['artist']}" if known.get("artist") else str(title)


def find_answer(user_id: str | None, day: dt.date | None) -> UserAnswer:
    """The answer to a user on a day: without a day the newest scored one, without a user the first by user_id.

    Raises DataRefused where the day was not scored or the user was not active on it.
    """
    scored = lake.days_of(SCORES)
    if not scored or (day is not None and day not in scored):
        when = f"{day} has not been scored" if day is not None else "no night has been scored yet"
        raise DataRefused(f"{when}: run the nightly DAG first (make nightly RUN_DATE={day or 'YYYY-MM-DD'}).")
    day = day or scored[-1]
    if user_id is None:
        users = _rows(SCORES, day, columns=["user_id"])
        user_id = min(row["user_id"] for row in users)
    # Asked by the delivered id, a pseudonym is found too.
    named = ("user_id", "in", sorted(names_of(user_id)))
    slate = sorted(_rows(SCORES, day, named), key=lambda row: int(row["rank"]))
    contexts = _rows(SESSIONS, day, named)
    if not slate or not contexts:
        raise DataRefused(f"user {user_id!r} was not active on {day}: leave --user out to see one who was.")
    heard = contexts[0]["n_in_session"]
    plays = list(zip(contexts[0]["track_ids"], contexts[0]["skip_grades"], strict=True))
    session = plays[len(plays) - min(heard, len(plays)) :]
    asked = {track for track, _ in session} | {row["track_id"] for row in slate}
    asked |= {row["because_track_id"] for row in slate if row["because_track_id"]}
    known = _rows(TRACKS, day, ("track_id", "in", sorted(asked)), columns=["track_id", "title", "artist"])
    return UserAnswer(day, contexts[0]["user_id"], session, slate, {row["track_id"]: row for row in known})


def _rows(name: str, day: dt.date, *where: tuple[str, str, Any], columns: list[str] | None = None) -> list[Row]:
    found = lake.snapshot(name)
    if found is None:
        raise DataRefused(f"{name} has not been written yet: run the job {writer_of(name)} (or the DAG) first.")
    rows: list[Row] = found.to_pyarrow_table(columns=columns, filters=[("dt", "=", day), *where]).to_pylist()
    return rows


def show(answer: UserAnswer) -> None:
    """Write the answer to standard output: the session, then the three tracks with their reasons."""
    console = plain_console()
    console.print(f"User {shown(answer.user_id)}, last session as known at the end of {answer.day}:", soft_wrap=True)
    _table(
        console,
        ("", "track", "answer"),
        [(str(at), answer.name(track), ANSWERS[grade]) for at, (track, grade) in enumerate(answer.session, start=1)],
    )
    console.print(f"Next, by {shown(answer.slate[0]['model_id'])}:", soft_wrap=True)
    _table(
        console,
        ("rank", "track", "why", "source", "propensity"),
        [
            (
                str(row["rank"]),
                answer.name(row["track_id"]),
                REASONS[row["reason_code"]].format(because=answer.name(row["because_track_id"] or "")),
                row["source"],
                _chance(row["propensity"]),
            )
            for row in answer.slate
        ],
    )


def _chance(value: float) -> str:
    """Four decimals, or two digits of a chance so small that they would all be 0: a drawn track's chance is never 0."""
    return f"{value:.4f}" if value >= 0.0001 else f"{value:.1e}"


def _table(console: Console, heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for head in heads:
        # On a narrow terminal titles and sentences are folded; a word or a number of a few letters is not.
        table.add_column(head, overflow="fold", no_wrap=head not in {"track", "why"})
    for row in rows:
        table.add_row(*(Text(shown(cell)) for cell in row))
    console.print(table)
