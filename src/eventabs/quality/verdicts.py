"""The verdicts of a reviewer, from the CSV that the page saved, also after a spreadsheet has edited it."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from eventabs.errors import InputError
from eventabs.language import gettext as _
from eventabs.quality.sample import Review, SampledDay, SampledEvent, stored_review
from eventabs.store import RunDirectory

VERDICTS: Final = ("right", "type", "span", "none")
DONE, MISSING = "done", "missing"  # of a day: all of it was looked at; an event that nobody made
_NEEDED: Final = ("review", "item", "verdict")
_ROUNDED: Final = 1e-5  # of a long number that a spreadsheet has shown as 1.23457E+15


@dataclass(slots=True)
class Verdicts:
    """What one reviewer said: a verdict by event, the days looked at, and how many events are missing on each day.

    `types`: what an event should have been called, where it was said. `renamed`: rows whose user a spreadsheet has changed,
    such as by leading zeros.
    """

    path: Path
    review: Review
    events: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    days: set[str] = field(default_factory=set)
    missing: dict[str, int] = field(default_factory=dict)
    renamed: int = 0


class _Row:
    """A row by its columns, whatever their order and case."""

    def __init__(self, path: Path, number: int, values: Mapping[str, str]) -> None:
        self.path, self.number = path, number
        self._values = values

    def __getitem__(self, name: str) -> str:
        return self._values.get(name, "")

    def fault(self, message: str, **facts: object) -> InputError:
        """Return an error that names the row."""
        where = _("{path}, row {row}: {fault}")
        return InputError(where.format(path=self.path, row=self.number, fault=message.format(**facts)))


def read_verdicts(directory: RunDirectory, path: Path) -> Verdicts:
    """Read a reviewer's CSV. Raises InputError for rows of another review, unknown verdicts and items, and rows torn apart."""
    rows = list(_rows(path))
    if not rows:
        message = _("{path} holds no verdicts; save the CSV from the page of eventabs review")
        raise InputError(message.format(path=path))
    review = stored_review(directory, rows[0]["review"])
    if review is None:
        message = _("the review {review} is not one of {path}; its page was made by eventabs review there")
        raise rows[0].fault(message, review=rows[0]["review"] or "-", path=directory.path)
    items: dict[str, SampledEvent | SampledDay] = {event.item: event for event in review.events}
    items |= {day.item: day for day in review.days}
    read = Verdicts(path, review)
    for row in rows:
        if row["review"] != review.id:
            message = _(
                "it is of review {other}, the rows above are of {review}; give each review its own file"
            )
            raise row.fault(message, other=row["review"] or "-", review=review.id)
        item = items.get(row["item"].upper())
        if item is None:
            raise row.fault(_("the review has no item {item}"), item=row["item"] or "-")
        read.renamed += _is_renamed(row, item)
        _take(read, row, item)
    return read


def _take(read: Verdicts, row: _Row, item: SampledEvent | SampledDay) -> None:
    verdict = row["verdict"].lower()
    known = VERDICTS if isinstance(item, SampledEvent) else (DONE, MISSING)
    if verdict not in ("", *known):
        message = _("the verdict {verdict} is unknown; of {item} it is {known}, or nothing")
        raise row.fault(message, verdict=row["verdict"], item=item.item, known=", ".join(known))
    if verdict == DONE:
        read.days.add(item.item)
    elif verdict == MISSING:
        read.missing[item.item] = read.missing.get(item.item, 0) + 1
    elif verdict:
        before = read.events.setdefault(item.item, verdict)
        if before != verdict:
            message = _("{item} is {verdict} here and {before} in a row above; leave one of them")
            raise row.fault(message, item=item.item, verdict=verdict, before=before)
        if verdict == "type" and row["correct_type"]:
            read.types[item.item] = row["correct_type"]


def _is_renamed(row: _Row, item: SampledEvent | SampledDay) -> bool:
    """Whether a spreadsheet has changed the user of a row. Raises InputError where it is another user."""
    said, user = row["user_id"], item.user_id.strip()
    if said in ("", user):
        return False
    if said.removeprefix("'") == user:  # so that it is no formula
        return False
    try:
        number, known = float(said), float(user)
    except ValueError:
        number, known = 0.0, 1.0
    if abs(number - known) <= _ROUNDED * abs(known):
        return True
    message = _("{item} is about user {user}, the row about {other}; sort whole rows, or save the CSV again")
    raise row.fault(message, item=item.item, user=user, other=said)


def _rows(path: Path) -> Iterator[_Row]:
    try:
        text = _decoded(path.read_bytes())
        head = text.partition("\n")[0]
        if head.lower().startswith("sep="):  # which Excel itself leaves out
            text = text.partition("\n")[2]
            head = text.partition("\n")[0]
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
        names = [name.strip().lower() for name in next(reader, [])]
        missing = [name for name in _NEEDED if name not in names]
        if missing:
            message = _("{path} has no column {name}; save the CSV from the page of eventabs review")
            raise InputError(message.format(path=path, name=missing[0]))
        for values in reader:
            if any(value.strip() for value in values):
                found = dict(zip(names, (value.strip() for value in values), strict=False))
                yield _Row(path, reader.line_num, found)
    except (OSError, ValueError, csv.Error) as error:
        message = _("{path} cannot be read ({error}); save the CSV from the page of eventabs review")
        raise InputError(message.format(path=path, error=error)) from None


def _decoded(data: bytes) -> str:
    """Decode what spreadsheets write: UTF-8, UTF-16 as "Unicode text", and the code page of Chinese Windows."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("gb18030")
