"""The commands: parse, wire, turn errors into exit codes."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from eventabs import __version__, language
from eventabs.errors import EventabsError
from eventabs.language import gettext as _
from eventabs.options import SettingFlags, ShownFlags, with_options
from eventabs.views.console import print_error, print_line, stderr_console, stdout_console

if TYPE_CHECKING:
    from eventabs.config import Settings
    from eventabs.runs.directory import RunDirectory
    from eventabs.runs.observer import Observer, Summary
    from eventabs.runs.opening import Invocation, Watch

app = typer.Typer(
    name="eventabs",
    help=_("Turn exports of user behavior into high-level events with an LLM."),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUT", help=_("Exports: files, folders or globs (JSON, CSV, Parquet); - is standard input.")
    ),
]
Checkpoint = Annotated[
    Path, typer.Argument(metavar="CHECKPOINT", help=_("A run directory or its checkpoint.json."))
]

INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"eventabs {__version__}")
        raise typer.Exit


@app.callback()
def common(
    lang: Annotated[str | None, typer.Option(help=_("Language of messages: en or zh."))] = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help=_("Show the version and exit.")
        ),
    ] = False,
) -> None:
    """Take options that stand before the command; the language was settled before this was loaded."""


@app.command(help=_("Read exports, ask the model about every user, write events.jsonl."))
@with_options(SettingFlags, ShownFlags)
def run(
    flags: SettingFlags,
    shown: ShownFlags,
    inputs: Inputs = None,
    out: Annotated[
        Path | None, typer.Option(help=_("Run directory. (default: <input stem>.eventabs)"))
    ] = None,
) -> None:
    """Begin a run."""
    from eventabs.runs.conduct import conduct  # noqa: PLC0415
    from eventabs.runs.opening import begun  # noqa: PLC0415

    with _errors_told():
        with begun(_invocation(flags), paths=inputs or (), out=out, watch=_watch(shown)) as job:
            summary = conduct(job, resumed=False)
        _end(summary, shown)


@app.command(help=_("Go on with a run that was stopped, killed or has crashed."))
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
) -> None:
    """Go on with a run."""
    from eventabs.runs.conduct import conduct  # noqa: PLC0415
    from eventabs.runs.opening import reopened  # noqa: PLC0415

    with _errors_told():
        with reopened(
            _invocation(flags),
            named=checkpoint,
            changed="accept" if accept_changes else "refuse",
            confirmed=yes,
            watch=_watch(shown),
        ) as job:
            if retry_failed:
                job.ask_failed_again()
            summary = conduct(job, resumed=True)
        _end(summary, shown)


@app.command(help=_("Make the events again from the stored replies. Calls nobody."))
@with_options(SettingFlags, ShownFlags)
def reparse(flags: SettingFlags, shown: ShownFlags, checkpoint: Checkpoint) -> None:
    """Read the stored replies again."""
    from eventabs.runs.opening import reopened  # noqa: PLC0415
    from eventabs.runs.reparse import reparse as read_again  # noqa: PLC0415

    with _errors_told():
        with reopened(
            _invocation(flags), named=checkpoint, changed="ignore", confirmed=True, watch=_watch(shown)
        ) as job:
            summary = read_again(job)
        _end(summary, shown)


@app.command(help=_("Write the events of a run as CSV, Parquet or SQLite."))
def export(
    checkpoint: Checkpoint,
    form: Annotated[
        Literal["csv", "parquet", "sqlite"], typer.Option("--format", help=_("Format of the file."))
    ],
    output: Annotated[
        Path | None, typer.Option(help=_("File to write. (default: events.<format> in the run directory)"))
    ] = None,
) -> None:
    """Hand out the events in another format."""
    from eventabs.runs.handing_out import export_events  # noqa: PLC0415

    with _errors_told():
        typer.echo(export_events(checkpoint, form, output))


@app.command(help=_("Show what a run would take: users, tokens, calls, time, cost. Calls nobody."))
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
    from eventabs.runs.estimate import estimate_run, first_request  # noqa: PLC0415
    from eventabs.views.estimate import estimate_json, render_estimate  # noqa: PLC0415
    from eventabs.views.prompt import print_prompt, prompt_json  # noqa: PLC0415

    with _errors_told():
        settings = _settings(flags, shown)
        if show_prompt:
            request = first_request(settings, inputs or ())
            if shown.json:
                sys.stdout.buffer.write(prompt_json(request))
            else:
                print_prompt(stdout_console(), request)
            return
        estimated = estimate_run(settings, inputs or ())
        if shown.json:
            sys.stdout.buffer.write(estimate_json(estimated))
        else:
            render_estimate(stdout_console(), estimated)


@app.command(help=_("Make one HTML file that shows the run: calls, tokens, failures, events, users."))
def report(
    checkpoint: Checkpoint,
    output: Annotated[
        Path | None, typer.Option(help=_("File to write. (default: report.html in the run directory)"))
    ] = None,
    lang: Annotated[
        Literal["en", "zh"] | None, typer.Option(help=_("Language of the report and of messages."))
    ] = None,
) -> None:
    """Make the report of a run."""
    from eventabs.runs.directory import RunDirectory  # noqa: PLC0415
    from eventabs.runs.report_facts import open_report_facts  # noqa: PLC0415
    from eventabs.views.report import NAME, render_report, write_report  # noqa: PLC0415

    with _errors_told():
        path = output or RunDirectory.find(checkpoint).path / NAME
        with open_report_facts(checkpoint) as facts:
            if facts.language in language.LANGUAGES and not lang and not os.environ.get("EVENTABS_LANG"):
                language.activate(facts.language)
            page = render_report(facts)
        write_report(page, path)
        print_line(stdout_console(), str(path))


def _invocation(flags: SettingFlags) -> "Invocation":
    from eventabs.runs.opening import Invocation  # noqa: PLC0415

    return Invocation(config=flags.config, flags=flags.nested(), environment=os.environ)


def _settings(flags: SettingFlags, shown: ShownFlags) -> "Settings":
    from eventabs.config import find_config, load_settings  # noqa: PLC0415

    settings = load_settings(find_config(flags.config, os.environ), flags.nested())
    _speak(settings, shown)
    return settings


def _speak(settings: "Settings", shown: ShownFlags) -> None:
    """Take the config's language where neither flag nor environment names one."""
    if settings.lang != "auto" and not shown.lang and not os.environ.get("EVENTABS_LANG"):
        language.activate(settings.lang)


def _watch(shown: ShownFlags) -> "Watch":
    from eventabs.views.observers import Observers, display  # noqa: PLC0415
    from eventabs.views.runlog import LogObserver, open_log  # noqa: PLC0415

    @contextmanager
    def watch(directory: "RunDirectory", settings: "Settings") -> Iterator["Observer"]:
        _speak(settings, shown)
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
            yield opened.enter_context(Observers([panel, LogObserver(log, currency=currency)]))

    return watch


def _end(summary: "Summary", shown: ShownFlags) -> None:
    from eventabs.views.summary import render_summary, summary_json  # noqa: PLC0415

    render_summary(stderr_console(), summary, quiet=shown.quiet)
    if shown.json:
        sys.stdout.buffer.write(summary_json(summary))
    raise typer.Exit(_exit_code(summary))


def _exit_code(summary: "Summary") -> int:
    match summary.status:
        case "completed":
            return 3 if summary.failed_count else 0
        case "interrupted":
            return INTERRUPTED
        case _:
            return 1


@contextmanager
def _errors_told() -> Iterator[None]:
    try:
        yield
    except EventabsError as error:
        print_error(stderr_console(), error)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
