"""The commands before a run: a config file, and a check of the endpoint."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eventabs.cli import signals
from eventabs.cli.app import command
from eventabs.cli.options import MODEL, SHOWN, Lang, LookFlags, SettingFlags, with_options
from eventabs.errors import UsageError
from eventabs.language import active, gettext as _
from eventabs.views import print_bytes, print_line, stderr_console, stdout_console

if TYPE_CHECKING:
    from eventabs.providers import Preset

_STDOUT = Path("-")


@command(help=_("Write a config file with every setting, its default and what it is for."))
def init(
    preset: Annotated[
        str | None,
        typer.Option(help=_("Known endpoint, such as deepseek, qwen or vllm."), rich_help_panel=MODEL),
    ] = None,
    model: Annotated[str, typer.Option(help=_("Name of the model."), rich_help_panel=MODEL)] = "",
    output: Annotated[Path, typer.Option(help=_("File to write; - is standard output."))] = Path(
        "eventabs.toml"
    ),
    lang: Lang = None,  # noqa: ARG001  settled before this was loaded
) -> None:
    """Write a config file."""
    from eventabs.config import example_config  # noqa: PLC0415
    from eventabs.providers import load_preset  # noqa: PLC0415

    signals.interrupt()
    if preset is None:
        preset = _asked_preset() if output != _STDOUT and sys.stdin.isatty() and sys.stderr.isatty() else ""
    known = load_preset(preset) if preset else None
    model = model or (known.suggested_model if known else "")
    text = example_config(active(), preset=preset, model=model)
    if output == _STDOUT:
        print_bytes(text.encode())
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        message = _("{path} exists; name another file with --output")
        raise UsageError(message.format(path=output)) from None
    except OSError as error:
        message = _("{path} cannot be written ({error}); name another file with --output")
        raise UsageError(message.format(path=output, error=error.strerror or error)) from None
    print_line(stdout_console(), str(output))
    for step in _steps(known, model):
        print_line(stderr_console(), step)


def _asked_preset() -> str:
    from eventabs.providers import preset_names  # noqa: PLC0415

    names = preset_names()
    question = _("Endpoint ({names}; nothing: no model, the built-in rules)").format(names=", ".join(names))
    while True:
        answer: str = typer.prompt(question, default="", show_default=False, err=True).strip()
        if not answer or answer in names:
            return answer


def _steps(preset: "Preset | None", model: str) -> list[str]:
    """Return what is left to do before a run, a line each."""
    steps = []
    if preset and not model:
        steps.append(_("set llm.model to the model's name at the endpoint"))
    if preset and preset.needs_key:
        steps.append(_("put the key into the environment: export {name}=...").format(name=preset.api_key_env))
    if preset:
        steps.append(_("try the endpoint: eventabs check"))
    return [*steps, _("see what a run would take: eventabs estimate INPUT")]


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
