"""What `evaluate`, `diff` and `calibrate` found: in the terminal, as JSON, and as pages with lanes, or with users side by side."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.text import Text

from eventabs.inspection import Table, batch_tables
from eventabs.interface_language import gettext as _, ngettext
from eventabs.measures import GROUPS, SHAPE_FIGURES, Score, Segment, Sums, share
from eventabs.quality import AskingPlan, Calibration, ComparedRun, Comparison, Evaluation, Side, UserPair
from eventabs.views import words_and_figures as messages
from eventabs.views.output_streams import cut, encode, one_line, picked, print_line
from eventabs.views.panel_status_show import event_text
from eventabs.views.report import colors_of, render_page
from eventabs.views.words_and_figures import NARROW, beside, count, decimals, money, print_tables


def score_tables(scores: Mapping[str, Mapping[str, Score]]) -> Iterator[Table]:
    """Yield for each kind of scores the figures with interval and skill, and what the baselines reach."""
    titles = {
        "groups": _("Events as groups of rows"),
        "wholes": _("Each journey as one group"),
        "journeys": _("Journeys"),
        "spans": _("Events as spans of time"),
    }
    names = {
        "pair_f1": _("pairs of rows, F1"),
        "pair_macro_f1": _("pairs, mean of groups"),
        "bcubed_f1": _("B-cubed, F1"),
        "bcubed_precision": _("B-cubed precision"),
        "bcubed_recall": _("B-cubed recall"),
        "bcubed_macro_f1": _("B-cubed, mean of groups"),
        "whole_f1": _("found whole, F1"),
        "exact_f1": _("found exactly, F1"),
        "best_dice": _("best Dice, mean"),
        "boundary_f1": _("boundaries, F1"),
        "same_place": _("rows placed the same"),
        "same_type": _("same type"),
        "grouped_recall": _("grouped here too"),
        "loose_f1": _("ungrouped rows, F1"),
        "whole": _("found whole"),
        "exact": _("found exactly"),
        "false": _("false ones of those found"),
        "same_kind": _("same kind"),
        "start_f1_0": _("starts, 0 min, F1"),
        "start_f1_1": _("starts, 1 min, F1"),
        "start_f1_5": _("starts, 5 min, F1"),
        "labelled_start_f1": _("1 min and label, F1"),
        "overlap_f1": _("overlap by half, F1"),
        "minutes_f1": _("minutes, F1"),
        "minutes_right": _("minutes with the label"),
    }
    baselines = {
        "rows": _("each row"),
        "action": _("action a day"),
        "object": _("object a day"),
        "pause": _("best pause"),
        "rules": _("rules"),
    }
    for kind, title in titles.items():
        found = {names[key]: score for key, score in scores.get(kind, {}).items() if key in names}
        figures = []
        for name, score in found.items():
            bounds = "" if score.low is None else f"{score.low:.3f} – {score.high:.3f}"
            skill = "" if score.skill is None else f"{score.skill:+.3f}"
            figures.append((name, decimals(score.value), bounds, skill))
        yield Table(title, ("", _("value"), _("95 % interval"), _("skill")), figures)
        with_any = {key for score in found.values() for key in score.baselines}
        reached = [key for key in baselines if key in with_any]
        beside = [(name, *map(score.baselines.get, reached)) for name, score in found.items() if reached]
        yield Table(_("Baselines"), ("", *(baselines[key] for key in reached)), beside)


def shape_names() -> dict[str, str]:
    """Name the figures that say how coarse events are."""
    return {
        "rows_placed": _("rows in an event"),
        "rows_per_event": _("rows an event"),
        "one_row_events": _("events of one row"),
        "doubtful": _("doubtful events"),
        "events_per_user_day": _("events a user-day"),
        "days_without_event": _("user-days without an event"),
        "minutes_covered": _("minutes of the rows in an event"),
    }


def shape_fields(shape: Sums) -> dict[str, float | None]:
    """Return a shape as JSON has it: what is counted, and the figures of it."""
    return {**shape, **{name: figure(shape) for name, figure in SHAPE_FIGURES.items()}}


DAY: Final = 86_400
_MOST_DAYS: Final = 2_000  # on a page
_LANE: Final = 960  # pixels of a day, at least
_LONGEST: Final = 18  # characters of a name on a lane


def render_evaluation(console: Console, evaluation: Evaluation) -> None:
    """Print the figures, what trivial programs score, and what is told apart badly."""
    print_tables(console, _evaluation_tables(evaluation), _evaluation_notes(evaluation))


def _evaluation_tables(evaluation: Evaluation) -> list[Table]:
    unit = _("minutes") if evaluation.unit == "minutes" else _("rows")
    shapes = [
        (name, *(SHAPE_FIGURES[key](shape) for shape in evaluation.shapes.values()))
        for key, name in shape_names().items()
        if evaluation.shapes
    ]
    labels = [tuple((row | {"amount": round(row["amount"])}).values()) for row in evaluation.by_label[:12]]
    wrong = [(pair, amount) for pair, amount in evaluation.confusion.items() if pair[0] != pair[1]]
    confused = [
        (label or _("no label"), found or _("no event"), round(amount))
        for (label, found), amount in sorted(wrong, key=lambda each: -each[1])[:8]
    ]
    return [
        *score_tables(evaluation.scores),
        Table(_("Shape"), ("", _("events"), _("labels"))[: 1 + len(evaluation.shapes)], shapes),
        Table(_("Label"), ("", unit, _("precision"), _("recall"), _("F1")), labels),
        Table(_("Most confused"), ("", _("taken for"), unit), confused),
    ]


def evaluation_json(evaluation: Evaluation) -> str:
    """Return the figures as one line of JSON: shares from 0 to 1, None where a figure is not defined."""
    scores = {"groups": {}, "wholes": {}, "journeys": {}, "spans": {}, **evaluation.scores}
    fields = {
        "users": len(evaluation.by_user),
        "events": sum(row.events for row in evaluation.by_user),
        "labels": sum(row.labels for row in evaluation.by_user),
        "figures": scores["groups"] | scores["spans"],
        "counts": evaluation.totals,
        "shapes": {kind: shape_fields(shape) for kind, shape in evaluation.shapes.items()},
        "by_user": [picked("user_id events labels", row) | row.figures for row in evaluation.by_user],
        "confusion": [
            {"label": label or None, "found": found or None, evaluation.unit: round(amount, 2)}
            for (label, found), amount in evaluation.confusion.items()
        ],
    }
    keys = "users events labels unused figures wholes journeys counts shapes unit by_label by_user confusion"
    return encode(picked(keys, fields, scores, evaluation))


def render_evaluation_page(evaluation: Evaluation) -> str:
    """Return a page with the figures and, for each user and day, labels, events and journeys as lanes."""
    drawn = Counter(segment.label for row in evaluation.by_user for lane in row.lanes for segment in lane)
    names = [name for name, _uses in messages.most_frequent(drawn)]
    colors = colors_of(names)
    lanes = (_("labels"), _("events"), _("labels, journeys"), _("events, journeys"))
    days = []
    for row in evaluation.by_user:
        spans = ((int(each.start // DAY), int(each.end // DAY)) for lane in row.lanes for each in lane)
        for day in sorted({day for first, last in spans for day in range(first, last + 1)}):
            bars = zip(lanes, (_bars(lane, day, colors) for lane in row.lanes), strict=False)
            shown = [lane for lane in bars if lane[1] or lane[0] in lanes[:2]]
            date = datetime.fromtimestamp(day * DAY, UTC).date().isoformat()
            days.append({"user": row.user_id, "day": date, "lanes": shown})
    facts, *notes = _evaluation_notes(evaluation)
    return render_page(
        "evaluation.html.j2",
        ["pages.css"],
        ["chosen.js"],
        facts=facts,
        section={"tables": _evaluation_tables(evaluation), "notes": notes},
        days=days[:_MOST_DAYS],
        more_days=max(0, len(days) - _MOST_DAYS),
        users=[
            (row.user_id, f"{row.user_id} · {decimals(row.worth)} · {messages.events(row.events)}")
            for row in evaluation.by_user
        ],
        types=names,
        legend=list(colors.items()),
    )


def _evaluation_notes(evaluation: Evaluation) -> Iterator[str]:
    rows = evaluation.by_user
    users, events = messages.users(len(rows)), messages.events(sum(row.events for row in rows))
    labels = count(sum(row.labels for row in rows))
    yield _("{users}, {events} against {labels} labels").format(users=users, events=events, labels=labels)
    if sums := evaluation.totals.get("groups"):
        template = _(
            "{whole} of {wanted} labelled groups are found whole, {exact} exactly; {false} of {events} match none"
        )
        false, events = count(int(sums["found"] - sums["whole"])), messages.events(int(sums["found"]))
        yield template.format(false=false, events=events, **_counted(sums))
        yield _(
            "Skill: (value - best baseline) / (1 - best baseline). The best pause is fitted on these labels: no pause does better"
        )
    if sums and "journeys" in evaluation.scores:
        wholes = _counted(evaluation.totals["wholes"], "journeys_")
        yield _("{whole} of {wanted} labelled journeys are found whole, {exact} exactly").format(**wholes)
        if wholes["found"] != "0":
            yield _("{false} of {found} journeys match none").format(**wholes)
    left_out = {
        "unknown_users": _("{users} with labels are not in the run: compare the ids of both"),
        "without_row": _(
            "Labels of rows that match no row: {count}; compare their times and lines with the input (a line that several files have needs its time)"
        ),
        "without_rows": _("Labels without a row in their time: {count}; compare their times with the input"),
        "doubled": _(
            "Labels that are there twice: {count}; the first counts, take the others out of the file"
        ),
        "outside": _("{events} before the first label or after the last are left out"),
        "without_labels": _("{users} without labels are left out"),
    }
    for name in filter(evaluation.unused.get, left_out):
        yield messages.filled(left_out[name], evaluation.unused[name])
    if not sums:
        yield _("No baselines: they need the behaviors; name the run directory instead of events.jsonl")
    elif "same_type" not in evaluation.scores["groups"]:
        yield _(
            "Most labels are no type of an event, so types are not compared: name labels as in [vocabulary] types"
        )
    if all(score.low is None for scores in evaluation.scores.values() for score in scores.values()):
        yield _("No intervals: fewer than ten users have labels")


def _counted(sums: Sums, kind: str = "") -> dict[str, str]:
    names = ("whole", "wanted", "exact", "false", "found")
    return {name: count(int(sums[kind + name])) for name in names if kind + name in sums}


def _bars(segments: Iterable[Segment], day: int, colors: Mapping[str, str]) -> list[tuple[Any, ...]]:
    """Return the bars of a day, counted from 1970-01-01, as lanes.html.j2 has them: in rows, so that no name lies over another.

    Left ends and the width are in percent of the day; a type without a color of its own is told by its name.
    """
    begin, end = day * DAY, (day + 1) * DAY
    drawn: list[tuple[Any, ...]] = []
    free: list[float] = []  # pixels from which on each row is
    for segment in sorted(each for each in segments if each.start < end and each.end >= begin):
        first, last = max(segment.start, begin), min(segment.end, end)
        left, width = 100 * (first - begin) / DAY, max(0.4, 100 * (last - first) / DAY)
        label = one_line(segment.label)
        name = label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"
        needs = sum(7.0 if each.isascii() else 12.5 for each in name) + 6.0  # pixels; Chinese is wider
        pixels = min(left / 100 * _LANE, _LANE - needs)  # the name's; it does not run over the end of the day
        row = next((place for place, there in enumerate(free) if there <= pixels), len(free))
        free[row:] = [max((left + width) / 100 * _LANE, pixels + needs), *free[row + 1 :]]
        times = "–".join(f"{datetime.fromtimestamp(at, UTC):%H:%M}" for at in segment[:2])
        color = colors.get(segment.label, "kx")
        drawn.append((row, left, width, color, label, name, 100 * pixels / _LANE, f"{times} {label}"))
    return drawn


RUN_NAMES: Final = ("A", "B")
DIFFERS: Final = "≠"
_MOST_LINES: Final = 40  # of a user, in the terminal


def render_comparison(console: Console, comparison: Comparison, *, most: int) -> None:
    """Print what differs in the settings, the figures, and `most` users side by side."""
    section = _comparison_section(comparison, 160)
    print_line(console, *section["headlines"], style="bold")
    console.print()
    print_tables(console, section["tables"])
    side_by_side = console.width >= NARROW
    for pair in comparison.most_different[:most]:
        print_line(console, _user_line(pair), style="bold")
        lines = _lines(pair)
        table = beside([_("behaviors"), *RUN_NAMES] if side_by_side else [""])
        for day, of_day in groupby(lines[:_MOST_LINES], key=lambda line: line.day):
            table.add_row("", Text(one_line(day), style="bold"))
            for line in of_day:
                cells = [line.text, *line.events]
                if not side_by_side:
                    told = zip(RUN_NAMES, line.events, strict=True)
                    cells = ["\n".join((line.text, *(f"  {name} {text}" for name, text in told if text)))]
                table.add_row(DIFFERS if line.differs else "", *map(Text, cells))
        console.print(table)
        if (left_out := len(lines) - _MOST_LINES) > 0:
            print_line(console, _("{count} more rows; the page of --output has them").format(count=left_out))
        console.print()
    print_line(console, *([section["mark"]] if comparison.most_different[:most] else []), *section["notes"])


def _comparison_section(comparison: Comparison, most: int) -> dict[str, Any]:
    """Return headlines, tables, notes and what the mark says: all but the users. `most`: characters of a setting that are shown."""
    both = tuple(zip(RUN_NAMES, (comparison.a.run, comparison.b.run), strict=True))
    template = _("{run}: {model}, {out}")
    headlines = [template.format(run=name, model=run.endpoint.title, out=run.out) for name, run in both]
    kept = {"rows": _("rows, with event or journey and its type"), "journeys": _("journeys found whole")}
    settings = [(each["key"], cut(each["a"], most), cut(each["b"], most)) for each in comparison.settings]
    types = [tuple(each.values()) for each in comparison.types[:8]]
    stays = [
        (kept[key], decimals(figure.value), messages.at_least(figure.low))
        for key, figure in comparison.kept.items()
    ]
    other = _("in B, of the same behaviors")
    mark = _("{mark} an event without an equal one in the other run: the same labels and behaviors")
    return {
        "headlines": headlines,
        "tables": [
            Table(_("Setting"), ("", *RUN_NAMES), settings, words=RUN_NAMES),
            Table(_("Stays, of a user's"), ("", _("value"), _("exact bound, 95 %")), stays),
            *score_tables(comparison.scores),
            Table(_("Each run"), ("", *RUN_NAMES, _("change")), list(_run_rows(comparison))),
            Table(_("Type in A"), ("", other, _("behaviors")), types, words=[other]),
            # the built-in rules do not see who else is in a batch
            *batch_tables({name: run for name, run in both if run.endpoint.model}),
        ],
        "notes": list(_comparison_notes(comparison)),
        "mark": mark.format(mark=DIFFERS),
    }


def comparison_json(comparison: Comparison) -> str:
    """Return the comparison as one line of JSON: shares from 0 to 1, None where a figure is not defined."""
    runs = {"a": _run_fields(comparison.a), "b": _run_fields(comparison.b)}
    scores = {"figures": comparison.scores["groups"], "wholes": {}, "journeys": {}, **comparison.scores}
    keys = "users shared_users other_rows same_input a b settings figures wholes journeys kept drawn types most_different"
    fields = {"drawn": _drawn(comparison), "users": comparison.tally.users}
    return encode(picked(keys, runs, fields, scores, comparison))


def render_comparison_page(comparison: Comparison) -> str:
    """Return a page with the figures, and the users that differ most side by side."""
    pairs = [(pair, _lines(pair)[:300]) for pair in comparison.most_different]
    types = Counter(kind for _pair, lines in pairs for line in lines for kind in line.types if kind)
    names = [name for name, _uses in messages.most_frequent(types)]
    return render_page(
        "comparison.html.j2",
        ["pages.css"],
        ["chosen.js"],
        section=_comparison_section(comparison, 800),
        users=[(pair.user_id, _user_line(pair), lines) for pair, lines in pairs],
        types=names,
        colors=dict.fromkeys(names, "") | colors_of(names),
    )


def _comparison_notes(comparison: Comparison) -> Iterator[str]:
    both = comparison.a, comparison.b
    if not comparison.same_input:
        message = _("The files of both inputs are not the same: {a} in A, {b} in B, {both} in both")
        users = {"a": both[0].run.users, "b": both[1].run.users, "both": comparison.shared_users}
        yield message.format(**{name: messages.users(number) for name, number in users.items()})
    message = _("{users} with other behaviors in A than in B: matched by time and content")
    yield from messages.counted((message, comparison.other_rows))
    for name, run in zip(RUN_NAMES, both, strict=True):
        if left_out := run.run.done - comparison.tally.users:
            yield messages.filled(_("{users} that only {run} has done are left out"), left_out, run=name)
        if run.run.pending:
            yield messages.filled(_("{run} is not complete: {users} still to do"), run.run.pending, run=name)
        if run.settings > 1:
            message = _("{run} was done under {number} different settings; shown are the last ones")
            yield message.format(run=name, number=run.settings)
    if not comparison.settings:
        yield _("The settings that answers depend on are the same")
    if _drawn(comparison) is None:
        yield _("No intervals: fewer than ten users were compared")
    elif _drawn(comparison) == "groups":
        yield _("The intervals draw 500 groups of users")


def _drawn(comparison: Comparison) -> str | None:
    if all(score.low is None for score in comparison.scores["groups"].values()):
        return None
    return "groups" if comparison.tally.users > GROUPS else "users"


_RUN_KEYS: Final = """out provider model host cost currency settings users done failed pending events journeys calls retries
    prompt_tokens completion_tokens"""
_LEAST_MOVED: Final = 0.05  # percent, that are shown


def _run_rows(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    """Yield each figure: its name, what it is in A and in B, and by what share B is above A or below."""
    both = comparison.a, comparison.b
    for (name, before, written, always), (_name, after, *_same) in zip(*map(_figures, both), strict=True):
        if always or before or after:
            shown = ("-" if value is None else written(value) for value in (before, after))
            yield name, *shown, _change(before, after)
    a, b = (each.run for each in both)
    if a.endpoint.model or b.endpoint.model:
        costs = ("-" if run.paid is None else money(run.paid, run.endpoint.currency) for run in (a, b))
        yield _("cost"), *costs, _change(a.paid, b.paid) if a.endpoint.currency == b.endpoint.currency else ""


def _change(before: float | None, after: float | None) -> str:
    """Return by how many percent a figure has moved, "" where it has not or where that says nothing."""
    if not before or after is None:
        return ""
    moved = 100 * (after / before - 1)
    return f"{moved:+,.1f} %" if abs(moved) >= _LEAST_MOVED else ""


def _figures(run: ComparedRun) -> Iterator[tuple[str, float | None, Callable[[Any], str], bool]]:
    """Yield what is counted in a run, how it is written, and whether it is shown where neither run has some."""
    counts = run.run
    yield _("users done"), counts.done, count, True
    yield _("events"), counts.events, count, True
    yield _("journeys"), counts.journeys, count, True
    for key, name in shape_names().items():  # some are no shares
        yield name, SHAPE_FIGURES[key](run.shape), "{:,.2f}".format if "_per_" in key else decimals, True
    yield _("minor rows"), share(counts.minor, counts.answered), decimals, True
    yield _("unplaced rows"), share(counts.unplaced, counts.answered), decimals, True
    yield _("rows under another user's header"), counts.misfiled, count, False
    yield _("rows named twice"), counts.repeated, count, False
    yield _("events with types outside the vocabulary"), counts.outside, count, False
    yield _("missed events added by rule"), counts.missed, count, False
    yield _("calls"), counts.calls, count, True
    prompt = _("prompt tokens"), _("prompt tokens a user"), _("prompt tokens an event")
    completion = _("completion tokens"), _("completion tokens a user"), _("completion tokens an event")
    for names, tokens in ((prompt, counts.prompt_tokens), (completion, counts.completion_tokens)):
        yield names[0], tokens, count, False
        yield names[1], share(tokens, counts.done), "{:,.1f}".format, False
        yield names[2], share(tokens, counts.events), "{:,.1f}".format, False


def _run_fields(run: ComparedRun) -> dict[str, Any]:
    state = run.run
    return {
        **picked(_RUN_KEYS, {"settings": run.settings, "cost": state.paid}, state.endpoint, state),
        **{
            f"{tokens}_per_{name}": share(getattr(state, tokens), getattr(state, of))
            for tokens in ("prompt_tokens", "completion_tokens")
            for name, of in (("user", "done"), ("event", "events"))
        },
        "event_counts": state.event_counts,
        "answers": state.answers,
        "compared": shape_fields(run.shape),
    }


class _Line(NamedTuple):
    """A behavior, or a stretch of equal ones, with the events of A and B that it is in. `differs`: one has no equal one."""

    day: str
    text: str
    events: tuple[str, str]
    types: tuple[str, str] = ("", "")
    differs: bool = False


def _user_line(pair: UserPair) -> str:
    facts = [messages.behaviors(len(pair.behaviors))]
    for name, side in zip(RUN_NAMES, (pair.a, pair.b), strict=True):
        facts.append(messages.filled(_("{events} in {run}"), len(side.events), run=name))
    facts.append(_("{number} equal").format(number=count(len(pair.a.events) - len(pair.a.unequal))))
    return _("{state}: {facts}").format(state=pair.user_id, facts=messages.listed(facts))


def _lines(pair: UserPair) -> list[_Line]:
    """Return the lines that differ with those around them, and for each stretch between how long it is."""
    both = (*pair.a.events, *pair.b.events)
    ((usual, _uses),) = Counter(event["category"] for event in both).most_common(1)
    sides = [_told(side, usual) for side in (pair.a, pair.b)]
    lines = []
    for place, (day, text) in enumerate(zip(pair.days, pair.behaviors, strict=True)):
        events, types, differ = zip(*(side.get(place, ("", "", False)) for side in sides), strict=True)
        lines.append(_Line(day, one_line(text), events, types, any(differ)))
    near = {place + step for place, line in enumerate(lines) if line.differs for step in (-1, 0, 1)}
    shown: list[_Line] = []
    for is_near, places in groupby(range(len(lines)), key=near.__contains__):
        stretch = [lines[place] for place in places]
        gap = _Line(stretch[0].day, _("⋮ {count} alike").format(count=count(len(stretch))), ("", ""))
        shown += stretch if is_near or len(stretch) == 1 else [gap]
    return shown


def _told(side: Side, usual: str) -> dict[int, tuple[str, str, bool]]:
    """Return by behavior the event, with its journey, that begins with it, or which one goes on, its type, and whether it has no equal."""
    told: dict[int, tuple[str, str, bool]] = {}
    journeys = {journey["id"]: f"> {journey['kind']} {journey['name']}" for journey in side.journeys}
    for place, event in enumerate(side.events):
        summary = journeys.get(event["journey"], "")
        # the category that most events have is not named
        named = event_text(event | {"summary": summary, "category": event["category"].replace(usual, "", 1)})
        first, *others = sorted(event["behaviors"])
        told[first] = named, event["type"], place in side.unequal
        told |= dict.fromkeys(others, (f"│ {one_line(event['type'])}", event["type"], place in side.unequal))
    return told


def announcement(plan: AskingPlan) -> str:
    """Say in one line what is going to be asked, and what it takes."""
    prompt, completion = count(plan.prompt_tokens), count(plan.completion_tokens)
    tokens = _("about {prompt} tokens in and {completion} out").format(prompt=prompt, completion=completion)
    facts = [ngettext("{count} call", "{count} calls", plan.calls), tokens]
    if plan.endpoint.model and plan.cost is not None:
        facts.append(_("about {cost}").format(cost=money(plan.cost, plan.endpoint.currency)))
    return _("{users} of {all} asked again, at most {sizes} a prompt, by {model}: {facts}").format(
        users=count(plan.users),
        all=messages.users(plan.users_in_run),
        sizes=", ".join(count(arm.users) for arm in plan.arms),
        model=_("{model} at {host}").format(model=plan.endpoint.model, host=plan.endpoint.host)
        if plan.endpoint.model
        else _("the built-in rules"),
        facts=messages.listed(facts),
    )


def render_calibration(console: Console, calibration: Calibration) -> None:
    """Print what each size brought, and the lines of the config file that set the recommended one."""
    plan, best = calibration.plan, calibration.recommended
    columns = (_("users a prompt"), _("rows a call"), _("done"), _("calls"), _("tokens"), _("cost"))
    rows = []
    for facts in calibration.arms:
        counts, done = facts.counts, messages.share(facts.counts.done, facts.counts.users)
        tokens = counts.prompt_tokens + counts.completion_tokens
        cost = "-" if facts.cost is None else money(facts.cost, plan.endpoint.currency)
        size = facts.arm.path.name
        rows.append((size, facts.rows, done, counts.calls, tokens, cost, facts.kept, facts.lacks))
    template = _(
        "Allowed: {margin}, below what two answers with one user a prompt have in common, as one exact bound for all sizes"
    )
    notes = [template.format(margin=f"{plan.margin:g}")]
    if best is None:
        notes.append(_("The calibration is not complete: nothing is recommended yet"))
    elif not calibration.changes:
        notes.append(_("The settings have the best size: nothing is to be changed"))
    else:
        notes.append(_("Recommended, for eventabs.toml:"))
        for section, values in calibration.changes.items():
            notes += (f"[{section}]", *(f"{key} = {value}" for key, value in values.items()))
        if best.arm.users == 1:
            notes += [_("No more users a prompt are shown to be within it; more users would tell (--users)")]
    print_tables(console, [Table("", (*columns, _("as one user a prompt"), _("lacks at most")), rows)], notes)


def calibration_json(calibration: Calibration) -> str:
    """Return the calibration as one line of JSON: shares from 0 to 1, None where a figure is not defined."""
    plan, best = calibration.plan, calibration.recommended
    of_arm = "done failed pending calls retries prompt_tokens completion_tokens cost kept lacks"
    fields = {
        "users": calibration.arms[0].counts.users,
        "complete": best is not None,
        "arms": [
            {
                "name": facts.arm.path.name,
                "out": str(facts.arm.path),
                "users_a_prompt": facts.arm.users,
                "rows_a_call": facts.rows,
                **picked(of_arm, facts.counts, facts),
            }
            for facts in calibration.arms
        ],
        "recommended": best and best.arm.path.name,
    }
    keys = "users_in_run users margin complete currency arms recommended changes"
    return encode(picked(keys, fields, plan.endpoint, plan, calibration))
