"""The commands: parse, call the API, turn errors into exit codes."""

import gc
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from typer.exceptions import TyperException

from eventabs import __version__
from eventabs.cli import signals
from eventabs.cli.help import Command, Group, choose_language, explained, refuse_unknown_language
from eventabs.cli.options import SHOWN, Lang, LookFlags, SettingFlags, ShownFlags, with_options
from eventabs.cli.streams import OutputGoneError, replace_streams
from eventabs.errors import EventabsError
from eventabs.language import gettext as _
from eventabs.views import print_bytes, print_error, print_json, print_line, stderr_console, stdout_console

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextlib import AbstractContextManager

    from eventabs import Run, Stop
    from eventabs.config import Settings
    from eventabs.runs import Invocation, Observer, Summary, Watch
    from eventabs.store import RunDirectory
    from eventabs.views import ProgressServer


app = typer.Typer(
    name="eventabs",
    help=_("Turn exports of user behavior into high-level events with an LLM."),
    cls=Group,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
command = partial(app.command, cls=Command)
_NEW_OBJECTS = 10_000  # until the youngest are searched for cycles: a call makes hundreds, the plan millions

Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUT", help=_("Exports: files, folders or globs (JSON, CSV, Parquet); - is standard input.")
    ),
]
Checkpoint = Annotated[
    Path, typer.Argument(metavar="CHECKPOINT", help=_("A run directory or its checkpoint.json."))
]

ProgressPort = Annotated[
    int | None,
    typer.Option(
        help=_("Answer progress over HTTP at this port, on this machine only; 0: any that is free."),
        rich_help_panel=SHOWN,
    ),
]


def main() -> None:
    """Run the command line; without arguments, its help."""
    replace_streams()
    try:
        refuse_unknown_language()
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except OutputGoneError:
        code = 0
    except KeyboardInterrupt:
        code = signals.EXIT_CODE
    except TyperException as error:
        print_error(stderr_console(), explained(error))
        code = error.exit_code
    except EventabsError as error:
        for line in error.args:
            print_error(stderr_console(), line)
        code = error.exit_code
    signals.ignore()
    sys.exit(code)


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


@command(help=_("Read exports, ask the model about every user, write events.jsonl."))
@with_options(SettingFlags, ShownFlags)
def run(
    flags: SettingFlags,
    shown: ShownFlags,
    inputs: Inputs = None,
    out: Annotated[
        Path | None, typer.Option(help=_("Run directory. (default: <input stem>.eventabs)"))
    ] = None,
    progress_port: ProgressPort = None,
) -> None:
    """Begin a run."""
    from eventabs import arun  # noqa: PLC0415

    with _served(progress_port) as server:
        summary = _finished(
            lambda stop: arun(
                inputs or (),
                settings=flags.nested(),
                config=flags.config,
                out=out,
                observer=_watch(shown, server),
                stop=stop,
            )
        )
    _end(summary, shown)


@command(help=_("Go on with a run that was stopped, killed or has crashed."))
@with_options(SettingFlags, ShownFlags)
def resume(
    flags: SettingFlags,
    shown: ShownFlags,
    *,
    checkpoint: Checkpoint,
    accept_changes: Annotated[
        bool,
        typer.Option("--accept-changes", help=_("Take changed settings for users that are not done yet.")),
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help=_("Ask about failed users once more."))
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help=_("Trust the endpoint that the run directory names."))
    ] = False,
    progress_port: ProgressPort = None,
) -> None:
    """Go on with a run."""
    from eventabs import aresume  # noqa: PLC0415

    with _served(progress_port) as server:
        summary = _finished(
            lambda stop: aresume(
                checkpoint,
                settings=flags.nested(),
                config=flags.config,
                accept_changes=accept_changes,
                retry_failed=retry_failed,
                trust_endpoint=yes,
                observer=_watch(shown, server),
                stop=stop,
            )
        )
    _end(summary, shown)


@command(help=_("Make the events again from the stored replies. Calls nobody."))
@with_options(SettingFlags, ShownFlags)
def reparse(flags: SettingFlags, shown: ShownFlags, checkpoint: Checkpoint) -> None:
    """Read the stored replies again."""
    from eventabs.runs import reopen_run, reparse as read_again  # noqa: PLC0415

    with reopen_run(
        _invocation(flags), named=checkpoint, changed="ignore", confirmed=True, watch=_watch(shown)
    ) as job:
        summary = read_again(job)
    _end(summary, shown)


@command(help=_("Write the events of a run as CSV, Parquet or SQLite."))
def export(
    checkpoint: Checkpoint,
    form: Annotated[
        Literal["csv", "parquet", "sqlite"], typer.Option("--format", help=_("Format of the file."))
    ],
    output: Annotated[
        Path | None, typer.Option(help=_("File to write. (default: events.<format> in the run directory)"))
    ] = None,
    lang: Lang = None,  # noqa: ARG001  settled before this was loaded
) -> None:
    """Hand out the events in another format."""
    from eventabs.store import export_events  # noqa: PLC0415

    signals.interrupt()
    print_line(stdout_console(), str(export_events(checkpoint, form, output)))


@command(help=_("Show what a run would take: users, tokens, calls, time, cost. Calls nobody."))
@with_options(SettingFlags, ShownFlags)
def estimate(
    flags: SettingFlags,
    shown: ShownFlags,
    inputs: Inputs = None,
    show_prompt: Annotated[
        bool,
        typer.Option(
            "--show-prompt", help=_("Print the first request instead, exactly as it would be sent.")
        ),
    ] = False,
) -> None:
    """Estimate a run."""
    from eventabs import estimate as estimate_run  # noqa: PLC0415
    from eventabs.runs import first_request  # noqa: PLC0415
    from eventabs.views import estimate_json, print_prompt, prompt_json, render_estimate  # noqa: PLC0415

    signals.interrupt()
    if show_prompt:
        request = first_request(_invocation(flags).settings(), inputs or ())
        if shown.json:
            print_bytes(prompt_json(request))
        else:
            print_prompt(stdout_console(), request)
        return
    estimated = estimate_run(inputs or (), settings=flags.nested(), config=flags.config)
    if shown.json:
        print_bytes(estimate_json(estimated))
    else:
        render_estimate(stdout_console(), estimated)


@command(help=_("Check the config, the key and the endpoint; a few tiny requests, for a few dozen tokens."))
@with_options(SettingFlags, LookFlags)
def check(
    flags: SettingFlags,
    look: LookFlags,
    *,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help=_("Only what is wrong."), rich_help_panel=SHOWN)
    ] = False,
) -> None:
    """Check what a run would need."""
    from eventabs import check as check_all  # noqa: PLC0415
    from eventabs.views import check_json, render_verdict, showing_findings  # noqa: PLC0415

    signals.interrupt()
    if look.json:
        report = check_all(settings=flags.nested(), config=flags.config)
        print_bytes(check_json(report))
    else:
        with showing_findings(stdout_console(), quiet=quiet) as on_finding:
            report = check_all(settings=flags.nested(), config=flags.config, on_finding=on_finding)
        render_verdict(stdout_console(), report)
    raise typer.Exit(report.exit_code)


@command(help=_("Make one HTML file that shows the run: calls, tokens, failures, events, users."))
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
    write_report(page, path)
    print_line(stdout_console(), str(path))


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
        view = view_user(ledger, user_id)
        if look.json:
            print_json(user_json(view, stored_calls(ledger, user_id) if raw else None))
            return
        render_user(console, view)
        if raw:
            render_calls(console, stored_calls(ledger, user_id))


def _finished(work: "Callable[[Stop], Coroutine[None, None, Run]]") -> "Summary":
    """Run the coroutine to its end under signals that request a stop; return how the run ended."""
    import asyncio  # noqa: PLC0415  help pages need no event loop

    from eventabs import RunStoppedError, Stop  # noqa: PLC0415
    from eventabs.stop import StopRequested  # noqa: PLC0415

    stop = Stop()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
    with signals.requesting(stop.request):
        try:
            return asyncio.run(work(stop)).summary
        except RunStoppedError as error:
            return error.run.summary
        except StopRequested:  # before anything had begun
            raise KeyboardInterrupt from None


def _invocation(flags: SettingFlags) -> "Invocation":
    from eventabs.runs import Invocation  # noqa: PLC0415

    return Invocation(config=flags.config, flags=flags.nested(), environment=os.environ)


def _served(port: int | None) -> "AbstractContextManager[ProgressServer | None]":
    """Make what answers progress over HTTP, before anything else begins: a busy port costs nothing."""
    if port is None:
        return nullcontext()
    from eventabs.views import ProgressServer  # noqa: PLC0415

    return ProgressServer(port)


def _watch(shown: ShownFlags, server: "ProgressServer | None" = None) -> "Watch":
    from eventabs.runs import Serving  # noqa: PLC0415
    from eventabs.views import LogObserver, Observers, display, open_log  # noqa: PLC0415

    @contextmanager
    def watch(directory: "RunDirectory", settings: "Settings") -> Iterator["Observer"]:
        choose_language(settings.lang)
        currency = settings.llm.price.currency
        with ExitStack() as opened:
            log = opened.enter_context(open_log(directory.log))
            panel = display(
                stderr_console(),
                form=shown.progress,
                quiet=shown.quiet,
                verbose=shown.verbose,
                currency=currency,
            )
            observers: list[Observer] = [panel, LogObserver(log, currency=currency)]
            opening = [Serving(server.address)] if server else []
            told = opened.enter_context(Observers(observers, opening=opening))
            yield Observers([told, server]) if server else told

    return watch


def _end(summary: "Summary", shown: ShownFlags) -> None:
    from eventabs.views import render_summary, summary_json  # noqa: PLC0415

    render_summary(stderr_console(), summary, quiet=shown.quiet)
    if shown.json:
        with suppress(OutputGoneError):  # the exit code shows how the run ended as well
            print_bytes(summary_json(summary))
    completed = 3 if summary.failed else 0
    codes = {"completed": completed, "interrupted": signals.EXIT_CODE}
    raise typer.Exit(codes.get(summary.status, 1))
