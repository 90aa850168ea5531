"""A review: the page on which people judge, and what they said, in the terminal and as JSON."""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from eventabs import store
from eventabs.inspection import Table, batch_tables
from eventabs.interface_language import gettext as _
from eventabs.quality import Review, SampledDay, SampledEvent, Sheet
from eventabs.shared_records import Counts
from eventabs.store import RunDirectory
from eventabs.views import words_and_figures as messages
from eventabs.views.output_streams import encode, one_line, picked, print_command, print_line
from eventabs.views.report import colors_of, render_page, shown, zone_note
from eventabs.views.words_and_figures import count, joined, print_tables


def render_review_page(sheet: Sheet) -> str:
    """Return the page."""
    review = sheet.review
    sections = [part for part in _parts(review) if part[-1]]
    drawn = sum(event.drawn and event.item.startswith("E") for event in review.events)
    uses = Counter(event.type for event in review.events) | Counter(review.types)
    return render_page(
        "review.html.j2",
        ["review.css"],
        ["report/elements.js", "review_page.js"],
        # what there is to judge: the parts are the sections, which add up to what the page counts
        facts=[
            _("{events} of {of}").format(events=messages.events(drawn), of=count(review.events_in_run)),
            _("as many of each type") if review.by else _("a simple random sample"),
            messages.filled(_("in all {count} to judge"), sum(len(items) for *_names, items in sections)),
            zone_note(sheet.timezone, sheet.offsets),
            review.id,
        ],
        by=review.by,
        command=_reading_back(sheet),
        data=encode(
            {
                "review": review.id,
                "types": [shown(name) for name in review.types],
                "colors": colors_of([shown(name) for name, _uses in messages.most_frequent(uses)]),
                "sections": [(name, note, len(items)) for name, note, items in sections],
                "items": [_item(item, sheet) for *_names, items in sections for item in items],
            }
        ),
    )


def _parts(review: Review) -> Iterator[tuple[str, str, Sequence[SampledEvent | SampledDay]]]:
    """Yield the parts in order, each with its title, what its figures say, and what is judged; each item stands once."""
    drawn = [event for event in review.events if event.drawn]
    doubtful = [event for event in review.events if event.doubts and not event.drawn]
    note = _("Chosen, not drawn: what you say here mends events, and gives no bound for the others.")
    yield _("The most doubtful first"), note, doubtful
    title = _("Events, as many of each type") if review.by else _("Events, a simple random sample")
    note = _("In random order: the bound is of these alone, and holds for all events of the run.")
    yield title, note, [event for event in drawn if event.item.startswith("E")]
    title = _("Journeys, a simple random sample")
    note = _("In random order: their bound is of these alone. Type: the kind; span: the rows that are in it.")
    yield title, note, [event for event in drawn if event.item.startswith("J")]
    by_item = {event.item: event for event in review.events}
    days: list[SampledEvent | SampledDay] = []
    for day in review.days:
        beside = (by_item[item] for item in day.events)
        days += (event for event in beside if not event.drawn and not event.doubts)
        days.append(day)
    yield _("Days as a whole"), _("For the events that are missing."), days


def _item(item: SampledEvent | SampledDay, sheet: Sheet) -> dict[str, Any]:
    told = {
        "item": item.item,
        "id": item.user_id,
        "user": shown(item.user_id),
        "profile": shown(sheet.profiles[item.user_id]),
        "lines": [
            (number, day, shown(text), shown(kind), event)
            for number, day, text, kind, event in sheet.lines[item.item]
        ],
    }
    if isinstance(item, SampledDay):
        return told | {"day": item.day}
    made = {"category": messages.category(item.category), "when": _when(item.start, item.end)}
    texts = picked("type start end summary", item) | made
    return told | {name: shown(text) for name, text in texts.items()} | picked("behaviors doubts", item)


def _when(start: str, end: str) -> str:
    start, end = start[:16].replace("T", " "), end[:16].replace("T", " ")
    # characters that are equal: the day, the year
    equal = 11 if start[:10] == end[:10] else 5 if start[:4] == end[:4] else 0
    return start if start == end else f"{start} – {end[equal:]}"


def render_review(console: Console, figures: str) -> None:
    """Print the figures of each reviewer, and where two differ, from the line of JSON."""
    result = orjson.loads(figures)
    print_tables(console, _tables(result), _notes(result))


def quality_tables(directory: RunDirectory, counts: Counts) -> Iterator[Table]:
    """Yield what reviews of a run have found, the latest first, and what answers held by size of the batch and by place in it."""
    results = directory.reviews.glob("*/result.json")
    for path in sorted(results, key=lambda path: path.lstat().st_mtime, reverse=True):
        # one that cannot be read, or is of another version, is left out
        with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
            result = orjson.loads(store.read_head(path, 16_000_000))
            for reviewer in result["reviewers"]:  # a page is handed on: it names no folder
                reviewer["file"] = Path(reviewer["file"]).name
            first, *others = _tables(result)
            yield from (first._replace(note=joined(_notes(result))), *others)
    yield from batch_tables({"": counts})


def _tables(result: Mapping[str, Any]) -> Iterator[Table]:
    bounds = _("bounds, 95 %")
    for reviewer in result["reviewers"]:
        file = one_line(reviewer["file"])
        title = _("Review by {file}, {events}").format(file=file, events=messages.events(reviewer["judged"]))
        types = [
            (row["type"], row["judged"], row["precision"], messages.at_least(row["at_least"]))
            for row in reviewer["by_type"][:12]
        ]
        meant = [(each["type"], each["meant"], each["events"]) for each in reviewer["confused"]]
        yield Table(title, ("", _("value"), bounds), list(_figures(reviewer, by=result["by"])))
        title = _("{file}, by type").format(file=file)
        yield Table(title, (_("Type"), _("events"), _("right"), bounds), types)
        title = _("{file}, types that were meant").format(file=file)
        yield Table(title, (_("Type"), _("meant"), _("events")), meant[:10])
    said = {"right": _("right"), "type": _("wrong type"), "span": _("wrong span"), "none": _("nothing there")}
    names = _("event"), _("first"), _("second")
    differ = []
    for each in (result["agreement"] or {"differ": ()})["differ"][:10]:
        event = f"{each['user_id']} {_when(each['start'], each['end'])} {each['type']}"
        differ.append((each["item"], event, said[each["first"]], said[each["second"]]))
    yield Table(_("The two differ"), ("", *names), differ, words=names)


def _figures(reviewer: Mapping[str, Any], *, by: str | None) -> Iterator[tuple[str, float | None, str]]:
    journeys, doubtful, days = (reviewer[name] for name in ("journeys", "doubtful", "reviewed_days"))
    if not by:
        yield _("right"), reviewer["precision"], messages.at_least(reviewer["at_least"])
    yield _("wrong type"), reviewer["wrong_type"], ""
    yield _("wrong span"), reviewer["wrong_span"], ""
    yield _("nothing there"), reviewer["nothing"], ""
    if journeys["judged"]:
        name = _("journeys right, of {count}").format(count=count(journeys["judged"]))
        yield name, journeys["precision"], messages.at_least(journeys["at_least"])
    if doubtful["judged"]:
        name = _("doubtful ones right, of {count}").format(count=count(doubtful["judged"]))
        yield name, doubtful["right"], ""
    if days["days"]:
        recall, found = days["recall"], days["found"]
        bound = messages.at_least(recall["low"])
        yield _("found and right, of what happened (recall)"), recall["value"], bound
        yield _("found at all, of what happened"), found["value"], messages.at_least(found["low"])


def render_next_step(console: Console, sheet: Sheet) -> None:
    """Say what is to be done with the page."""
    said = _("Open it in a browser and judge; the page keeps what you say, and saves it as a CSV")
    print_line(console, said)
    print_command(console, _("Afterwards: "), _reading_back(sheet))


def _reading_back(sheet: Sheet) -> str:
    """Return the command that reads the page's CSV; it is wherever the browser saves files."""
    return f"eventabs review {shlex.quote(one_line(str(sheet.out)))} --read {sheet.review.id}.csv"


def review_json(review: Review, **more: object) -> str:
    """Return what was drawn, with the page, or the figures of what people said; shares from 0 to 1, None where a figure is not defined."""
    drawn = [event.item[0] for event in review.events if event.drawn]
    fields = {
        "review": review.id,
        "by": review.by or None,
        "events_a_user_day": review.events_in_run / review.days_in_run,
        "drawn": drawn.count("E"),
        "journeys": drawn.count("J"),
        "doubtful": sum(bool(event.doubts) and not event.drawn for event in review.events),
        "days": len(review.days),
    }
    keys = "review seed by events_in_run journeys_in_run days_in_run events_a_user_day drawn journeys doubtful days"
    return encode(picked(keys, fields, review) | more)


def _notes(result: Mapping[str, Any]) -> Iterator[str]:
    if result["by"]:
        yield _(
            "As many events of each type were drawn: each row is of its type, and there is no figure of all events"
        )
    else:
        message = _("The bound is exact for a random sample of any number of events; the run has {events}")
        yield message.format(events=count(result["events_in_run"]))
    for reviewer in result["reviewers"]:
        file, days = one_line(reviewer["file"]), reviewer["reviewed_days"]
        if days["days"]:
            message = _("{file}: {real} happened on the days looked at ({days}), {missing} of them missing")
            real, missing = messages.events(days["real"]), count(days["missing"])
            yield message.format(file=file, real=real, days=count(days["days"]), missing=missing)
        told = {
            "skipped": _(
                "{file}: {events} without a verdict were passed over; for the bounds they are wrong"
            ),
            "left": _(
                "{file}: {events} of the sample are not judged yet; those before them are a random sample too"
            ),
            "unfinished": _("{file}: {count} days with events that have no verdict are left out"),
            "renamed": _(
                "{file}: a spreadsheet has changed the user of {count} rows (leading zeros, long numbers); if it was sorted, see that whole rows were"
            ),
        }
        numbers = reviewer | days
        for name in filter(numbers.get, told):
            yield messages.filled(told[name], numbers[name], file=file)
        if reviewer["doubtful"]["judged"]:
            yield _("The doubtful ones were chosen: they are in no figure of all events, and give no bound")
    if found := result["agreement"]:
        message = _("Of {judged} judged by both, {same} have the same verdict; Cohen's kappa {kappa}")
        kappa = _("is not defined: both say the same one thing of everything") if found["judged"] else "-"
        shown = kappa if found["kappa"] is None else f"{found['kappa']:.2f}"
        yield message.format(judged=messages.events(found["judged"]), same=count(found["same"]), kappa=shown)
