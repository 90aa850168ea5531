"""A review: the page on which people judge, and what they said, in the terminal and as JSON."""

import shlex
from collections.abc import Iterator
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventabs.language import gettext as _
from eventabs.quality import Review, Reviewer, ReviewResult, SampledDay, SampledEvent, Sheet
from eventabs.views import messages
from eventabs.views.console import encode, one_line, print_command, print_line
from eventabs.views.messages import count
from eventabs.views.quality import decimals, figure_table
from eventabs.views.report.page import render_page
from eventabs.views.report.records import zone_note

_MOST_TYPES: Final = 12  # in the terminal
_MOST_DIFFERENT: Final = 10
_SHOWN: Final = 300  # characters of a text


def render_review_page(sheet: Sheet) -> str:
    """Return the page."""
    review = sheet.review
    sections = list(_sections(review))
    return render_page(
        "review.html.j2",
        ["review.css"],
        ["review.js"],
        facts=list(_facts(sheet, sum(len(items) for *_names, items in sections))),
        meanings=_meanings(),
        keys=_keys(),
        command=_reading_back(sheet),
        data=encode(
            {
                "review": review.id,
                "types": [_text(name) for name in review.types],
                "sections": [(name, note, len(items)) for name, note, items in sections],
                "items": [_item(item, sheet) for *_names, items in sections for item in items],
                "words": _words(),
            }
        ),
    )


def _facts(sheet: Sheet, every: int) -> Iterator[str]:
    """Yield what there is to judge: the parts are the sections, which add up to what the page counts."""
    review = sheet.review
    drawn = sum(event.drawn and event.item.startswith("E") for event in review.events)
    yield _("{events} of {of}").format(events=messages.events(drawn), of=count(review.events_in_run))
    yield _("as many of each type") if review.by else _("a simple random sample")
    yield _("in all {count} to judge").format(count=count(every))
    yield zone_note(sheet.timezone, sheet.offsets)
    yield review.id


def _sections(review: Review) -> Iterator[tuple[str, str, list[SampledEvent | SampledDay]]]:
    """Yield what is judged in order: names of parts, what their figures say, and their items; each item stands once."""
    by_item = {event.item: event for event in review.events}
    drawn = [event for event in review.events if event.drawn]
    doubtful = [event for event in review.events if event.doubts and not event.drawn]
    days: list[SampledEvent | SampledDay] = []
    for day in review.days:
        beside = (by_item[item] for item in day.events)
        days += (event for event in beside if not event.drawn and not event.doubts)
        days.append(day)
    parts: tuple[tuple[str, str, list[SampledEvent | SampledDay]], ...] = (
        (
            _("The most doubtful first"),
            _("Chosen, not drawn: what you say here mends events, and gives no bound for the others."),
            [*doubtful],
        ),
        (
            _("Events, as many of each type") if review.by else _("Events, a simple random sample"),
            _("In random order: the bound is of these alone, and holds for all events of the run."),
            [event for event in drawn if event.item.startswith("E")],
        ),
        (
            _("Journeys, a simple random sample"),
            _(
                "In random order: their bound is of these alone. Type: the kind; span: the rows that are in it."
            ),
            [event for event in drawn if event.item.startswith("J")],
        ),
        (_("Days as a whole"), _("For the events that are missing."), days),
    )
    yield from (part for part in parts if part[2])


def _item(item: SampledEvent | SampledDay, sheet: Sheet) -> dict[str, Any]:
    shared = {
        "item": item.item,
        "id": item.user_id,
        "user": _text(item.user_id),
        "profile": _text(sheet.profiles[item.user_id]),
        "lines": [
            (line.number, line.day, _text(line.text), _text(line.type), line.event)
            for line in sheet.lines[item.item]
        ],
    }
    if isinstance(item, SampledDay):
        return shared | {"day": item.day}
    return shared | {
        "type": _text(item.type),
        "category": _text(messages.category(item.category)),
        "start": _text(item.start),
        "end": _text(item.end),
        "when": _text(_when(item)),
        "summary": _text(item.summary),
        "behaviors": item.behaviors,
        "doubts": [_doubts()[name] for name in item.doubts],
    }


def _when(event: SampledEvent) -> str:
    start, end = event.start[:16].replace("T", " "), event.end[:16].replace("T", " ")
    if start == end:
        return start
    return f"{start} – {end[11:] if start[:10] == end[:10] else end}"


def _text(text: str) -> str:
    """Make control and bidi characters visible, and cut what no page can show."""
    return one_line(text[:_SHOWN])


def _doubts() -> dict[str, str]:
    return {"moved": _("moved in the audit"), "unsure": _("not sure"), "unplaced": _("in no event")}


def _meanings() -> list[tuple[str, str, str, str]]:
    """Return the verdicts: key, name in the CSV, in words, what it means."""
    return [
        (
            "1",
            "right",
            _("right"),
            _("it happened, the type fits, and it covers the behaviors that it should"),
        ),
        (
            "2",
            "type",
            _("wrong type"),
            _("something happened there, but it is called wrongly; write how it should be called"),
        ),
        ("3", "span", _("wrong span"), _("the type fits, but it takes in too much or too little")),
        ("4", "none", _("nothing there"), _("no such thing happened: these behaviors are no event")),
    ]


def _keys() -> list[tuple[str, str, str]]:
    """Return the keys of the buttons below the list: id, key, what it does."""
    return [
        ("before", "←", _("screen back")),
        ("after", "→", _("next screen")),
        ("open", "N", _("next open one")),
        ("all", "A", _("rest of the screen: right")),
        ("none", "X", _("rest of the screen: nothing there")),
        ("undo", "Z", _("undo")),
        ("clear", "⌫", _("clear")),
    ]


def _words() -> dict[str, str]:
    """Return the words of the script."""
    return {name: text for _key, name, text, _meaning in _meanings()} | {
        "count": _("{done} of {of} judged"),
        "place": _("{section}: {first} to {last} of {of}"),
        "nothing": _("in no event"),
        "missing": _("Is an event missing on this day?"),
        "pick": _(
            "Move with ↑ and ↓, pick its behaviors with the space bar, add it with Enter. 1: nothing more is missing."
        ),
        "done": _("nothing more is missing"),
        "add": _("add a missing event"),
        "remove": _("remove"),
        "rightType": _("What should it be called?"),
        "missingType": _("What should the missing event be called?"),
        "behaviors": _("behaviors"),
        "reset": _("Forget all verdicts of this review in this browser?"),
    }


def render_review(console: Console, result: ReviewResult) -> None:
    """Print the figures of each reviewer, and where two differ."""
    for reviewer in result.reviewers:
        for table in (_figures(reviewer, result), _types(reviewer), _confused(reviewer)):
            if table.row_count:
                console.print(table, "", sep="\n")
    if result.agreement and result.agreement.differ:
        console.print(_differ(result), "", sep="\n")
    for line in _notes(result):
        print_line(console, line)


def render_next_step(console: Console, sheet: Sheet) -> None:
    """Say what is to be done with the page."""
    print_line(
        console, _("Open it in a browser and judge; the page keeps what you say, and saves it as a CSV")
    )
    print_command(console, _("Afterwards: "), _reading_back(sheet))


def _reading_back(sheet: Sheet) -> str:
    """Return the command that reads the page's CSV; it is wherever the browser saves files."""
    return f"eventabs review {shlex.quote(one_line(str(sheet.out)))} --read {sheet.review.id}.csv"


def drawn_json(sheet: Sheet, page: str) -> str:
    """Return what was drawn, and where its page is, as one line of JSON."""
    return encode(_drawn_fields(sheet.review) | {"page": page})


def _drawn_fields(review: Review) -> dict[str, Any]:
    drawn = [event.item[0] for event in review.events if event.drawn]
    return {
        "review": review.id,
        "seed": review.seed,
        "by": review.by or None,
        "events_in_run": review.events_in_run,
        "journeys_in_run": review.journeys_in_run,
        "days_in_run": review.days_in_run,
        "events_a_user_day": review.events_in_run / review.days_in_run,
        "drawn": drawn.count("E"),
        "journeys": drawn.count("J"),
        "doubtful": sum(bool(event.doubts) and not event.drawn for event in review.events),
        "days": len(review.days),
    }


def review_json(result: ReviewResult) -> str:
    """Return the figures as one line of JSON: shares from 0 to 1, None where a figure is not defined."""
    agreement = result.agreement
    fields = _drawn_fields(result.review) | {
        "out": result.out,
        "reviewers": list(map(_reviewer_fields, result.reviewers)),
        "agreement": agreement
        and {
            "judged": agreement.judged,
            "same": agreement.same,
            "kappa": agreement.kappa,
            "differ": [
                {
                    "item": each.event.item,
                    "user_id": each.event.user_id,
                    "type": each.event.type,
                    "start": each.event.start,
                    "first": each.first,
                    "second": each.second,
                }
                for each in agreement.differ
            ],
        },
    }
    return encode(fields)


def _reviewer_fields(reviewer: Reviewer) -> dict[str, Any]:
    whole, journeys, doubtful = (
        {key: value for key, value in judged._asdict().items() if key != "name"}
        for judged in (reviewer.all, reviewer.journeys, reviewer.doubtful)
    )
    days = reviewer.days._asdict()
    return {
        "file": reviewer.file,
        **whole,
        "journeys": journeys,
        "doubtful": doubtful,
        "left": reviewer.left,
        "renamed": reviewer.renamed,
        "by_type": [
            {"type": row.name, **{k: v for k, v in row._asdict().items() if k != "name"}}
            for row in reviewer.by_type
        ],
        "reviewed_days": days | {name: days[name]._asdict() for name in ("recall", "found")},
        "confused": [
            {"type": one, "meant": other, "events": times} for one, other, times in reviewer.confused
        ],
    }


def _figures(reviewer: Reviewer, result: ReviewResult) -> Table:
    whole, days = reviewer.all, reviewer.days
    table = figure_table(
        _("Review by {file}, {events}").format(
            file=one_line(reviewer.file), events=messages.events(whole.judged)
        ),
        _("value"),
        _("bounds, 95 %"),
    )
    if not result.review.by:
        table.add_row(_("right"), decimals(whole.precision), messages.at_least(whole.at_least))
    for name, number in (
        (_("wrong type"), whole.wrong_type),
        (_("wrong span"), whole.wrong_span),
        (_("nothing there"), whole.nothing),
    ):
        table.add_row(name, count(number), "")
    if (journeys := reviewer.journeys).judged:
        table.add_row(
            _("journeys right, of {count}").format(count=count(journeys.judged)),
            decimals(journeys.precision),
            messages.at_least(journeys.at_least),
        )
    if (doubtful := reviewer.doubtful).judged:
        table.add_row(
            _("doubtful ones right, of {count}").format(count=count(doubtful.judged)),
            count(doubtful.right),
            "",
        )
    if days.days:
        for name, figure in (
            (_("found and right, of what happened (recall)"), days.recall),
            (_("found at all, of what happened"), days.found),
        ):
            table.add_row(name, decimals(figure.value), messages.at_least(figure.low))
    return table


def _types(reviewer: Reviewer) -> Table:
    table = figure_table(_("Type"), _("events"), _("right"), _("bounds, 95 %"))
    for row in reviewer.by_type[:_MOST_TYPES]:
        table.add_row(
            Text(one_line(row.name)),
            count(row.judged),
            decimals(row.precision),
            messages.at_least(row.at_least),
        )
    return table


def _confused(reviewer: Reviewer) -> Table:
    table = figure_table(_("Type"), _("meant"), _("events"))
    for one, other, times in reviewer.confused[:_MOST_DIFFERENT]:
        table.add_row(Text(one_line(one)), Text(one_line(other)), count(times))
    return table


def _differ(result: ReviewResult) -> Table:
    table = figure_table(_("The two differ"))
    for name in (_("event"), _("first"), _("second")):
        table.add_column(name, overflow="fold")
    said = {"right": _("right"), "type": _("wrong type"), "span": _("wrong span"), "none": _("nothing there")}
    for each in result.agreement.differ[:_MOST_DIFFERENT] if result.agreement else ():
        event = each.event
        told = f"{event.user_id} {_when(event)} {event.type}"
        table.add_row(event.item, Text(one_line(told)), said[each.first], said[each.second])
    return table


def _notes(result: ReviewResult) -> Iterator[str]:
    review = result.review
    if review.by:
        yield _(
            "As many events of each type were drawn: each row is of its type, and there is no figure of all events"
        )
    else:
        message = _("The bound is exact for a random sample of any number of events; the run has {events}")
        yield message.format(events=count(review.events_in_run))
    for reviewer in result.reviewers:
        yield from _notes_on(reviewer)
        if reviewer.doubtful.judged:
            yield _("The doubtful ones were chosen: they are in no figure of all events, and give no bound")
    if (found := result.agreement) is not None:
        message = _("Of {judged} judged by both, {same} have the same verdict; Cohen's kappa {kappa}")
        kappa = _("is not defined: both say the same one thing of everything") if found.judged else "-"
        shown = kappa if found.kappa is None else f"{found.kappa:.2f}"
        yield message.format(judged=messages.events(found.judged), same=count(found.same), kappa=shown)


def _notes_on(reviewer: Reviewer) -> Iterator[str]:
    file, whole, days = one_line(reviewer.file), reviewer.all, reviewer.days
    if days.days:
        message = _("{file}: {real} happened on the days looked at ({days}), {missing} of them missing")
        yield message.format(
            file=file, real=messages.events(days.real), days=count(days.days), missing=count(days.missing)
        )
    if whole.skipped:
        message = _("{file}: {events} without a verdict were passed over; for the bounds they are wrong")
        yield message.format(file=file, events=messages.events(whole.skipped))
    if reviewer.left:
        message = _(
            "{file}: {events} of the sample are not judged yet; those before them are a random sample too"
        )
        yield message.format(file=file, events=messages.events(reviewer.left))
    if days.unfinished:
        message = _("{file}: {count} days with events that have no verdict are left out")
        yield message.format(file=file, count=count(days.unfinished))
    if reviewer.renamed:
        message = _(
            "{file}: a spreadsheet has changed the user of {count} rows (leading zeros); the items are right"
        )
        yield message.format(file=file, count=count(reviewer.renamed))
