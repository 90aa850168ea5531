"""Help pages and usage errors in one language, and which language that is."""

import gettext
import os
import sys
from contextlib import suppress
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

from typer import BadParameter
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from eventabs import interface_language as language
from eventabs.config import find_config, read_toml
from eventabs.errors_and_exit_codes import ConfigError
from eventabs.interface_language import gettext as _

_EXTRA = "Got unexpected extra argument(s) "


class _Page:
    """A help page that is all in one language, and cuts nothing away. A mixin of typer's commands and groups."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401  typer keeps the type to itself
        """Take the arguments apart; refuse a flag that is followed by a truth value."""
        flags = {name for each in self.params for name in each.opts if getattr(each, "is_flag", False)}  # type: ignore[attr-defined]
        for flag, value in pairwise(args):
            if flag in flags and value.lower() in ("true", "false", "yes", "no", "on", "off", "1", "0"):
                ctx.fail(_("{option} takes no value").format(option=flag))
        return super().parse_args(ctx, args)  # type: ignore[misc]

    def get_usage(self, ctx: Any) -> Any:  # noqa: ANN401  typer keeps the type to itself
        """Return the usage line."""
        return super().get_usage(ctx).replace("Usage: ", _("Usage: "), 1)  # type: ignore[misc]

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401  as above
        """Return the options, each as the help page shows it."""
        own = {  # the help texts of typer's own options
            "help": _("Show this message and exit."),
            "install_completion": _("Install completion for the current shell."),
            "show_completion": _("Show completion for the current shell."),
        }
        parameters: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for parameter in parameters:
            parameter.secondary_opts = []  # a flag has no opposite, such as --no-quiet
            parameter.help = own.get(parameter.name, parameter.help)
            if getattr(parameter, "is_flag", False):
                parameter.metavar = ""  # typer shows <bool>, as if a flag took a value
        return parameters

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401  as above
        """Print the help page; at its end the names of options that it does not explain."""
        rich_utils: Any = import_module("typer.rich_utils")  # slow to import, and only help pages need it
        make_text = rich_utils._make_rich_text  # noqa: SLF001

        def make_wrapped(*, text: str, **look: Any) -> Any:  # noqa: ANN401  as above
            # help texts without spaces wrap, and brackets as in [llm] stay: typer cuts, and takes them for markup
            made = make_text(text=text.replace("[", r"\["), **look)
            made.overflow = "fold"
            return made

        rich_utils._make_rich_text = make_wrapped  # noqa: SLF001
        if others := [each.opts[0] for each in self.params if each.hidden]:  # type: ignore[attr-defined]
            named = _("Settings of the config file that are options too: {options}")
            vars(self)["epilog"] = named.format(options=" ".join(others))
        super().format_help(ctx, formatter)  # type: ignore[misc]


class Command(_Page, TyperCommand):
    """A command, with its help page."""


class Group(_Page, TyperGroup):
    """A group of commands, with its help page."""


def explained(error: TyperException) -> str:
    """Say a usage error in one line, with the next step."""
    option = getattr(error, "option_name", None)
    if isinstance(error, BadParameter):
        parameter: Any = error.param  # typer shows the type of a parameter on its help page only
        name, expected = parameter.get_error_hint(), parameter.display_type_rich(ctx=error.ctx)
        if getattr(parameter, "min", None) is not None:
            expected = _("a number of at least {least}").format(least=parameter.min)
        what = _("wrong value for {name}; it takes {expected}").format(name=name, expected=expected)
        if hasattr(error, "param_type"):
            what = _("{name} is missing").format(name=name)
    elif error.message.startswith(_EXTRA):
        extra = error.message.removeprefix(_EXTRA).strip("()")
        what = _("too many arguments: {extra}").format(extra=extra)
    elif option is None:
        what = error.format_message().rstrip(".。")
    elif hasattr(error, "possibilities"):
        what = _("no such option: {option}").format(option=option)
        if error.possibilities:
            alike = ", ".join(sorted(error.possibilities))
            what = _("{what} (perhaps {alike})").format(what=what, alike=alike)
    elif "does not take a value" in error.message:  # the error has neither the command nor the option itself
        what = _("{option} takes no value").format(option=option)
    else:
        what = _("{option} needs a value").format(option=option)
    if context := getattr(error, "ctx", None):
        what = _("{what}; see: {command} --help").format(what=what, command=context.command_path)
    return what


def choose_language() -> None:
    """Choose the language of messages and help pages."""
    named, configured = language.flag_value("--config", sys.argv[1:]), ""
    with suppress(ConfigError):  # loading the file raises it again
        if path := find_config(Path(named) if named else None, os.environ):
            configured = str(read_toml(path).get("lang", ""))
    chosen = language.requested(sys.argv[1:], os.environ, configured=configured)
    language.activate(chosen)
    # typer looks its own words up in the process-wide domain
    gettext.bindtextdomain(language.DOMAIN, language.LOCALES)
    gettext.textdomain(language.DOMAIN)
    os.environ["LANGUAGE"] = chosen
