"""The commands about one run over many run directories."""

import time
from pathlib import Path
from typing import Annotated

import typer

from eventabs.cli import signals
from eventabs.cli.app import command
from eventabs.cli.help import choose_language
from eventabs.cli.options import LookFlags, with_options
from eventabs.language import gettext as _
from eventabs.views import print_json, print_line, stderr_console, stdout_console


@command(help=_("Make one run of shards: ledger, events, failures. Merge again to bring it up to date."))
@with_options(LookFlags)
def merge(
    look: LookFlags,
    *,
    directories: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help=_("Run directories of shards, finished or not."))
    ],
    out: Annotated[
        Path, typer.Option(help=_("Run directory to make: a new one, or one that was merged before."))
    ],
    accept_changes: Annotated[
        bool,
        typer.Option("--accept-changes", help=_("Take shards of different inputs or settings.")),
    ] = False,
) -> None:
    """Merge shards."""
    from eventabs.inspection import inspect_run  # noqa: PLC0415
    from eventabs.store import merge as merge_shards  # noqa: PLC0415
    from eventabs.views import render_status, status_json  # noqa: PLC0415

    signals.interrupt()
    merged = merge_shards(directories, out, accept_changes=accept_changes)
    state = inspect_run(merged.path, now=time.time)
    choose_language(state.language)
    if look.json:
        print_json(status_json(state, warnings=merged.warnings))
        return
    render_status(stdout_console(), state)
    for warning in merged.warnings:
        print_line(stderr_console(), _("Warning: {message}").format(message=warning))
