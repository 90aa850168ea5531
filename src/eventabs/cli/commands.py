"""The commands, behind the options, each declared once with the setting that it sets; how errors end them.

Run and its like, init and check, those that show and hand out events, merge; those that say whether events are right.
"""

import inspect
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cache, partial, wraps
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

import typer
from typer.exceptions import TyperException

import eventabs

# rooms load what is looked up in them
from eventabs import __version__, config, providers, quality, runs, setting_choices as choice, store, views
from eventabs.cli.help_and_usage_errors import Command, Group, explained
from eventabs.errors_and_exit_codes import EventabsError, InputError, SettingFault, UsageError
from eventabs.interface_language import LANGUAGES, active, gettext as _
from eventabs.object_stores import public_address
from eventabs.stop_request import INTERRUPTED, Stop, StopRequested, handle_signals
from eventabs.views import print_bytes, print_error, print_json, print_line, stderr_console, stdout_console

__all__ = ["app", "main"]

app = typer.Typer(
    name="eventabs",
    help=_("Turn exports of user behavior into high-level events with an LLM."),
    cls=Group,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# panels of the help pages
INPUT, MODEL, BUDGET = _("Input"), _("Model"), _("Budget")
PACE, MACHINES, SHOWN = _("Pace and limits"), _("Many machines"), _("What is shown")


def option(text: str, default: Any = None, *names: str, **look: Any) -> Any:  # noqa: ANN401  of typer
    """Declare an option by what it is for, looked up here; without names it is called as its parameter. Default `...`: it must be there."""
    return typer.Option(default, *names, help=_(text), **look)


def flag(text: str, *names: str, **look: Any) -> Any:  # noqa: ANN401  of typer
    """Declare an option that takes no value."""
    return option(text, False, *names, **look)


of_model = partial(option, rich_help_panel=MODEL)
of_view = partial(option, rich_help_panel=SHOWN)

# by flag: the panel of the help page, the table of the setting, what it takes, what it is for
_FLAGS: dict[str, tuple[str, str, Any, str]] = {
    "user": (INPUT, "input", str, _("Whose files they are, where no column says it: me, or {stem}.")),
    "profiles": (INPUT, "input", str, _("File with one row a user: age, gender, occupation, city.")),
    "timezone": (INPUT, "input", str, _("Zone that the users lived by, such as Asia/Shanghai.")),
    "columns": (INPUT, "input", str, _("Columns of a CSV without a header: user_id,item_id,timestamp.")),
    "keep_duplicates": (INPUT, "input", bool, _("Keep equal rows.")),
    "strict": (INPUT, "input", bool, _("Stop if a row cannot be read.")),
    "max_rejects": (INPUT, "input", float, _("Share of rows that may be unreadable. (default: 0.05)")),
    "shard": (INPUT, "input", str, _("Only the users of shard i of N, i from 0, such as 3/16.")),
    "limit": (INPUT, "run", int, _("Only the first N users; resume goes on with the others.")),
    "provider": (MODEL, "llm", choice.ProviderChoice, _("openai: a model; rules: built in, calls nobody.")),
    "preset": (MODEL, "llm", str, _("Known endpoint, such as deepseek, qwen or vllm.")),
    "model": (MODEL, "llm", str, _("Name of the model.")),
    "base_url": (MODEL, "llm", str, _("Address of the endpoint, such as https://api.deepseek.com/v1.")),
    "tier": (MODEL, "llm", choice.TierName, _("flex: slower answers at about half the price.")),
    "detail": (
        MODEL,
        "prompt",
        choice.Detail,
        _("day: events and journeys; fine: every occasion; journeys alone."),
    ),
    "answer": (MODEL, "prompt", choice.AnswerForm, _("Form of the answers; lines cost the fewest tokens.")),
    "compaction": (BUDGET, "compaction", choice.Compaction, _("line; dense: shorter, with codes for names.")),
    "max_input_tokens": (BUDGET, "budget", int, _("Tokens of a prompt. (default: 40000)")),
    "max_output_tokens": (BUDGET, "budget", int, _("Tokens of an answer. (default: 8192)")),
    "max_users": (BUDGET, "budget", int, _("Users in a prompt. (default: 30)")),
    "mode": (
        PACE,
        "run",
        choice.RunMode,
        _("live; batch: cheaper, by the batch service; files: write requests.jsonl."),
    ),
    "concurrency": (PACE, "run", int, _("Calls at a time. (default: 3)")),
    "max_concurrency": (PACE, "run", int, _("Calls at a time, at most: grows while it helps.")),
    "rpm": (PACE, "run", int, _("Requests a minute, at most.")),
    "tpm": (PACE, "run", int, _("Tokens a minute, at most.")),
    "wait": (PACE, "run", bool, _("Wait for an endpoint that does not accept connections yet.")),
    "max_cost": (PACE, "run", float, _("Stop before more than this is spent, 0: never; needs llm.price.")),
    "max_total_tokens": (PACE, "run", int, _("Stop before more tokens than this are used, 0: never.")),
    "engine": (MACHINES, "cluster", choice.Engine, _("ray: the machines of a Ray cluster make the calls.")),
    "ray_address": (MACHINES, "cluster", str, _("auto: the cluster of this machine; or host:port.")),
}
SET_BY_FLAGS = {flag: (table, flag) for flag, (_panel, table, *_rest) in _FLAGS.items()}
# these are not named as their setting
SET_BY_FLAGS |= {"columns": ("input", "header"), "compaction": ("compaction", "level")}


def flag_name(option: str) -> str:
    """Return `--max-cost` for `max_cost`."""
    return f"--{option.replace('_', '-')}"


# settled before the command line is parsed, see help_and_usage_errors.py; here it is checked and has its place on the help pages
_Lang = Literal["en", "zh", "auto"] | None
_LANG = of_view("Language of messages.")
_CONFIG = option("Config file (TOML). Else $EVENTABS_CONFIG, else ./eventabs.toml.")


class ShownFlags(NamedTuple):
    """Flags about what is shown."""

    progress: Literal["auto", "plain", "json"] = of_view("How progress is shown on standard error.", "auto")
    quiet: bool = flag("Only errors and the end.", "--quiet", "-q", rich_help_panel=SHOWN)
    verbose: bool = flag("Every batch and every retry.", "--verbose", "-v", rich_help_panel=SHOWN)
    json: bool = flag("One JSON object on standard output at the end.", rich_help_panel=SHOWN)


@cache
def _of_setting(name: str, *, hidden: bool) -> inspect.Parameter:
    panel, _table, kind, text = _FLAGS[name]
    look = {"hidden": hidden, "min": 1 if name == "limit" else None}
    how = option(text, None, flag_name(name), rich_help_panel=panel, **look)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=how, annotation=kind | None)


def command(shows: str = "") -> Callable[[Callable[..., None]], Any]:
    """Make a command of a function, whose docstring is the help; it has --lang, and where it takes them `shown` and `invocation`.

    These are filled from the flags of ShownFlags and from a flag for each setting. Those in `shows` have their help on the command's
    page, the others their names. Typer has no such notion: it reads the signature made here.
    """

    def decorate(function: Callable[..., None]) -> object:
        own = dict(inspect.signature(function).parameters)
        of_settings, of_shown = own.pop("invocation", None), own.pop("shown", None)
        keyword = partial(inspect.Parameter, kind=inspect.Parameter.KEYWORD_ONLY)
        options = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own.values()]
        options.append(keyword("lang", default=_LANG, annotation=_Lang))
        flags = ShownFlags._fields if of_shown else ()
        kinds, usual = ShownFlags.__annotations__, ShownFlags._field_defaults
        options += [keyword(name, default=usual[name], annotation=kinds[name]) for name in flags]
        if of_settings:
            options.append(keyword("config", default=_CONFIG, annotation=Path | None))
            options += [_of_setting(name, hidden=name not in shows.split()) for name in _FLAGS]
        # panels stand in the order of their first options
        options.sort(key=lambda each: (each.default.rich_help_panel == SHOWN, each.name == "json"))

        @wraps(function)
        def flat(**values: Any) -> None:  # noqa: ANN401  whatever the options hold
            values.pop("lang", None)  # a command that calls another gives none
            if of_shown:
                values["shown"] = ShownFlags(*map(values.pop, flags))
            if of_settings:
                nested: dict[str, dict[str, Any]] = {}  # as in the TOML
                for name, (table, key) in SET_BY_FLAGS.items():
                    if (value := values.pop(name)) is not None:
                        held = [each.strip() for each in value.split(",")] if name == "columns" else value
                        nested.setdefault(table, {})[key] = held
                values["invocation"] = runs.Invocation(values.pop("config"), nested, os.environ)
            function(**values)

        flat.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
        flat.__annotations__ = {each.name: each.annotation for each in options}
        # python -OO leaves no docstrings
        return app.command(help=function.__doc__ and _(function.__doc__), cls=Command)(flat)

    return decorate


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"eventabs {__version__}")
        raise typer.Exit


@app.callback()
def common(
    lang: _Lang = _LANG,
    version: bool = flag("Show the version and exit.", "--version", is_eager=True, callback=_print_version),
) -> None:
    """Take options before the command."""


_OF_A_RUN = "profiles user timezone limit preset model base_url provider detail mode concurrency max_cost"
_Work = Callable[..., Coroutine[None, None, "eventabs.Run"]]

INPUTS = typer.Argument(
    None,
    metavar="INPUT",
    help=_("Exports: files, folders, globs or addresses (s3, gs, az, https); - is standard input."),
)
CHECKPOINT = typer.Argument(..., metavar="CHECKPOINT", help=_("A run directory or its checkpoint.json."))
JSON = flag("JSON on standard output.", rich_help_panel=SHOWN)
PROGRESS_PORT = of_view("Answer progress over HTTP at this port, on this machine only; 0: any that is free.")
EXTEND = option("Take the exports into this run, as extend does.", metavar="CHECKPOINT")
RETRY_FAILED = flag("Ask about failed users once more.")
TRUST = flag("Trust the endpoint that the run directory names.")


@command(_OF_A_RUN)
def run(
    invocation: "runs.Invocation",
    shown: ShownFlags,
    inputs: list[str] | None = INPUTS,
    out: Path | None = option("Run directory. (default: <input stem>.eventabs)"),
    extend: Path | None = EXTEND,
    progress_port: int | None = PROGRESS_PORT,
) -> None:
    """Read exports, ask the model about every user, write events.jsonl."""
    if extend and out:
        raise UsageError(_("--extend names a run directory already; leave out --out"))
    work = partial(eventabs.aextend, extend) if extend else partial(eventabs.arun, out=out)
    _carry_out(partial(work, inputs=inputs or ()), invocation, shown, progress_port)


@command("limit model concurrency wait max_cost")
def resume(
    invocation: "runs.Invocation",
    shown: ShownFlags,
    checkpoint: Path = CHECKPOINT,
    accept_changes: bool = flag("Take changed settings for users that are not done yet."),
    replies: list[Path] | None = option(
        "File with replies to requests.jsonl, or with errors; may be partial, may be given again."
    ),
    cancel: bool = flag("Cancel the jobs of the batch service, keep what they did, and stop."),
    retry_failed: bool = RETRY_FAILED,
    yes: bool = TRUST,
    progress_port: int | None = PROGRESS_PORT,
) -> None:
    """Go on with a run that was stopped, killed or has crashed."""
    work = partial(eventabs.aresume, checkpoint, accept_changes=accept_changes, retry_failed=retry_failed)
    work = partial(work, replies=replies or (), cancel=cancel, trust_endpoint=yes)
    _carry_out(work, invocation, shown, progress_port)


@command("model concurrency wait max_cost")
def extend(
    invocation: "runs.Invocation",
    shown: ShownFlags,
    checkpoint: Path = CHECKPOINT,
    inputs: list[str] | None = INPUTS,
    accept_changes: bool = flag("Let behaviors hold that have changed or are gone, and changed settings."),
    retry_failed: bool = RETRY_FAILED,
    yes: bool = TRUST,
    progress_port: int | None = PROGRESS_PORT,
) -> None:
    """Take another export into a run: only what is new in it is asked about."""
    work = partial(eventabs.aextend, checkpoint, inputs or (), accept_changes=accept_changes)
    _carry_out(partial(work, retry_failed=retry_failed, trust_endpoint=yes), invocation, shown, progress_port)


def _carry_out(work: _Work, invocation: "runs.Invocation", shown: ShownFlags, port: int | None) -> None:
    # a busy port costs nothing: the server of progress is made before anything else begins
    with nullcontext() if port is None else views.ProgressServer(port) as server:
        work = partial(work, settings=invocation.flags, config=invocation.config)
        summary = _finished(partial(work, observer=partial(_watch, shown, server)))
    _end(summary, shown)


@command()
def reparse(invocation: "runs.Invocation", shown: ShownFlags, checkpoint: Path = CHECKPOINT) -> None:
    """Make the events again from the stored replies. Calls nobody."""
    watch = partial(_watch, shown, None)
    with runs.reopen_run(invocation, named=checkpoint, changed="ignore", confirmed=True, watch=watch) as job:
        summary = runs.reparse(job)
    _end(summary, shown)


@command(_OF_A_RUN)
def estimate(
    invocation: "runs.Invocation",
    shown: ShownFlags,
    inputs: list[str] | None = INPUTS,
    show_prompt: bool = flag("Print the first request instead, exactly as it would be sent."),
    extend: Path | None = EXTEND,
) -> None:
    """Show what a run would take: users, tokens, calls, time, cost. Calls nobody."""
    if extend and show_prompt:
        raise UsageError(_("--show-prompt shows the first request of a new run; leave out --extend"))
    form: Literal["json", "plain"] = "json" if shown.progress == "json" else "plain"
    observer = views.display(stderr_console(), form=form, quiet=shown.quiet, verbose=False, currency="USD")
    if extend:
        extension = runs.estimate_extension(invocation, extend, inputs or (), observer.noted)
        _tell(extension, views.extension_json, views.render_extension, as_json=shown.json)
    elif show_prompt:
        request = runs.first_request(invocation.settings(), inputs or (), observer.noted)
        _tell(request, views.prompt_json, views.print_prompt, as_json=shown.json)
    else:
        planned = runs.estimate_run(invocation.settings(), inputs or (), observer.noted)
        _tell(planned, views.estimate_json, views.render_estimate, as_json=shown.json)


@command("user profiles timezone columns")
def columns(
    invocation: "runs.Invocation",
    inputs: list[str] | None = INPUTS,
    ask: bool = flag("Ask the model too: one call shows it 20 rows of the first file.", "--ask"),
    write: Literal["model", "values"] | None = option("With --ask: whose columns go to the config file."),
    json: bool = JSON,
) -> None:
    """Show which column plays which role, and what rows become. Packs nothing; calls nobody, unless you --ask."""
    if write and not ask:
        raise UsageError(_("--write goes with --ask; without it, copy the table that is shown"))
    if not ask:
        described = runs.describe_input(invocation.settings(), inputs or ())
        _tell(described, views.columns_json, views.render_columns, as_json=json)
        return
    asked = runs.ask_columns(invocation, inputs or (), partial(print_line, stderr_console()))
    _tell(asked, views.columns_json, partial(views.render_asked, written=bool(write)), as_json=json)
    if write:
        path = invocation.config_file() or config.DEFAULT_CONFIG
        config.write_settings(path, asked.chosen(write))
        print_line(stderr_console(), _("written to {path}").format(path=path))


def _tell(found: Any, encoded: Callable[[Any], str], render: Callable[..., None], *, as_json: bool) -> None:  # noqa: ANN401  any result
    """Show what was found on standard output, as one line of JSON or for people."""
    if as_json:
        print_json(encoded(found))
    else:
        render(stdout_console(), found)


def _finished(work: _Work) -> "runs.RunState":
    """Run the coroutine to its end under signals that request a stop; return how the run ended."""
    import asyncio  # noqa: PLC0415  help pages need no event loop

    stop = Stop()
    handle_signals(lambda _number, _frame: stop.request())  # however often one comes
    try:
        return asyncio.run(work(stop=stop)).summary
    except eventabs.RunStoppedError as error:
        return error.run.summary
    except StopRequested:  # before anything had begun
        raise KeyboardInterrupt from None
    finally:
        handle_signals(signal.SIG_IGN)


@contextmanager
def _watch(
    shown: ShownFlags,
    server: "views.ProgressServer | None",
    directory: "store.RunDirectory",
    settings: "config.Settings",
) -> Iterator["runs.Observer"]:
    """Give a run its observer: the panel or lines on standard error, run.log, and what answers over HTTP."""
    currency = settings.llm.price.currency
    panel = views.display(
        stderr_console(), form=shown.progress, quiet=shown.quiet, verbose=shown.verbose, currency=currency
    )
    opened = panel if isinstance(panel, AbstractContextManager) else nullcontext()
    with store.open_to_append(directory.log) as log, opened:
        observers = [panel, views.log_to(log, currency=currency), *([server] if server else [])]
        yield runs.Observers(observers, [runs.Serving(server.address)] if server else [])


def _end(summary: "runs.RunState", shown: ShownFlags) -> None:
    views.render_summary(stderr_console(), summary, quiet=shown.quiet)
    if shown.json:
        with suppress(views.OutputGoneError):  # the exit code shows how the run ended as well
            print_json(views.summary_json(summary))
    raise typer.Exit(_exit_code(summary))


def _exit_code(summary: "runs.RunState") -> int:
    codes = {"completed": 3 if summary.failed else 0, "interrupted": INTERRUPTED, "waiting": 4}
    return codes.get(summary.status, 1)


@command()
def init(
    preset: str | None = of_model("Known endpoint, such as deepseek, qwen or vllm."),
    model: str = of_model("Name of the model.", ""),
    output: Path | None = option(
        "File to write; - is standard output. (default: eventabs.toml, my-rules.toml)"
    ),
    all_settings: bool = flag("Also the settings that are rarely changed.", "--all"),
    rules: bool = flag("Write the built-in rules instead, to be changed and named in rules.file.", "--rules"),
) -> None:
    """Write a config file: settings, their defaults and what they are for; or the rules."""
    stdout = Path("-")
    if rules:
        if preset or model or all_settings:
            raise UsageError(_("--rules writes the rules alone; leave out the other flags"))
        output = output or Path("my-rules.toml")
        text = providers.shipped_rules()
        steps = [_('change it, then name it in eventabs.toml: [rules] file = "{path}"').format(path=output)]
    else:
        if preset is None and output != stdout and sys.stdin.isatty() and sys.stderr.isatty():
            names = providers.preset_names()
            question = _("Endpoint ({names}; nothing: no model, the built-in rules)")
            while preset not in ("", *names):
                asked = question.format(names=", ".join(names))
                preset = typer.prompt(asked, default="", show_default=False, err=True).strip()
        known = providers.load_preset(preset) if preset else None
        model = model or (known.suggested_model if known else "")
        output = output or Path("eventabs.toml")
        text = config.own_config(active(), all_settings=all_settings, preset=preset or "", model=model)
        steps = [_("set llm.model to the model's name at the endpoint")] if known and not model else []
        if known and known.needs_key:
            message = _("put the key into the environment: export {name}=...")
            steps.append(message.format(name=known.api_key_env))
        if known:
            steps.append(_("try the endpoint: eventabs check"))
        steps.append(_("see what a run would take: eventabs estimate INPUT"))
    if output == stdout:
        print_bytes(text.encode())
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        message = _("{path} cannot be written ({error}); name another file with --output")
        if isinstance(error, FileExistsError):
            message = _("{path} exists; name another file with --output")
        raise UsageError(message.format(path=output, error=error.strerror or error)) from None
    print_line(stdout_console(), str(output))
    print_line(stderr_console(), *steps)


@command("preset model base_url provider")
def check(
    invocation: "runs.Invocation",
    quiet: bool = flag("Only what is wrong.", "--quiet", "-q", rich_help_panel=SHOWN),
    json: bool = JSON,
) -> None:
    """Check the config, the key, the endpoint, and how many rows an answer keeps; for some 35,000 tokens at most."""
    silent = nullcontext(lambda _finding: None)
    with silent if json else views.showing_findings(stdout_console(), quiet=quiet) as on_finding:
        report = eventabs.check(settings=invocation.flags, config=invocation.config, on_finding=on_finding)
    _tell(report, views.check_json, views.render_verdict, as_json=json)
    raise typer.Exit(report.exit_code)


_FORMATS: dict[str, choice.ExportFormat] = {".csv": "csv", ".xlsx": "xlsx", ".xes": "xes"}
_FORMATS |= dict.fromkeys((".parquet", ".pq"), "parquet")
_FORMATS |= dict.fromkeys((".sqlite", ".sqlite3", ".db"), "sqlite")
# each promises what CSV is not
_NOT_WRITTEN = (
    *(".xls", ".xlsm", ".xlsb", ".ods", ".json", ".jsonl", ".ndjson", ".tsv", ".tab", ".xml", ".html"),
    *(".duckdb", ".feather", ".arrow", ".avro", ".orc", ".gz", ".bz2", ".xz", ".zst", ".zip", ".sql"),
)


@command()
def status(
    checkpoint: Path = CHECKPOINT,
    watch: bool = flag("Look again every second until the run is completed."),
    json: bool = JSON,
) -> None:
    """Show how far a run is, how fast, and what failed; also while it goes on elsewhere."""
    inspect = partial(runs.inspect_run, checkpoint, now=time.time)
    if watch:
        with suppress(KeyboardInterrupt):
            views.watch_status(stdout_console(), inspect, as_json=json, sleep=time.sleep)
    else:
        _tell(inspect(), views.status_json, views.render_status, as_json=json)


@command()
def show(
    checkpoint: Path = CHECKPOINT,
    user_id: str | None = typer.Argument(None, metavar="USER_ID", help=_("The user to show.")),
    raw: bool = flag("Also the stored prompts and replies of the user's calls."),
    state: Literal["pending", "done", "failed"] | None = option("List only users in this state."),
    limit: int = option("List N users at most.", 50, min=1),
    offset: int = option("Leave out the first N users of the list.", 0, min=0),
    json: bool = JSON,
) -> None:
    """Show a user's behaviors and events side by side; without a user, list the users."""
    from eventabs.inspection import calls_of, view_user  # noqa: PLC0415  loads what no help page needs

    with store.Ledger.watch(store.RunDirectory.find(checkpoint).ledger) as ledger:
        if user_id is None:
            states = store.user_states(ledger)
            total = states.get(state, 0) if state else sum(states.values())
            rows = store.user_rows(ledger, state, most=limit, skip=offset)
            encoded = partial(views.users_json, total=total, skip=offset)
            render = partial(views.render_users, total=total, skip=offset)
            _tell(rows, encoded, render, as_json=json)
            return
        view = view_user(ledger, user_id, checkpoint)
        calls = calls_of(ledger, user_id) if raw else None
        _tell(view, partial(views.user_json, calls=calls), views.render_user, as_json=json)
        if calls and not json:
            views.render_calls(stdout_console(), calls)


@command()
def report(
    checkpoint: Path = CHECKPOINT,
    output: Path | None = option("File to write. (default: report.html in the run directory)"),
) -> None:
    """Make one HTML file to show: timelines, events, users, calls, and how the run went."""
    directory = store.RunDirectory.find(checkpoint)
    path, in_use = output or directory.path / views.NAME, directory.in_use()
    with store.Ledger.watch(directory.ledger) as ledger:
        run = runs.state_of(directory, ledger, in_use=in_use)
        page, notes = views.render_report(ledger, run, views.quality_tables(directory, run))
    views.write_report(page, path)
    print_line(stderr_console(), *notes)
    print_line(stdout_console(), str(path))


@command()
def export(
    checkpoint: Path = CHECKPOINT,
    form: choice.ExportFormat | None = option(
        "Format of the file. (default: as --output ends, else csv)", None, "--format"
    ),
    output: str = option(
        "File to write, or address of an object (s3, gs, az, https). (default: events.<format> in the run directory)",
        "",
        "--output",
        "--out",
    ),
    rows: bool = flag("Write the behaviors too, with their texts and what became of each."),
    cases: choice.TraceCases = option("What a trace of XES is about.", "users"),
    replace: bool = flag("Replace the file or the object that is there."),
    bom: bool = flag("Mark a CSV as UTF-8, so that Excel shows Chinese."),
    timezone: str | None = option(
        "Zone of times without one in XES, such as Asia/Shanghai. (default: the run's)"
    ),
) -> None:
    """Write events and journeys of a run as CSV, Excel workbook, Parquet, SQLite or XES; also while it goes on."""
    chosen = _format_of(output, form)
    only = {"--bom": bom and "csv", "--timezone": timezone and "xes", "--cases": cases != "users" and "xes"}
    for name, of_format in only.items():
        if of_format and chosen != of_format:
            message = _("{flag} is for {format} alone; leave it out, or take --format {format}")
            raise UsageError(message.format(flag=name, format=of_format))
    if rows and chosen == "xes":
        raise UsageError(_("XES has no table for --rows; leave it out, or take another --format"))
    places, counts = store.export_events(
        checkpoint, chosen, output, rows=rows, cases=cases, bom=bom, timezone=timezone or "", replace=replace
    )
    print_line(stdout_console(), *places)
    if counts["pending"]:
        line = _("The run is not complete; users in the file: {done}, still pending: {pending}")
        done = counts["done"] + counts["standing"]
        print_line(stderr_console(), line.format(done=done, pending=counts["pending"]))
    if counts["standing"]:
        line = _(
            "Users in the file as before an extension that is not answered, without rows of theirs: {count}"
        )
        print_line(stderr_console(), line.format(count=counts["standing"]))
    if cases == "journeys" and not counts["journeys"]:
        print_line(stderr_console(), _("The run has no journeys, so the log is empty; try --cases users"))


def _format_of(output: str, form: choice.ExportFormat | None) -> choice.ExportFormat:
    name = public_address(output).partition("?")[0]
    ending = PurePosixPath(name).suffix.lower()
    by_name = _FORMATS.get(ending)
    if form and by_name and form != by_name:
        message = _(
            "{path} is the name of a file in the format {named}, not {format}; leave out --format, or name another file"
        )
        raise UsageError(message.format(path=name, named=by_name, format=form))
    if ending in _NOT_WRITTEN or name == "-":
        message = _("{ending} is not written; name a file that ends in one of {endings}")
        if ending == ".xls":
            message = _("{ending}, the old format of Excel, is not written; name a file that ends in .xlsx")
        raise UsageError(message.format(ending=ending or name, endings=", ".join(_FORMATS)))
    return form or by_name or "csv"


@command()
def merge(
    directories: list[Path] = typer.Argument(
        ..., metavar="DIR...", help=_("Run directories of shards, finished or not.")
    ),
    out: Path = option("Run directory to make: a new one, or one that was merged before.", ...),
    accept_changes: bool = flag("Take shards of different inputs or settings."),
    json: bool = JSON,
) -> None:
    """Make one run of shards: ledger, events, failures. Merge again to bring it up to date."""
    merged = store.merge(directories, out, accept_changes=accept_changes)
    state = runs.inspect_run(merged.path, now=time.time)
    _tell(state, partial(views.status_json, warnings=merged.warnings), views.render_status, as_json=json)
    for warning in () if json else merged.warnings:
        print_line(stderr_console(), _("Warning: {message}").format(message=warning))


SIDE_BY_SIDE = option("Users shown side by side. (default: 3; 20 on the page and in JSON)", min=0)
DIFFERENCE_PAGE = option("Also write a page with the users who differ most.")
SEED = option("Draws the users; another seed, other users.", 0)
YES = flag("Begin without asking; trust the endpoint that the run directory names.")


@command()
def evaluate(
    events: Path = typer.Argument(..., metavar="EVENTS", help=_("A run directory, or an events.jsonl.")),
    gold: Path = option(
        "Labels: CSV or JSON lines with user, start, end, label; or user, time or line, group, label.", ...
    ),
    output: Path | None = option("Also write a page with labels and events as two lanes."),
    json: bool = JSON,
) -> None:
    """Hold the events of a run against labels that people gave. Calls nobody."""
    evaluation = quality.evaluate(events, gold)
    if output:
        views.write_report(views.render_evaluation_page(evaluation), output)
    _tell(evaluation, views.evaluation_json, views.render_evaluation, as_json=json)
    if output and not json:
        print_line(stdout_console(), str(output))


@command()
def diff(
    first: Path = typer.Argument(..., metavar="A", help=_("A run directory or its checkpoint.json.")),
    second: Path = typer.Argument(..., metavar="B", help=_("A run of the same export.")),
    users: int | None = SIDE_BY_SIDE,
    output: Path | None = DIFFERENCE_PAGE,
    json: bool = JSON,
) -> None:
    """Compare two runs of the same export: prompts, models or vocabularies. Calls nobody."""
    comparison = quality.compare(first, second, most=20 if users is None else users)
    if output:
        views.write_report(views.render_comparison_page(comparison), output)
    render = partial(views.render_comparison, most=3 if users is None else users)
    _tell(comparison, views.comparison_json, render, as_json=json)
    if output and not json:
        print_line(stdout_console(), str(output))


@command("max_cost max_total_tokens")
def audit(
    invocation: "runs.Invocation",
    shown: ShownFlags,
    checkpoint: Path = CHECKPOINT,
    share: str = option("Share of the users to ask again, such as 5% or 0.05.", "5%", metavar="SHARE"),
    seed: int = SEED,
    users: int | None = SIDE_BY_SIDE,
    output: Path | None = DIFFERENCE_PAGE,
    out: Path | None = option("The audit's own directory. (default: audit in the run directory)"),
    yes: bool = YES,
) -> None:
    """Ask about some users of a run again, in other batches: which events and journeys stay?"""
    number, percent, rest = share.strip().partition("%")
    try:
        part = float(number) / (100 if percent else 1)
    except ValueError:
        part = 0.0
    if rest or not 0 < part <= 1:
        message = _("--share {share}: it takes a share of the users, such as 5% or 0.05")
        raise UsageError(message.format(share=share))
    plan = quality.plan_audit(checkpoint, invocation, share=part, seed=seed, out=out, confirmed=yes)
    summary = _asked(plan, invocation, shown, yes=yes)
    if summary is None or summary.done:
        diff(first=checkpoint, second=plan.arms[0].path, users=users, output=output, json=shown.json)
    elif shown.json:
        print_json(views.summary_json(summary))
    raise typer.Exit(_exit_code(summary) if summary else 0)


@command("max_cost max_total_tokens")
def calibrate(
    invocation: "runs.Invocation",
    shown: ShownFlags,
    checkpoint: Path = CHECKPOINT,
    users: int = option("Users to ask about.", 200, min=10),
    seed: int = SEED,
    sizes: str = option("Users a prompt to try, beside one and the config's own number.", "2,4,8,16,32"),
    margin: float = option(
        "How far agreement may lie below the model's agreement with itself.", 0.05, min=0, max=1
    ),
    out: Path | None = option("Folder of the runs. (default: calibration in the run directory)"),
    yes: bool = YES,
) -> None:
    """Ask about some users of a run in calls of several sizes: how many users and rows a call?"""
    tried = [int(size) if size.strip().isdecimal() else 0 for size in sizes.split(",")]
    if not all(tried):
        raise UsageError(_("--sizes {sizes}: it takes numbers of users, such as 4,8,16").format(sizes=sizes))
    plan = quality.plan_calibration(
        checkpoint, invocation, users=users, sizes=tried, margin=margin, seed=seed, out=out, confirmed=yes
    )
    summary = _asked(plan, invocation, shown, yes=yes)
    calibration = quality.calibration_of(plan)
    _tell(calibration, views.calibration_json, views.render_calibration, as_json=shown.json)
    raise typer.Exit(_exit_code(summary) if summary and not calibration.recommended else 0)


def _asked(
    plan: "quality.AskingPlan", invocation: "runs.Invocation", shown: ShownFlags, *, yes: bool
) -> "runs.RunState | None":
    """Ask what a plan has left, if a flag, a limit or the terminal confirms calls; return how it ended, None where nothing was left."""
    if not plan.is_open:
        return None
    if not shown.quiet:
        print_line(stderr_console(), views.announcement(plan))
    limits = invocation.flags.get("run", {})
    if plan.endpoint.model and not (yes or limits.get("max_cost") or limits.get("max_total_tokens")):
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            message = _(
                "nothing has been asked; confirm with --yes, or limit it with --max-cost or --max-total-tokens"
            )
            raise UsageError(message)
        if not typer.confirm(_("Go on?"), err=True):
            raise typer.Exit(2)
    summary = _finished(partial(quality.aask, plan, confirmed=yes, observer=partial(_watch, shown, None)))
    if summary.status != "completed":
        line = _(
            "Go on with the same command, after a limit with a larger one: what is answered is not asked again"
        )
        if summary.status == "waiting":
            line = _(
                "Have {out}/requests.jsonl answered: eventabs resume {out} --replies FILE; then the same command again"
            )
        print_line(stderr_console(), line.format(out=shlex.quote(summary.out)))
    return summary


@command()
def review(
    checkpoint: Path = CHECKPOINT,
    sample: int = option("Events to judge, and as many journeys.", 200, min=1, max=5000),
    days: int = option(
        "Days of users to look at as a whole, for the events that are missing.", 20, min=0, max=1000
    ),
    doubtful: int = option(
        "Events, journeys and left out rows to judge besides, the most doubtful first.",
        40,
        min=0,
        max=5000,
    ),
    by: Literal["type"] | None = option(
        "Draw as many events of each type; there is no figure of all events then."
    ),
    seed: int = option("Draws the events; another seed, other events.", 0),
    output: Path | None = option("Page to write. (default: in reviews in the run directory)"),
    read: list[Path] | None = option(
        "Read a CSV that the page has saved; twice for two reviewers.", metavar="CSV"
    ),
    json: bool = JSON,
) -> None:
    """Let people judge a sample of a run's events: make the page, read its CSV back. Calls nobody."""
    if read:
        drawn, said = quality.read_review(checkpoint, read)
        figures = views.review_json(drawn, **said)
        # beside the sample, for the report of the run
        kept = store.RunDirectory.find(checkpoint).reviews / drawn.id / "result.json"
        store.replace_file(kept, [figures.encode()])
        _tell(figures, str, views.render_review, as_json=json)
        return
    sheet = quality.draw_review(
        checkpoint, sample=sample, days=days, doubtful=doubtful, by=by or "", seed=seed
    )
    path = output or sheet.folder / "review.html"
    views.write_report(views.render_review_page(sheet), path)
    if json:
        print_json(views.review_json(sheet.review, page=str(path)))
    else:
        print_line(stdout_console(), str(path))
        views.render_next_step(stderr_console(), sheet)


def main() -> None:
    """Run the command line; without arguments, its help."""
    views.replace_streams()
    try:
        handle_signals(signal.default_int_handler)  # what is not committed is undone
        known = "auto", *LANGUAGES
        if os.environ.get("EVENTABS_LANG") not in (None, "", *known):
            raise UsageError(_("EVENTABS_LANG takes one of: {choices}").format(choices=", ".join(known)))
        called = [c for c in app.registered_commands if c.callback and c.callback.__name__ in sys.argv[1:2]]
        app.registered_commands = called or app.registered_commands  # typer makes all before it calls one
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except views.OutputGoneError:
        code = 0
    except KeyboardInterrupt:
        code = INTERRUPTED
    except TyperException as error:
        print_error(stderr_console(), explained(error))
        code = error.exit_code
    except EventabsError as error:
        named = {".".join(where): flag for flag, where in SET_BY_FLAGS.items()}
        for fault in error.args:
            line = str(fault)
            # a setting in a flag is named by the flag
            if isinstance(fault, SettingFault) and fault.passed and fault.key in named:
                line = _("{flag}: {fault}").format(flag=flag_name(named[fault.key]), fault=fault.what)
            print_error(stderr_console(), line)
        if isinstance(error, InputError) and error.proposal:
            views.print_proposal(stderr_console(), error.proposal)
        code = error.exit_code
    handle_signals(signal.SIG_IGN)  # all is saved, and what is left are moments
    # taking the interpreter apart takes a tenth of a short run, and Ray would end it with a code of its own where the head is lost
    os._exit(code or 0)
