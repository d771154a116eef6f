"""The command line: `musicbox`. Each command imports what it needs when it is called, so `--help` is quick."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from musicbox_lib.errors import MusicBoxError

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
    query: Annotated[str, typer.Argument(help="One SELECT over the tables by name, as silver.listening_events.")],
    output: Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="How to print it.")] = "table",
) -> None:
    """Ask the lake a question in SQL (DuckDB; reads only, about a second).

    Views with a name: latest_recommendations, recommendations_with_tracks, skip_rate_trend, diversity_trend,
    quarantine_summary.

    Example: `musicbox sql "SELECT * FROM skip_rate_trend WHERE policy = 'logged'" --format csv`
    """
    from musicbox_lib.sql import ask
    from musicbox_lib.sql_output import show

    show(ask(query), output)


@app.command()
def report(
    dt: Annotated[str, typer.Option("--dt", help="The night to report, as YYYY-MM-DD.")],
) -> None:
    """Write the night's page: one HTML file with every number and plot, readable without a network.

    Example: `musicbox report --dt 2026-11-05`
    """
    from musicbox_lib.lake import parse_date
    from musicbox_lib.reports.page import write_page

    typer.echo(write_page(parse_date(dt)))


def main() -> None:
    """Run the command; a refusal is one sentence and its exit code."""
    try:
        app()
    except MusicBoxError as refusal:
        typer.echo(f"musicbox: {refusal}", err=True)
        sys.exit(refusal.exit_code)
