"""The commands that say whether events are right."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import typer

from eventabs import config, inspection, quality, views  # rooms load what is looked up in them
from eventabs.choices import Compaction
from eventabs.cli import signals
from eventabs.cli.app import Checkpoint, Inputs, command
from eventabs.cli.commands import exit_code, finished, invocation_of, watching
from eventabs.cli.help import choose_language
from eventabs.cli.options import LookFlags, SettingFlags, ShownFlags, with_options
from eventabs.errors import UsageError
from eventabs.language import gettext as _
from eventabs.stop import Stop
from eventabs.views import print_json, print_line, stderr_console, stdout_console

Choice = TypeVar("Choice", bound=str)
Seed = Annotated[int, typer.Option(help=_("Draws the users; another seed, other users."))]
Yes = Annotated[
    bool,
    typer.Option("--yes", help=_("Begin without asking; trust the endpoint that the run directory names.")),
]


@command(help=_("Hold the events of a run against labels that people gave. Calls nobody."))
@with_options(LookFlags)
def evaluate(
    look: LookFlags,
    *,
    events: Annotated[Path, typer.Argument(metavar="EVENTS", help=_("A run directory, or an events.jsonl."))],
    gold: Annotated[
        Path,
        typer.Option(
            help=_(
                "Labels: CSV or JSON lines with user, start, end, label; or user, time or line, group, label."
            )
        ),
    ],
    output: Annotated[
        Path | None, typer.Option(help=_("Also write a page with labels and events as two lanes."))
    ] = None,
) -> None:
    """Compare events with labels."""
    signals.interrupt()
    evaluation = quality.evaluate(events, gold)
    if output:
        views.write_report(views.render_evaluation_page(evaluation), output)
    if look.json:
        print_json(views.evaluation_json(evaluation))
        return
    views.render_evaluation(stdout_console(), evaluation)
    if output:
        print_line(stdout_console(), str(output))


@command(help=_("Compare two runs of the same export: prompts, models or vocabularies. Calls nobody."))
@with_options(LookFlags)
def diff(
    look: LookFlags,
    *,
    first: Annotated[Path, typer.Argument(metavar="A", help=_("A run directory or its checkpoint.json."))],
    second: Annotated[Path, typer.Argument(metavar="B", help=_("A run of the same export."))],
    users: Annotated[
        int | None,
        typer.Option(min=0, help=_("Users shown side by side. (default: 3; 20 on the page and in JSON)")),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help=_("Also write a page with the users who differ most."))
    ] = None,
) -> None:
    """Compare two runs."""
    signals.interrupt()
    comparison = quality.compare(first, second, most=20 if users is None else users)
    if output:
        views.write_report(views.render_comparison_page(comparison), output)
    if look.json:
        print_json(views.comparison_json(comparison))
        return
    views.render_comparison(stdout_console(), comparison, most=3 if users is None else users)
    if output:
        print_line(stdout_console(), str(output))


@command(help=_("Ask about some users of a run again, in other batches: which of its events are stable?"))
@with_options(SettingFlags, ShownFlags)
def audit(
    flags: SettingFlags,
    shown: ShownFlags,
    *,
    checkpoint: Checkpoint,
    share: Annotated[
        str, typer.Option(metavar="SHARE", help=_("Share of the users to ask again, such as 5% or 0.05."))
    ] = "5%",
    seed: Seed = 0,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help=_("List users whose share of stable events is below it."))
    ] = 0.8,
    out: Annotated[
        Path | None, typer.Option(help=_("The audit's own directory. (default: audit in the run directory)"))
    ] = None,
    yes: Yes = False,
) -> None:
    """Ask some users of a run again."""
    signals.interrupt()
    invocation = invocation_of(flags)
    plan = quality.plan_audit(checkpoint, invocation, share=_share(share), seed=seed, out=out, confirmed=yes)
    code = 0
    if plan.use.users or plan.is_open:
        _confirm(views.announcement(plan), flags, is_free=not plan.model, yes=yes, quiet=shown.quiet)
        summary = finished(
            lambda stop: quality.aaudit(plan, invocation, confirmed=yes, observer=watching(shown), stop=stop)
        )
        code = exit_code(summary)
    facts = inspection.audit_facts(checkpoint, out, least_stable=threshold)
    if facts is not None:
        if shown.json:
            print_json(views.audit_json(facts))
        else:
            views.render_audit(stdout_console(), facts)
        if facts.status in {"interrupted", "stopped"}:
            line = _("Go on with the same command: what is answered is not asked again")
            print_line(stderr_console(), line)
    raise typer.Exit(code)


@command(help=_("Ask about a sample of users under several settings: which is the cheapest that agrees?"))
@with_options(SettingFlags, ShownFlags)
def calibrate(
    flags: SettingFlags,
    shown: ShownFlags,
    *,
    inputs: Inputs = None,
    users: Annotated[int, typer.Option(min=10, help=_("Users of the sample."))] = 200,
    seed: Seed = 0,
    sizes: Annotated[
        str, typer.Option(help=_("Users a prompt to try, beside the config's own number."))
    ] = "1,4,8,16,32",
    levels: Annotated[str, typer.Option(help=_("Levels of compaction to try."))] = "line,legend,day",
    summaries: Annotated[str, typer.Option(help=_("Kinds of summaries to try."))] = "short,none",
    second: Annotated[
        Path | None, typer.Option(help=_("Config file of a second model; its [llm] alone is taken."))
    ] = None,
    margin: Annotated[
        float,
        typer.Option(
            min=0, max=1, help=_("How far agreement may lie below the model's agreement with itself.")
        ),
    ] = 0.01,
    out: Annotated[
        Path | None, typer.Option(help=_("Folder of the runs. (default: <input stem>.calibration)"))
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help=_("Write the recommended setting into the config file."))
    ] = False,
    yes: Yes = False,
) -> None:
    """Try settings on a sample."""
    signals.interrupt()
    invocation = invocation_of(flags)
    choice = quality.CalibrationChoice(
        users=users,
        seed=seed,
        margin=margin,
        sizes=tuple(_sizes(sizes)),
        levels=_choices("--levels", levels, get_args(Compaction)),
        summaries=_choices("--summaries", summaries, ("short", "none")),
        second=second,
    )
    plan = quality.plan_calibration(
        inputs or (), invocation, choice, out=out, watch=watching(shown), stop=Stop()
    )
    code = 0
    if plan.arms:
        line = views.calibration_announcement(plan)
        _confirm(line, flags, is_free=not plan.model, yes=yes, quiet=shown.quiet)

        def tell(arm: "quality.Arm") -> None:
            if not shown.quiet:
                print_line(stderr_console(), views.arm_line(arm))

        summary = finished(
            lambda stop: quality.acalibrate(
                plan, invocation, watch=watching(shown), stop=stop, confirmed=yes, on_arm=tell
            )
        )
        code = exit_code(summary)
    calibration = quality.calibration_of(plan)
    if shown.json:
        print_json(views.calibration_json(calibration))
    else:
        views.render_calibration(stdout_console(), calibration)
    if calibration.recommended is None:
        print_line(stderr_console(), _("Go on with the same command: what is answered is not asked again"))
    elif calibration.changes:
        _write(calibration.changes, invocation.config_file(), write=write)
    raise typer.Exit(0 if calibration.recommended else code)


def _write(changes: dict[str, dict[str, Any]], named: Path | None, *, write: bool) -> None:
    """Show what the recommended setting changes in the config file, and change it where that is wanted."""
    path = named or Path("eventabs.toml")
    before, after = config.edited_config(path, changes)
    for line in views.config_diff(path, before, after).splitlines():
        print_line(stderr_console(), line)
    if write:
        try:
            path.write_text(after, "utf-8")
        except OSError as error:
            message = _("{path} cannot be written ({error}); change it by hand")
            raise UsageError(message.format(path=path, error=error.strerror)) from None
        print_line(stderr_console(), _("{path} is changed").format(path=path))
    elif before != after:
        print_line(stderr_console(), _("--write writes it into the config file"))


def _sizes(text: str) -> list[int]:
    sizes = [part.strip() for part in text.split(",") if part.strip()]
    if not all(size.isdecimal() and int(size) for size in sizes):
        message = _("--sizes {sizes}: it takes numbers of users, such as 1,4,8,16,32")
        raise UsageError(message.format(sizes=text))
    return [int(size) for size in sizes]


def _choices(flag: str, text: str, known: tuple[Choice, ...]) -> tuple[Choice, ...]:
    named = {part.strip() for part in text.split(",") if part.strip()}
    if unknown := named - set(known):
        message = _("{flag} {unknown}: there are {known}")
        raise UsageError(
            message.format(flag=flag, unknown=", ".join(sorted(unknown)), known=", ".join(known))
        )
    return tuple(choice for choice in known if choice in named)


@command(
    help=_("Let people judge a sample of a run's events: make the page, read its CSV back. Calls nobody.")
)
@with_options(LookFlags)
def review(
    look: LookFlags,
    *,
    checkpoint: Checkpoint,
    sample: Annotated[int, typer.Option(min=1, max=5_000, help=_("Events to judge."))] = 200,
    days: Annotated[
        int,
        typer.Option(
            min=0, max=1_000, help=_("Days of users to look at as a whole, for the events that are missing.")
        ),
    ] = 20,
    by: Annotated[
        Literal["type"] | None,
        typer.Option(help=_("Draw as many events of each type; there is no figure of all events then.")),
    ] = None,
    seed: Annotated[int, typer.Option(help=_("Draws the events; another seed, other events."))] = 0,
    output: Annotated[
        Path | None, typer.Option(help=_("Page to write. (default: in reviews in the run directory)"))
    ] = None,
    read: Annotated[
        list[Path] | None,
        typer.Option(metavar="CSV", help=_("Read a CSV that the page has saved; twice for two reviewers.")),
    ] = None,
) -> None:
    """Make the page of a review, or read what was said on it."""
    signals.interrupt()
    if read:
        _read_back(checkpoint, read, as_json=look.json)
        return
    sheet = quality.draw_review(checkpoint, sample=sample, days=days, by=by or "", seed=seed)
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
    if is_free or yes or flags.max_cost or flags.max_total_tokens:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        message = _(
            "nothing has been asked; confirm with --yes, or limit it with --max-cost or --max-total-tokens"
        )
        raise UsageError(message)
    if not typer.confirm(_("Go on?"), err=True):
        raise typer.Exit(2)
