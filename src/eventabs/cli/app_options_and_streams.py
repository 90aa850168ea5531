"""The command line's application: its options, each declared once with the setting that it sets, and standard streams that may be gone."""

import errno
import inspect
import io
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

# runs is loaded when a command begins
from eventabs import __version__, runs
from eventabs.cli.help_and_usage_errors import Command, Group
from eventabs.errors_and_exit_codes import UsageError
from eventabs.interface_language import gettext as _
from eventabs.setting_choices import AnswerForm, Compaction, Detail, Engine, ProviderChoice, RunMode, TierName

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

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
    "provider": (MODEL, "llm", ProviderChoice, _("openai: a model; rules: built in, calls nobody.")),
    "preset": (MODEL, "llm", str, _("Known endpoint, such as deepseek, qwen or vllm.")),
    "model": (MODEL, "llm", str, _("Name of the model.")),
    "base_url": (MODEL, "llm", str, _("Address of the endpoint, such as https://api.deepseek.com/v1.")),
    "tier": (MODEL, "llm", TierName, _("flex: slower answers at about half the price.")),
    "detail": (MODEL, "prompt", Detail, _("day: events and journeys; fine: every occasion; journeys alone.")),
    "answer": (MODEL, "prompt", AnswerForm, _("Form of the answers; lines cost the fewest tokens.")),
    "compaction": (BUDGET, "compaction", Compaction, _("line; dense: shorter, with codes for names.")),
    "max_input_tokens": (BUDGET, "budget", int, _("Tokens of a prompt. (default: 40000)")),
    "max_output_tokens": (BUDGET, "budget", int, _("Tokens of an answer. (default: 8192)")),
    "max_users": (BUDGET, "budget", int, _("Users in a prompt. (default: 30)")),
    "mode": (
        PACE,
        "run",
        RunMode,
        _("live; batch: cheaper, by the batch service; files: write requests.jsonl."),
    ),
    "concurrency": (PACE, "run", int, _("Calls at a time. (default: 3)")),
    "max_concurrency": (PACE, "run", int, _("Calls at a time, at most: grows while it helps.")),
    "rpm": (PACE, "run", int, _("Requests a minute, at most.")),
    "tpm": (PACE, "run", int, _("Tokens a minute, at most.")),
    "wait": (PACE, "run", bool, _("Wait for an endpoint that does not accept connections yet.")),
    "max_cost": (PACE, "run", float, _("Stop before more than this is spent, 0: never; needs llm.price.")),
    "max_total_tokens": (PACE, "run", int, _("Stop before more tokens than this are used, 0: never.")),
    "engine": (MACHINES, "cluster", Engine, _("ray: the machines of a Ray cluster make the calls.")),
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


@dataclass(frozen=True, slots=True)
class ShownFlags:
    """Flags about what is shown."""

    progress: Literal["auto", "plain", "json"] = of_view("How progress is shown on standard error.", "auto")
    quiet: bool = flag("Only errors and the end.", "--quiet", "-q", rich_help_panel=SHOWN)
    verbose: bool = flag("Every batch and every retry.", "--verbose", "-v", rich_help_panel=SHOWN)
    json: bool = flag("One JSON object on standard output at the end.", rich_help_panel=SHOWN)


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
        flags = fields(ShownFlags) if of_shown else ()
        options += [keyword(each.name, default=each.default, annotation=each.type) for each in flags]
        if of_settings:
            options.append(keyword("config", default=_CONFIG, annotation=Path | None))
            for name, (panel, _table, kind, text) in _FLAGS.items():
                hidden = name not in shows.split()
                look: dict[str, Any] = {"help": text, "rich_help_panel": panel, "hidden": hidden}
                how = typer.Option(None, flag_name(name), **look, min=1 if name == "limit" else None)
                options.append(keyword(name, default=how, annotation=kind | None))
        # panels stand in the order of their first options
        options.sort(key=lambda each: (each.default.rich_help_panel == SHOWN, each.name == "json"))

        @wraps(function)
        def flat(**values: Any) -> None:  # noqa: ANN401  whatever the options hold
            values.pop("lang", None)  # a command that calls another gives none
            if of_shown:
                values["shown"] = ShownFlags(*(values.pop(each.name) for each in flags))
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


class OutputGoneError(Exception):
    """Nobody reads standard output any more, as behind `| head`."""


def replace_streams() -> None:
    """Replace standard output and standard error, where open, by streams of ours.

    What standard error does not take (a full disk, a closed pipe or terminal) is dropped: messages must not
    end a paid run. Standard output raises OutputGoneError or UsageError, once.
    """
    for name in ("stdout", "stderr"):
        if stream := getattr(sys, name):  # else closed by the parent process
            replaced = io.TextIOWrapper(
                io.BufferedWriter(_Stream(stream.fileno(), tells=name == "stdout")),
                encoding=stream.encoding,
                errors="replace",  # a locale that lacks a character must not end a run
                line_buffering=stream.isatty(),
            )
            setattr(sys, name, replaced)


class _Stream(io.FileIO):
    """A file that drops everything from its first error on; one that `tells` raises it in our words."""

    def __init__(self, descriptor: int, *, tells: bool) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._tells = tells
        self._failed = False

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write, or drop."""
        if not self._failed:
            try:
                written = super().write(data)
                if written is None:  # a pipe that is full and does not block
                    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            except OSError as error:
                self._failed = True
                if self._tells and isinstance(error, BrokenPipeError):
                    raise OutputGoneError from None
                if self._tells:
                    message = _("standard output cannot be written ({error}); lead it somewhere else")
                    raise UsageError(message.format(error=error.strerror)) from None
            else:
                return written
        return memoryview(data).nbytes
