"""The commands that show what a run has reached, and hand out its events."""

import time
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import typer

from eventabs.cli import signals
from eventabs.cli.app import Checkpoint, command
from eventabs.cli.help import choose_language
from eventabs.cli.options import Lang, LookFlags, with_options
from eventabs.errors import UsageError
from eventabs.language import gettext as _
from eventabs.objects import public_address
from eventabs.views import print_json, print_line, stderr_console, stdout_console

Format = Literal["csv", "xlsx", "parquet", "sqlite", "xes"]
_FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".xlsx": "xlsx",
    ".xes": "xes",
    ".parquet": "parquet",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".db": "sqlite",
}
_NOT_WRITTEN = (".xls", ".json", ".jsonl", ".ndjson", ".tsv", ".ods")  # each promises what CSV is not


@command(help=_("Show how far a run is, how fast, and what failed; also while it goes on elsewhere."))
@with_options(LookFlags)
def status(
    look: LookFlags,
    *,
    checkpoint: Checkpoint,
    watch: Annotated[
        bool, typer.Option("--watch", help=_("Look again every second until the run is completed."))
    ] = False,
) -> None:
    """Show how a run stands."""
    from eventabs.inspection import RunState, inspect_run  # noqa: PLC0415
    from eventabs.views import render_status, status_json, watch_status  # noqa: PLC0415

    def inspect() -> RunState:
        standing = inspect_run(checkpoint, now=time.time)
        choose_language(standing.language)
        return standing

    signals.interrupt()
    if watch:
        with suppress(KeyboardInterrupt):
            watch_status(stdout_console(), inspect, as_json=look.json, sleep=time.sleep)
    elif look.json:
        print_json(status_json(inspect()))
    else:
        render_status(stdout_console(), inspect())


@command(help=_("Show a user's behaviors and events side by side; without a user, list the users."))
@with_options(LookFlags)
def show(
    look: LookFlags,
    *,
    checkpoint: Checkpoint,
    user_id: Annotated[str | None, typer.Argument(metavar="USER_ID", help=_("The user to show."))] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help=_("Also the stored prompts and replies of the user's calls."))
    ] = False,
    state: Annotated[
        Literal["pending", "done", "failed"] | None, typer.Option(help=_("List only users in this state."))
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help=_("List so many users at most."))] = 50,
    offset: Annotated[int, typer.Option(min=0, help=_("Leave out so many users of the list first."))] = 0,
) -> None:
    """Show one user or list all."""
    from eventabs.inspection import stored_calls, view_user  # noqa: PLC0415
    from eventabs.store import Ledger, RunDirectory, user_rows, user_states  # noqa: PLC0415
    from eventabs.views import render_calls, render_user, render_users, user_json, users_json  # noqa: PLC0415

    with Ledger.watch(RunDirectory.find(checkpoint).ledger) as ledger:
        choose_language(ledger.meta()["settings"]["lang"])
        console = stdout_console()
        if user_id is None:
            states = user_states(ledger)
            total = states.get(state, 0) if state else sum(states.values())
            rows = user_rows(ledger, state, most=limit, skip=offset)
            if look.json:
                print_json(users_json(rows, total=total, skip=offset))
            else:
                render_users(console, rows, total=total, skip=offset)
            return
        view = view_user(ledger, user_id, checkpoint)
        if look.json:
            print_json(user_json(view, stored_calls(ledger, user_id) if raw else None))
            return
        render_user(console, view)
        if raw:
            render_calls(console, stored_calls(ledger, user_id))


@command(help=_("Make one HTML file to show: timelines, events, users, calls, and how the run went."))
def report(
    checkpoint: Checkpoint,
    output: Annotated[
        Path | None, typer.Option(help=_("File to write. (default: report.html in the run directory)"))
    ] = None,
    lang: Lang = None,  # noqa: ARG001  settled before this was loaded
) -> None:
    """Make the report of a run."""
    from eventabs.inspection import open_report_facts  # noqa: PLC0415
    from eventabs.store import RunDirectory  # noqa: PLC0415
    from eventabs.views import NAME, render_report, write_report  # noqa: PLC0415

    signals.interrupt()
    path = output or RunDirectory.find(checkpoint).path / NAME
    with open_report_facts(checkpoint) as facts:
        choose_language(facts.language)
        page = render_report(facts)
    write_report(page.chunks, path)
    for note in page.notes:
        print_line(stderr_console(), note)
    print_line(stdout_console(), str(path))


@command(
    help=_("Write the events of a run as CSV, Excel workbook, Parquet, SQLite or XES; also while it goes on.")
)
def export(
    *,
    checkpoint: Checkpoint,
    form: Annotated[
        Format | None,
        typer.Option("--format", help=_("Format of the file. (default: as --output ends, else csv)")),
    ] = None,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "--out",
            show_default=False,
            help=_(
                "File to write, or address of an object (s3, gs, az, https). (default: events.<format> in the run directory)"
            ),
        ),
    ] = "",
    replace: Annotated[
        bool, typer.Option("--replace", help=_("Replace the file or the object that is there."))
    ] = False,
    bom: Annotated[
        bool, typer.Option("--bom", help=_("Mark a CSV as UTF-8, so that Excel shows Chinese."))
    ] = False,
    timezone: Annotated[
        str | None,
        typer.Option(help=_("Zone of times without one in XES, such as Asia/Shanghai. (default: the run's)")),
    ] = None,
    lang: Lang = None,  # noqa: ARG001  settled before this was loaded
) -> None:
    """Hand out the events in another format."""
    from eventabs.store import export_events  # noqa: PLC0415

    signals.interrupt()
    chosen = _format_of(output, form)
    for flag, given, only in (("--bom", bom, "csv"), ("--timezone", timezone, "xes")):
        if given and chosen != only:
            message = _("{flag} is for {format} alone; leave it out, or take --format {format}")
            raise UsageError(message.format(flag=flag, format=only))
    written = export_events(checkpoint, chosen, output, bom=bom, timezone=timezone or "", replace=replace)
    print_line(stdout_console(), written.place)
    if written.pending:
        print_line(
            stderr_console(),
            _("The run is not complete; users in the file: {done}, still pending: {pending}").format(
                done=written.done, pending=written.pending
            ),
        )


def _format_of(output: str, form: Format | None) -> Format:
    """Return the format that a file's name and --format mean. Raises UsageError where they contradict each other."""
    name = public_address(output).partition("?")[0]
    ending = PurePosixPath(name).suffix.lower()
    by_name = _FORMATS.get(ending)
    if form and by_name and form != by_name:
        message = _(
            "{path} is the name of a file in the format {named}, not {format}; leave out --format, or name another file"
        )
        raise UsageError(message.format(path=name, named=by_name, format=form))
    if ending in _NOT_WRITTEN:
        message = _("{ending} is not written; name a file that ends in one of {endings}")
        if ending == ".xls":
            message = _("{ending}, the old format of Excel, is not written; name a file that ends in .xlsx")
        raise UsageError(message.format(ending=ending, endings=", ".join(_FORMATS)))
    return form or by_name or "csv"
