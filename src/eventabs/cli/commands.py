"""The commands that make events: run, resume, reparse, estimate."""

import gc
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eventabs.cli import signals
from eventabs.cli.app import Checkpoint, Inputs, command
from eventabs.cli.help import choose_language
from eventabs.cli.options import SHOWN, LookFlags, SettingFlags, ShownFlags, with_options
from eventabs.cli.streams import OutputGoneError
from eventabs.errors import UsageError
from eventabs.language import gettext as _
from eventabs.views import print_bytes, stderr_console, stdout_console

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from contextlib import AbstractContextManager

    from eventabs import Run, Stop
    from eventabs.config import Settings
    from eventabs.runs import Invocation, Observer, Summary, Watch
    from eventabs.store import RunDirectory
    from eventabs.views import ProgressServer

_WAITING = 4  # exit code: the run goes on once its requests have replies
_NEW_OBJECTS = 10_000  # until the youngest are searched for cycles: a call makes hundreds, the plan millions


ProgressPort = Annotated[
    int | None,
    typer.Option(
        help=_("Answer progress over HTTP at this port, on this machine only; 0: any that is free."),
        rich_help_panel=SHOWN,
    ),
]

Extend = Annotated[
    Path | None,
    typer.Option("--extend", metavar="CHECKPOINT", help=_("Take the exports into this run, as extend does.")),
]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help=_("Ask about failed users once more."))]
Trust = Annotated[bool, typer.Option("--yes", help=_("Trust the endpoint that the run directory names."))]


@command(help=_("Read exports, ask the model about every user, write events.jsonl."))
@with_options(SettingFlags, ShownFlags)
def run(
    flags: SettingFlags,
    shown: ShownFlags,
    *,
    inputs: Inputs = None,
    out: Annotated[
        Path | None, typer.Option(help=_("Run directory. (default: <input stem>.eventabs)"))
    ] = None,
    extend: Extend = None,
    progress_port: ProgressPort = None,
) -> None:
    """Begin a run."""
    from eventabs import arun  # noqa: PLC0415

    if extend is not None:
        if out is not None:
            message = _("--extend names a run directory already; leave out --out")
            raise UsageError(message)
        _extend(extend, inputs, flags, shown, progress_port=progress_port)
        return
    named = inputs or []
    invocation = invocation_of(flags)
    with _served(progress_port) as server:
        watch = watching(shown, server)
        summary = finished(
            lambda stop: arun(
                named, settings=invocation.flags, config=flags.config, out=out, observer=watch, stop=stop
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
    replies: Annotated[
        list[Path] | None,
        typer.Option(
            help=_("File with replies to requests.jsonl, or with errors; may be partial, may be given again.")
        ),
    ] = None,
    cancel: Annotated[
        bool,
        typer.Option(
            "--cancel", help=_("Cancel the jobs of the batch service, keep what they did, and stop.")
        ),
    ] = False,
    retry_failed: RetryFailed = False,
    yes: Trust = False,
    progress_port: ProgressPort = None,
) -> None:
    """Go on with a run."""
    from eventabs import aresume  # noqa: PLC0415

    invocation = invocation_of(flags)
    with _served(progress_port) as server:
        watch = watching(shown, server)
        summary = finished(
            lambda stop: aresume(
                checkpoint,
                settings=invocation.flags,
                config=flags.config,
                accept_changes=accept_changes,
                replies=replies or (),
                cancel=cancel,
                retry_failed=retry_failed,
                trust_endpoint=yes,
                observer=watch,
                stop=stop,
            )
        )
    _end(summary, shown)


@command(help=_("Take another export into a run: only what is new in it is asked about."))
@with_options(SettingFlags, ShownFlags)
def extend(
    flags: SettingFlags,
    shown: ShownFlags,
    *,
    checkpoint: Checkpoint,
    inputs: Inputs = None,
    accept_changes: Annotated[
        bool,
        typer.Option(
            "--accept-changes",
            help=_("Let behaviors hold that have changed or are gone, and changed settings."),
        ),
    ] = False,
    retry_failed: RetryFailed = False,
    yes: Trust = False,
    progress_port: ProgressPort = None,
) -> None:
    """Extend a run."""
    _extend(
        checkpoint,
        inputs,
        flags,
        shown,
        accept_changes=accept_changes,
        retry_failed=retry_failed,
        trust_endpoint=yes,
        progress_port=progress_port,
    )


def _extend(
    checkpoint: Path,
    inputs: list[str] | None,
    flags: SettingFlags,
    shown: ShownFlags,
    *,
    progress_port: int | None,
    **allowed: bool,
) -> None:
    from eventabs import aextend  # noqa: PLC0415

    with _served(progress_port) as server:
        summary = finished(
            lambda stop: aextend(
                checkpoint,
                inputs or (),
                settings=flags.nested(),
                config=flags.config,
                observer=watching(shown, server),
                stop=stop,
                **allowed,
            )
        )
    _end(summary, shown)


@command(help=_("Make the events again from the stored replies. Calls nobody."))
@with_options(SettingFlags, ShownFlags)
def reparse(flags: SettingFlags, shown: ShownFlags, checkpoint: Checkpoint) -> None:
    """Read the stored replies again."""
    from eventabs.runs import reopen_run, reparse as read_again  # noqa: PLC0415

    with reopen_run(
        invocation_of(flags), named=checkpoint, changed="ignore", confirmed=True, watch=watching(shown)
    ) as job:
        summary = read_again(job)
    _end(summary, shown)


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
    extend: Extend = None,
) -> None:
    """Estimate a run."""
    from eventabs import estimate as estimate_run  # noqa: PLC0415
    from eventabs.runs import first_request  # noqa: PLC0415
    from eventabs.views import (  # noqa: PLC0415
        display,
        estimate_json,
        print_prompt,
        prompt_json,
        render_estimate,
    )

    signals.interrupt()
    observer = display(
        stderr_console(), form="json" if shown.progress == "json" else "plain", quiet=shown.quiet
    )
    if extend is not None:
        _estimate_extension(extend, flags, shown, inputs or (), observer, show_prompt=show_prompt)
        return
    if show_prompt:
        request = first_request(invocation_of(flags).settings(), inputs or (), observer.noted)
        if shown.json:
            print_bytes(prompt_json(request))
        else:
            print_prompt(stdout_console(), request)
        return
    estimated = estimate_run(inputs or (), settings=flags.nested(), config=flags.config, observer=observer)
    if shown.json:
        print_bytes(estimate_json(estimated))
    else:
        render_estimate(stdout_console(), estimated)


def _estimate_extension(
    checkpoint: Path,
    flags: SettingFlags,
    shown: ShownFlags,
    inputs: "Sequence[str]",
    observer: "Observer",
    *,
    show_prompt: bool,
) -> None:
    from eventabs.runs import estimate_extension  # noqa: PLC0415
    from eventabs.views import extension_json, render_extension  # noqa: PLC0415

    if show_prompt:
        message = _("--show-prompt shows the first request of a new run; leave out --extend")
        raise UsageError(message)
    estimated = estimate_extension(invocation_of(flags), checkpoint, inputs, observer.noted)
    if shown.json:
        print_bytes(extension_json(estimated))
    else:
        render_extension(stdout_console(), estimated)


@command(help=_("Show which column plays which role, and what rows become. Packs nothing, calls nobody."))
@with_options(SettingFlags, LookFlags)
def columns(flags: SettingFlags, look: LookFlags, inputs: Inputs = None) -> None:
    """Show what is understood of an input."""
    from eventabs.runs import describe_input  # noqa: PLC0415
    from eventabs.views import columns_json, render_columns  # noqa: PLC0415

    signals.interrupt()
    described = describe_input(invocation_of(flags).settings(), inputs or ())
    if look.json:
        print_bytes(columns_json(described))
    else:
        render_columns(stdout_console(), described)


def finished(work: "Callable[[Stop], Coroutine[None, None, Run]]") -> "Summary":
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


def invocation_of(flags: SettingFlags) -> "Invocation":
    """Return where the settings of a command come from."""
    from eventabs.runs import Invocation  # noqa: PLC0415

    return Invocation(config=flags.config, flags=flags.nested(), environment=os.environ)


def _served(port: int | None) -> "AbstractContextManager[ProgressServer | None]":
    """Make what answers progress over HTTP, before anything else begins: a busy port costs nothing."""
    if port is None:
        return nullcontext()
    from eventabs.views import ProgressServer  # noqa: PLC0415

    return ProgressServer(port)


def watching(shown: ShownFlags, server: "ProgressServer | None" = None) -> "Watch":
    """Return what gives a run its observer: the panel or lines on standard error, and run.log."""
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
    raise typer.Exit(exit_code(summary))


def exit_code(summary: "Summary") -> int:
    """Return the exit code that says how a run ended."""
    completed = 3 if summary.failed else 0
    codes = {"completed": completed, "interrupted": signals.EXIT_CODE, "waiting": _WAITING}
    return codes.get(summary.status, 1)
