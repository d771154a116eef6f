"""The command line: `musicbox`. Each command imports what it needs when it is called, so `--help` is quick."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from musicbox_lib.errors import MusicBoxError
from musicbox_lib.machine import full_disk, stopping
from musicbox_lib.settings import settings
from musicbox_lib.synthetic import worlds

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="MusicBox: from raw session logs to three tracks for every active user.",
)


@app.callback()
def _front_door() -> None:
    """MusicBox: from raw session logs to three tracks for every active user."""


@app.command()
def sql(
    query: Annotated[
        str | None, typer.Argument(help="One SELECT over the tables by name, as silver.listening_events.")
    ] = None,
    output: Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="How to print it.")] = "table",
    file: Annotated[
        Path | None, typer.Option(help="Ask every question of a file instead, as docs/questions.sql.")
    ] = None,
) -> None:
    """Ask the lake a question in SQL (DuckDB; reads only, about a second).

    Views with a name: diversity_trend, evaluation_trend, latest_recommendations, latest_writes, quarantine_summary,
    recommendations_with_tracks, skip_rate_trend, validation_trend. Twenty questions to start from: docs/questions.sql.
    `SHOW TABLES` lists every name. MUSICBOX_SQL_VIEWS names a folder of views of your own.

    An answer too wide for the terminal is printed record by record. In CSV null is nothing and an empty text "", in
    JSON the second of two columns called n is n_1 and NaN is the text "NaN"; both hold every row and every digit.

    Examples: `musicbox sql "SELECT * FROM skip_rate_trend WHERE policy = 'logged'" --format csv`,
    `musicbox sql --file docs/questions.sql`
    """
    from musicbox_lib.cli.tables import show, show_file
    from musicbox_lib.errors import UsageError
    from musicbox_lib.sql.ask import ask

    if (query is None) == (file is None):
        raise UsageError("musicbox sql wants one SELECT or --file FILE, not both.")
    if file is not None:
        raise typer.Exit(show_file(file, output))
    show(ask(str(query)), output)


@app.command()
def report(
    dt: Annotated[str, typer.Option("--dt", help="The night to report, as YYYY-MM-DD.")],
) -> None:
    """Write the night's page: one HTML file with every number and plot, readable without a network.

    Example: `musicbox report --dt 2026-11-05`
    """
    from musicbox_lib.contract.days import parse_date
    from musicbox_lib.reports.page.page import write_page

    typer.echo(write_page(parse_date(dt)))


@app.command()
def generate(
    users: Annotated[int, typer.Option(help="Listeners.")] = 600,
    tracks: Annotated[int, typer.Option(help="Tracks.")] = 2000,
    days: Annotated[int, typer.Option(help="Days of deliveries.")] = 14,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 20261105,
    from_date: Annotated[str, typer.Option(help="First day, as YYYY-MM-DD.")] = "2026-10-23",
    out: Annotated[Path | None, typer.Option(help="The lake to deliver to (default: MUSICBOX_LAKE).")] = None,
    truth: Annotated[Path | None, typer.Option(help="Where what is true goes (default: MUSICBOX_TRUTH).")] = None,
    world: Annotated[
        str, typer.Option(help=f"A world by name ({', '.join(worlds.names())}) or a YAML file.")
    ] = "default",
    faults: Annotated[
        Path | None, typer.Option(help="A YAML file `kind: number` of faults to write on purpose (default: none).")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write over the same world's deliveries, or over another world's truth.")
    ] = False,
) -> None:
    """Generate a world whose truth is known: invented listeners, tracks and session logs, delivered day by day.

    Examples: `musicbox generate --users 600 --tracks 2000 --days 14 --from-date 2026-10-23 --out lake --truth truth`,
    `musicbox generate --world drift --faults musicbox_lib/synthetic/faults/every_kind.yaml --out lake2 --truth truth2`
    """
    from musicbox_lib.cli.generate import generate_with_progress, local_lake
    from musicbox_lib.contract.days import parse_date
    from musicbox_lib.settings import settings
    from musicbox_lib.synthetic.faults.plant import read_faults
    from musicbox_lib.synthetic.world import load_world

    generate_with_progress(
        users=users,
        tracks=tracks,
        days=days,
        seed=seed,
        from_date=parse_date(from_date),
        lake=out or local_lake(),
        truth=truth or settings().truth,
        world=load_world(world),
        faults=read_faults(faults) if faults else {},
        overwrite=overwrite,
    )


@app.command()
def evaluate(
    dt: Annotated[str, typer.Option("--dt", help="The night to judge, as YYYY-MM-DD.")],
    truth: Annotated[Path | None, typer.Option(help="The generated truth (default: MUSICBOX_TRUTH).")] = None,
) -> None:
    """Tell how good every policy was on a night: what its plays say (reports.policy_evaluation) and, where the lake was
    generated, what is true: skip rates after the last sessions, gap closed, paired differences.

    Example: `musicbox evaluate --dt 2026-11-05 --truth truth`
    """
    from musicbox_lib.cli.evaluate import show_night

    show_night(dt, truth)


@app.command()
def land(
    dt: Annotated[str, typer.Option("--dt", help="The day of delivery, as YYYY-MM-DD.")],
    log: Annotated[Path | None, typer.Option(help="A session log: CSV, plain or gzip.")] = None,
    tracks: Annotated[Path | None, typer.Option(help="A track table, known from then on: CSV, plain or gzip.")] = None,
) -> None:
    """Put a delivered file into landing, whole or not at all; refuses what a night could not read.
    Says which values the night would set aside, and which file another one replaces.

    Example: `musicbox land --log log_0_20180715_000000000000.csv.gz --dt 2018-07-15 --tracks tracks.csv.gz`
    """
    from musicbox_lib.contract.days import parse_date
    from musicbox_lib.landing.land import land as put

    for target in put(parse_date(dt), log, tracks, typer.echo):
        typer.echo(target)


@app.command()
def replay_rejected(
    dt: Annotated[str, typer.Option("--dt", help="The day of delivery to judge anew, as YYYY-MM-DD.")],
) -> None:
    """Empty a day's quarantine, after a rule or a file was mended: take its files in anew, judge them by today's rules.
    Twice gives the same rows.

    Example: `musicbox replay-rejected --dt 2026-11-05`
    """
    from musicbox_lib.contract.days import parse_date
    from musicbox_lib.orchestration.replay import replay

    for sentence in replay(parse_date(dt)).sentences():
        typer.echo(sentence)
    typer.echo(f"What was computed from that day rests on the rows of before: run `make nightly RUN_DATE={dt}`.")


@app.command()
def doctor() -> None:
    """Look at this machine: Python, Java, environments, jars, disk, memory, lake, Airflow; exit code 1 if one is wrong.

    Example: `musicbox doctor`
    """
    from musicbox_lib.cli.doctor import show

    raise typer.Exit(1 if show() else 0)


@app.command()
def recommend(
    user: Annotated[str | None, typer.Option("--user", help="The user; the first active one if left out.")] = None,
    dt: Annotated[str | None, typer.Option("--dt", help="The night, as YYYY-MM-DD; newest scored if left out.")] = None,
) -> None:
    """Show a user's last session and the three tracks for after it, each with its reason.

    Example: `musicbox recommend --user u_000017 --dt 2026-11-05`
    """
    from musicbox_lib.cli.recommend import find_answer, show
    from musicbox_lib.contract.days import parse_date

    show(find_answer(user, parse_date(dt) if dt is not None else None))


@app.command()
def restore(
    table: Annotated[str, typer.Argument(help="The table by name, as scores.top3_recommendations.")],
    version: Annotated[
        int | None, typer.Option(help="The version to take back; without it the newest earlier one that differs.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    listed: Annotated[
        bool, typer.Option("--list", help="List the table's newest versions, and change nothing.")
    ] = False,
) -> None:
    """Undo a write: put an earlier version of a table in the place of the present one. It is a new version, so it can
    be undone by the same command; the run ledger names it.

    Examples: `musicbox restore scores.top3_recommendations --list`, `musicbox restore scores.top3_recommendations
    --dry-run`, `musicbox restore reports.skip_rate --version 7`
    """
    from musicbox_lib.cli.restore import show_versions
    from musicbox_lib.lake.restore import plan
    from musicbox_lib.lake.restore import restore as put_back

    if listed:
        show_versions(table)
        return
    planned = plan(table, version)
    typer.echo(f"{planned}")
    if not planned.changes:
        show_versions(table)
    elif dry_run:
        typer.echo("Nothing was changed: run it again without --dry-run.")
    else:
        typer.echo(f"Done, as version {put_back(planned)}.")


@app.command("forget-user")
def forget_user(
    user: Annotated[str, typer.Argument(help="The user's delivered id, or their pseudonym.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
) -> None:
    """Forget a user: every row, session and landed line of theirs goes, replaced files once VACUUM may take them, and a
    receipt that names nobody stays. Run it again to complete a receipt, or to hear whether a user was forgotten.

    Example: `musicbox forget-user u_000017 --dry-run`
    """
    from musicbox_lib.cli.forget import show_forgetting, show_what_would_go

    typer.echo((show_what_would_go if dry_run else show_forgetting)(user))


@app.command()
def maintain(
    step: Annotated[Literal["retention", "registry", "optimize", "vacuum"], typer.Argument(help="What to do.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what it would do.")] = False,
) -> None:
    """Do one step of the weekly upkeep: `retention` removes days past their time (MUSICBOX_KEEP_…_DAYS), `registry`
    model folders that nothing asks for, `optimize` packs small files, `vacuum` removes files that were replaced
    MUSICBOX_VACUUM_DAYS ago.

    Example: `musicbox maintain vacuum --dry-run`
    """
    from musicbox_lib.cli.maintain import show_plan, show_step

    (show_plan if dry_run else show_step)(step)


def _with_comments(words: list[str]) -> list[str]:
    """The command line's words, in which a query that begins with a comment, as those of docs/questions.sql do, is no
    option: none has a blank behind its dashes or a line break in its name."""
    return [f" {word}" if re.match(r"--(\s|[^=]*\n)", word) else word for word in words]


def main() -> None:
    """Run the command; a refusal is one sentence and its exit code, and so is a stop."""
    command = " ".join(["musicbox", *sys.argv[1:2]])
    try:
        settings()
        with stopping.stoppable(lambda: f"`{command}`", "the same words"), full_disk.named("musicbox", "the lake"):
            app(_with_comments(sys.argv[1:]))
    except MusicBoxError as refusal:
        typer.echo(f"musicbox: {refusal}", err=True)
        sys.exit(refusal.exit_code)
