"""The command line's application, and the arguments that several commands take."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from eventabs import __version__
from eventabs.cli.help import Command, Group
from eventabs.cli.options import Lang
from eventabs.language import gettext as _

app = typer.Typer(
    name="eventabs",
    help=_("Turn exports of user behavior into high-level events with an LLM."),
    cls=Group,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
command = partial(app.command, cls=Command)

Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUT",
        help=_("Exports: files, folders, globs or addresses (s3, gs, az, https); - is standard input."),
    ),
]
Checkpoint = Annotated[
    Path, typer.Argument(metavar="CHECKPOINT", help=_("A run directory or its checkpoint.json."))
]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"eventabs {__version__}")
        raise typer.Exit


@app.callback()
def common(
    lang: Lang = None,  # settled before this was loaded
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help=_("Show the version and exit.")
        ),
    ] = False,
) -> None:
    """Take options that stand before the command."""
