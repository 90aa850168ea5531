"""The commands that say whether events are right."""

from pathlib import Path
from typing import Annotated

import typer

from eventabs.cli import signals
from eventabs.cli.app import command
from eventabs.cli.options import LookFlags, with_options
from eventabs.language import gettext as _
from eventabs.views import print_json, print_line, stdout_console


@command(help=_("Hold the events of a run against labels that people gave. Calls nobody."))
@with_options(LookFlags)
def evaluate(
    look: LookFlags,
    *,
    events: Annotated[Path, typer.Argument(metavar="EVENTS", help=_("A run directory, or an events.jsonl."))],
    gold: Annotated[
        Path,
        typer.Option(help=_("Labels: CSV or JSON lines with user, start, end, label; or a run directory.")),
    ],
    within: Annotated[float, typer.Option(min=0, help=_("Minutes that a start may be off."))] = 1.0,
    output: Annotated[
        Path | None, typer.Option(help=_("Also write a page with labels and events as two lanes."))
    ] = None,
) -> None:
    """Hold events against labels."""
    from eventabs.quality import evaluate as evaluate_events  # noqa: PLC0415
    from eventabs.views import (  # noqa: PLC0415
        evaluation_json,
        render_evaluation,
        render_evaluation_page,
        write_report,
    )

    signals.interrupt()
    evaluation = evaluate_events(events, gold, within=within)
    if output:
        write_report(render_evaluation_page(evaluation), output)
    if look.json:
        print_json(evaluation_json(evaluation))
        return
    render_evaluation(stdout_console(), evaluation)
    if output:
        print_line(stdout_console(), str(output))


@command(help=_("Compare two runs of the same export: prompts, models or vocabularies. Calls nobody."))
@with_options(LookFlags)
def diff(
    look: LookFlags,
    *,
    first: Annotated[Path, typer.Argument(metavar="A", help=_("A run directory or its checkpoint.json."))],
    second: Annotated[Path, typer.Argument(metavar="B", help=_("A run of the same export."))],
    within: Annotated[float, typer.Option(min=0, help=_("Minutes that starts may lie apart."))] = 1.0,
    users: Annotated[
        int | None,
        typer.Option(min=0, help=_("Users shown side by side. (default: 3; 20 on the page and in JSON)")),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help=_("Also write a page with the users who differ most."))
    ] = None,
) -> None:
    """Compare two runs."""
    from eventabs.quality import compare  # noqa: PLC0415
    from eventabs.views import (  # noqa: PLC0415
        comparison_json,
        render_comparison,
        render_comparison_page,
        write_report,
    )

    signals.interrupt()
    comparison = compare(first, second, within=within, most=20 if users is None else users)
    if output:
        write_report(render_comparison_page(comparison), output)
    if look.json:
        print_json(comparison_json(comparison))
        return
    render_comparison(stdout_console(), comparison, most=3 if users is None else users)
    if output:
        print_line(stdout_console(), str(output))
