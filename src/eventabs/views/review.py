"""A review: the page on which people judge, and what they said, in the terminal and as JSON."""

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.console import Console

from eventabs.interface_language import gettext as _
from eventabs.quality import Review, Reviewer, ReviewResult, SampledDay, SampledEvent, Sheet
from eventabs.views import words_and_figures as messages
from eventabs.views.output_streams import encode, one_line, picked, print_command, print_line
from eventabs.views.quality import figure_table, print_tables
from eventabs.views.report.page import colors_of, render_page, words_of
from eventabs.views.report.page_data import shown, zone_note
from eventabs.views.words_and_figures import count

_MOST_TYPES: Final = 12  # in the terminal
_MOST_DIFFERENT: Final = 10


def render_review_page(sheet: Sheet) -> str:
    """Return the page."""
    review = sheet.review
    sections = _sections(review)
    uses = Counter(event.type for event in review.events) | Counter(review.types)
    return render_page(
        "review.html.j2",
        ["review.css"],
        ["review.js"],
        facts=list(_facts(sheet, sum(len(items) for *_names, items in sections))),
        command=_reading_back(sheet),
        data=encode(
            {
                "review": review.id,
                "types": [shown(name) for name in review.types],
                "colors": colors_of([shown(name) for name, _uses in messages.most_frequent(uses)]),
                "sections": [(name, note, len(items)) for name, note, items in sections],
                "items": [_item(item, sheet) for *_names, items in sections for item in items],
                "words": _verdicts() | words_of("assets/review_words.j2"),
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


def _sections(review: Review) -> list[tuple[str, str, Sequence[SampledEvent | SampledDay]]]:
    """Return what is judged in order: names of parts, what their figures say, and their items; each item stands once."""
    by_item = {event.item: event for event in review.events}
    drawn = [event for event in review.events if event.drawn]
    doubtful = [event for event in review.events if event.doubts and not event.drawn]
    days: list[SampledEvent | SampledDay] = []
    for day in review.days:
        beside = (by_item[item] for item in day.events)
        days += (event for event in beside if not event.drawn and not event.doubts)
        days.append(day)
    parts: tuple[tuple[str, str, Sequence[SampledEvent | SampledDay]], ...] = (
        (
            _("The most doubtful first"),
            _("Chosen, not drawn: what you say here mends events, and gives no bound for the others."),
            doubtful,
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
    return [part for part in parts if part[2]]


def _item(item: SampledEvent | SampledDay, sheet: Sheet) -> dict[str, Any]:
    shared = {
        "item": item.item,
        "id": item.user_id,
        "user": shown(item.user_id),
        "profile": shown(sheet.profiles[item.user_id]),
        "lines": [
            (line.number, line.day, shown(line.text), shown(line.type), line.event)
            for line in sheet.lines[item.item]
        ],
    }
    if isinstance(item, SampledDay):
        return shared | {"day": item.day}
    return shared | {
        "type": shown(item.type),
        "category": shown(messages.category(item.category)),
        "start": shown(item.start),
        "end": shown(item.end),
        "when": shown(_when(item)),
        "summary": shown(item.summary),
        "behaviors": item.behaviors,
        "doubts": [_doubts()[name] for name in item.doubts],
    }


def _when(event: SampledEvent) -> str:
    start, end = event.start[:16].replace("T", " "), event.end[:16].replace("T", " ")
    if start == end:
        return start
    equal = (
        11 if start[:10] == end[:10] else 5 if start[:4] == end[:4] else 0
    )  # characters: the day, the year
    return f"{start} – {end[equal:]}"


def _doubts() -> dict[str, str]:
    return {"moved": _("moved in the audit"), "unsure": _("not sure"), "unplaced": _("in no event")}


def _verdicts() -> dict[str, str]:
    return {"right": _("right"), "type": _("wrong type"), "span": _("wrong span"), "none": _("nothing there")}


def render_review(console: Console, result: ReviewResult) -> None:
    """Print the figures of each reviewer, and where two differ."""
    bounds = _("bounds, 95 %")
    for reviewer in result.reviewers:
        judged = messages.events(reviewer.all.judged)
        title = _("Review by {file}, {events}").format(file=one_line(reviewer.file), events=judged)
        types = (
            (row.type, row.judged, row.precision, messages.at_least(row.at_least))
            for row in reviewer.by_type[:_MOST_TYPES]
        )
        print_tables(
            console,
            figure_table((title, _("value"), bounds), _figures(reviewer, result)),
            figure_table((_("Type"), _("events"), _("right"), bounds), types),
            figure_table((_("Type"), _("meant"), _("events")), reviewer.confused[:_MOST_DIFFERENT]),
        )
    said = _verdicts()
    differ = (
        (
            item.item,
            f"{item.user_id} {_when(item)} {item.type}",
            said[each.first],
            said[each.second],
        )
        for each in (result.agreement.differ[:_MOST_DIFFERENT] if result.agreement else ())
        for item in (each.event,)
    )
    names = (_("event"), _("first"), _("second"))
    print_tables(console, figure_table((_("The two differ"), *names), differ, words=names))
    for line in _notes(result):
        print_line(console, line)


def _figures(reviewer: Reviewer, result: ReviewResult) -> Iterator[tuple[str, float | None, str]]:
    whole, journeys, doubtful, days = reviewer.all, reviewer.journeys, reviewer.doubtful, reviewer.days
    if not result.review.by:
        yield _("right"), whole.precision, messages.at_least(whole.at_least)
    yield _("wrong type"), whole.wrong_type, ""
    yield _("wrong span"), whole.wrong_span, ""
    yield _("nothing there"), whole.nothing, ""
    if journeys.judged:
        name = _("journeys right, of {count}").format(count=count(journeys.judged))
        yield name, journeys.precision, messages.at_least(journeys.at_least)
    if doubtful.judged:
        yield _("doubtful ones right, of {count}").format(count=count(doubtful.judged)), doubtful.right, ""
    if days.days:
        recall, found = days.recall, days.found
        yield _("found and right, of what happened (recall)"), recall.value, messages.at_least(recall.low)
        yield _("found at all, of what happened"), found.value, messages.at_least(found.low)


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
        and agreement._asdict()
        | {
            "differ": [
                picked("item user_id type start first second", each, each.event) for each in agreement.differ
            ],
        },
    }
    return encode(fields)


def _reviewer_fields(reviewer: Reviewer) -> dict[str, Any]:
    whole, journeys, doubtful = (
        {key: value for key, value in judged._asdict().items() if key != "type"}
        for judged in (reviewer.all, reviewer.journeys, reviewer.doubtful)
    )
    return {
        "file": reviewer.file,
        **whole,
        "journeys": journeys,
        "doubtful": doubtful,
        "left": reviewer.left,
        "renamed": reviewer.renamed,
        "by_type": reviewer.by_type,
        "reviewed_days": reviewer.days,
        "confused": [
            {"type": one, "meant": other, "events": times} for one, other, times in reviewer.confused
        ],
    }


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
