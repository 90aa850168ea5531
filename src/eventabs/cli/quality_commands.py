"""The commands that say whether events are right."""

import sys
from functools import partial
from pathlib import Path
from typing import Literal

import typer

from eventabs import quality, runs, views  # rooms load what is looked up in them
from eventabs.cli import signals
from eventabs.cli.app import CHECKPOINT, command
from eventabs.cli.commands import exit_code, finished, invocation_of, tell, watching
from eventabs.cli.help_and_usage_errors import choose_language
from eventabs.cli.options import LookFlags, SettingFlags, ShownFlags, flag, option, with_options
from eventabs.errors_and_exit_codes import UsageError
from eventabs.interface_language import gettext as _
from eventabs.views import print_json, print_line, stderr_console, stdout_console

SIDE_BY_SIDE = option(_("Users shown side by side. (default: 3; 20 on the page and in JSON)"), min=0)
DIFFERENCE_PAGE = option(_("Also write a page with the users who differ most."))
SEED = option(_("Draws the users; another seed, other users."), 0)
YES = flag(_("Begin without asking; trust the endpoint that the run directory names."))


@command(help=_("Hold the events of a run against labels that people gave. Calls nobody."))
@with_options(LookFlags)
def evaluate(
    look: LookFlags,
    *,
    events: Path = typer.Argument(..., metavar="EVENTS", help=_("A run directory, or an events.jsonl.")),
    gold: Path = option(
        _("Labels: CSV or JSON lines with user, start, end, label; or user, time or line, group, label."), ...
    ),
    output: Path | None = option(_("Also write a page with labels and events as two lanes.")),
) -> None:
    """Compare events with labels."""
    signals.interrupt()
    evaluation = quality.evaluate(events, gold)
    if output:
        views.write_report(views.render_evaluation_page(evaluation), output)
    tell(evaluation, views.evaluation_json, views.render_evaluation, as_json=look.json, page=output)


@command(help=_("Compare two runs of the same export: prompts, models or vocabularies. Calls nobody."))
@with_options(LookFlags)
def diff(
    look: LookFlags,
    *,
    first: Path = typer.Argument(..., metavar="A", help=_("A run directory or its checkpoint.json.")),
    second: Path = typer.Argument(..., metavar="B", help=_("A run of the same export.")),
    users: int | None = SIDE_BY_SIDE,
    output: Path | None = DIFFERENCE_PAGE,
) -> None:
    """Compare two runs."""
    signals.interrupt()
    _show(first, second, users=users, output=output, as_json=look.json)


def _show(first: Path, second: Path, *, users: int | None, output: Path | None, as_json: bool) -> None:
    comparison = quality.compare(first, second, most=20 if users is None else users)
    if output:
        views.write_report(views.render_comparison_page(comparison), output)
    render = partial(views.render_comparison, most=3 if users is None else users)
    tell(comparison, views.comparison_json, render, as_json=as_json, page=output)


@command(help=_("Ask about some users of a run again, in other batches: which events and journeys stay?"))
@with_options(SettingFlags, ShownFlags, shows="max_cost max_total_tokens")
def audit(
    flags: SettingFlags,
    shown: ShownFlags,
    *,
    checkpoint: Path = CHECKPOINT,
    share: str = option(_("Share of the users to ask again, such as 5% or 0.05."), "5%", metavar="SHARE"),
    seed: int = SEED,
    users: int | None = SIDE_BY_SIDE,
    output: Path | None = DIFFERENCE_PAGE,
    out: Path | None = option(_("The audit's own directory. (default: audit in the run directory)")),
    yes: bool = YES,
) -> None:
    """Ask some users of a run again."""
    signals.interrupt()
    invocation = invocation_of(flags)
    plan = quality.plan_audit(checkpoint, invocation, share=_share(share), seed=seed, out=out, confirmed=yes)
    summary = _asked(plan, flags, shown, yes=yes)
    code = exit_code(summary) if summary else 0
    if summary is None or summary.done:
        _show(checkpoint, plan.arms[0].path, users=users, output=output, as_json=shown.json)
    raise typer.Exit(code)


@command(help=_("Ask about some users of a run in calls of several sizes: how many users and rows a call?"))
@with_options(SettingFlags, ShownFlags, shows="max_cost max_total_tokens")
def calibrate(
    flags: SettingFlags,
    shown: ShownFlags,
    *,
    checkpoint: Path = CHECKPOINT,
    users: int = option(_("Users to ask about."), 200, min=10),
    seed: int = SEED,
    sizes: str = option(_("Users a prompt to try, beside one and the config's own number."), "2,4,8,16,32"),
    margin: float = option(
        _("How far agreement may lie below the model's agreement with itself."), 0.05, min=0, max=1
    ),
    out: Path | None = option(_("Folder of the runs. (default: calibration in the run directory)")),
    yes: bool = YES,
) -> None:
    """Try sizes of calls on some users of a run."""
    signals.interrupt()
    wanted = [size.strip() for size in sizes.split(",")]
    if not all(size.isdecimal() and int(size) for size in wanted):
        message = _("--sizes {sizes}: it takes numbers of users, such as 4,8,16")
        raise UsageError(message.format(sizes=sizes))
    plan = quality.plan_calibration(
        checkpoint,
        invocation_of(flags),
        users=users,
        sizes=map(int, wanted),
        margin=margin,
        seed=seed,
        out=out,
        confirmed=yes,
    )
    summary = _asked(plan, flags, shown, yes=yes)
    calibration = quality.calibration_of(plan)
    tell(calibration, views.calibration_json, views.render_calibration, as_json=shown.json)
    raise typer.Exit(exit_code(summary) if summary and not calibration.recommended else 0)


def _asked(
    plan: "quality.AskingPlan", flags: SettingFlags, shown: ShownFlags, *, yes: bool
) -> "runs.Summary | None":
    """Ask what a plan has left, once that is confirmed; return how it ended, None where nothing was left."""
    if not plan.is_open:
        return None
    _confirm(views.announcement(plan), flags, is_free=not plan.endpoint.model, yes=yes, quiet=shown.quiet)
    summary = finished(lambda stop: quality.aask(plan, confirmed=yes, observer=watching(shown), stop=stop))
    if summary.status != "completed":
        line = _("Go on with the same command: what is answered is not asked again")
        print_line(stderr_console(), line)
    return summary


@command(
    help=_("Let people judge a sample of a run's events: make the page, read its CSV back. Calls nobody.")
)
@with_options(LookFlags)
def review(
    look: LookFlags,
    *,
    checkpoint: Path = CHECKPOINT,
    sample: int = option(_("Events to judge, and as many journeys."), 200, min=1, max=5000),
    days: int = option(
        _("Days of users to look at as a whole, for the events that are missing."), 20, min=0, max=1000
    ),
    doubtful: int = option(
        _("Events, journeys and left out rows to judge besides, the most doubtful first."),
        40,
        min=0,
        max=5000,
    ),
    by: Literal["type"] | None = option(
        _("Draw as many events of each type; there is no figure of all events then.")
    ),
    seed: int = option(_("Draws the events; another seed, other events."), 0),
    output: Path | None = option(_("Page to write. (default: in reviews in the run directory)")),
    read: list[Path] | None = option(
        _("Read a CSV that the page has saved; twice for two reviewers."), metavar="CSV"
    ),
) -> None:
    """Make the page of a review, or read what was said on it."""
    signals.interrupt()
    if read:
        _read_back(checkpoint, read, as_json=look.json)
        return
    sheet = quality.draw_review(
        checkpoint, sample=sample, days=days, doubtful=doubtful, by=by or "", seed=seed
    )
    choose_language(sheet.review.language)
    path = output or sheet.folder / "review.html"
    views.write_report(views.render_review_page(sheet), path)
    if look.json:
        print_json(views.drawn_json(sheet, str(path)))
    else:
        print_line(stdout_console(), str(path))
        views.render_next_step(stderr_console(), sheet)


def _read_back(checkpoint: Path, files: list[Path], *, as_json: bool) -> None:
    result = quality.read_review(checkpoint, files)
    choose_language(result.review.language)
    figures = views.review_json(result)
    quality.keep_result(result, figures)
    if as_json:
        print_json(figures)
    else:
        views.render_review(stdout_console(), result)


def _share(text: str) -> float:
    number, percent, rest = text.strip().partition("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        share = 0.0
    if rest or not 0 < share <= 1:
        message = _("--share {share}: it takes a share of the users, such as 5% or 0.05")
        raise UsageError(message.format(share=text))
    return share


def _confirm(line: str, flags: SettingFlags, *, is_free: bool, yes: bool, quiet: bool) -> None:
    """Say what is going to be asked, and have it confirmed by a flag, a limit, or in the terminal.

    Raises UsageError where nobody confirms it.
    """
    if not quiet:
        print_line(stderr_console(), line)
    if is_free or yes or flags.values["max_cost"] or flags.values["max_total_tokens"]:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        message = _(
            "nothing has been asked; confirm with --yes, or limit it with --max-cost or --max-total-tokens"
        )
        raise UsageError(message)
    if not typer.confirm(_("Go on?"), err=True):
        raise typer.Exit(2)
