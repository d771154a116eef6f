"""The command line: `musicbox`. Each command imports what it needs when it is called, so `--help` is quick."""

from __future__ import annotations

import sys

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


def main() -> None:
    """Run the command; a refusal is one sentence and its exit code."""
    try:
        app()
    except MusicBoxError as refusal:
        typer.echo(f"musicbox: {refusal}", err=True)
        sys.exit(refusal.exit_code)
