"""Days and times in replies, and the dates that they mean in a user's log."""

import re
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from eventabs.replies.claims import Claim, NamedDay, NamedTime, fold

_HALF_A_YEAR = timedelta(days=183)
_MINUTES_A_DAY = 24 * 60
_LONGEST_CELL = 80
_AROUND = " \t\r\n\"'`*#"

_WEEKDAY = (
    r"(?:\s*+[(\[]?(?:(?:周|星期|礼拜)[一二三四五六日天]|(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6}+)[)\]]?)?+"
)
# "@" is replaced by the prefix of the groups: a range has two stamps.
_DATE = r"(?:(?P<@year>\d{4})[-/.年])?(?P<@month>\d{1,2})[-/.月](?P<@day>\d{1,2})"
_TIME = r"(?P<@hour>\d{1,2})[:时点](?P<@minute>\d{2})(?!\d)分?(?::\d{2}(?!\d)(?:\.\d{1,9})?)?"
_STAMP = rf"(?:{_DATE}日?+{_WEEKDAY}(?:(?<=[日)\]])|[T,\s])\s*+)?{_TIME}"
_UNTIL = r"\s*+(?:[-~至到]|to\b)[->]?\s*+(?P<later>次日|翌日|第二天|隔天|next\s?day)?+\s*+"

DATE = _DATE.replace("@", "") + "日?+" + _WEEKDAY
SPAN = f"{_STAMP.replace('@', '')}(?:{_UNTIL}{_STAMP.replace('@', 'to_')})?"

_DATE_CELL = re.compile(DATE, re.IGNORECASE)
_SPAN_CELL = re.compile(SPAN, re.IGNORECASE)
_OFFSET = re.compile(r"(?<=\d)(?:Z|[+-]\d\d:?\d\d)$")


class Span(NamedTuple):
    """A start and perhaps an end, as in a reply."""

    start: NamedTime
    end: NamedTime | None


def day_of(match: re.Match[str], prefix: str = "") -> NamedDay:
    """Return the day that a match of DATE names."""
    year, month, day = (match[prefix + unit] for unit in ("year", "month", "day"))
    return NamedDay(int(year) if year else None, int(month), int(day))


def span_of(match: re.Match[str], day: NamedDay | None) -> Span | None:
    """Return the span that a match of SPAN names, on `day` if it has no day; None if there is no such time."""
    start = _moment(match, "")
    if start is None:
        return None
    start = start if start.day else start._replace(day=day)
    if match["to_hour"] is None:
        return Span(start, None)
    end = _moment(match, "to_")
    return end and Span(start, end._replace(later=1) if match["later"] else end)


def read_cell(cell: object, day: NamedDay | None) -> NamedDay | Span | None:
    """Read a text that is only a day, a time or a range of times. Offsets are ignored."""
    if not isinstance(cell, str) or len(cell) > _LONGEST_CELL:
        return None
    text = fold(cell).strip(_AROUND)
    if match := _DATE_CELL.fullmatch(text):
        return day_of(match)
    if "T" in text:
        text = _OFFSET.sub("", text)
    if match := _SPAN_CELL.fullmatch(text):
        return span_of(match, day)
    return None


def _moment(match: re.Match[str], prefix: str) -> NamedTime | None:
    minute = int(match[prefix + "hour"]) * 60 + int(match[prefix + "minute"])
    if minute > _MINUTES_A_DAY or int(match[prefix + "minute"]) >= 60:  # noqa: PLR2004  minutes of an hour
        return None
    return NamedTime(day_of(match, prefix) if match[prefix + "month"] else None, minute)


class Calendar:
    """The days of one user's log, which decide the year of a day without one."""

    def __init__(self, starts: Iterable[datetime]) -> None:
        self._days = sorted({start.date() for start in starts})
        self._having = frozenset(self._days)

    def resolve(self, day: NamedDay | None, after: date | None) -> date | None:
        """Return the date of a day: preferably a day of the log, and not before `after`.

        None if there is no such date, or no day is named and the log has several.
        """
        if not self._days:
            return None
        first, last = self._days[0], self._days[-1]
        if day is None:
            return first if first == last else None
        years = range(first.year, last.year + 1) if day.year is None else (day.year,)
        dates = [found for year in years if (found := _date(year, day.month, day.day))]

        def unlikely(found: date) -> tuple[bool, timedelta, bool, date]:
            outside = max(first - found, found - last, timedelta(0))
            return found not in self._having, outside, after is not None and found < after, found

        return min(dates, key=unlikely, default=None)

    def span(self, claim: Claim, after: date | None) -> tuple[datetime, datetime] | None:
        """Return the local minutes of a claim's start and end, None if they are impossible."""
        day = self.resolve(claim.start.day, after)
        if day is None:
            return None
        try:
            start = _at(day, claim.start.minute)
            return _ended(start, day, claim.end) if claim.end else (start, start)
        except OverflowError:
            return None


def _ended(start: datetime, day: date, end: NamedTime) -> tuple[datetime, datetime] | None:
    if end.day is None:
        day_of_end: date | None = day + timedelta(days=end.later)
    elif end.day.year is not None:
        day_of_end = _date(end.day.year, end.day.month, end.day.day)
    else:
        day_of_end = _first_after(day, end.day)
    if day_of_end is None:
        return None
    stop = _at(day_of_end, end.minute)
    if stop < start and day_of_end == day:
        stop += timedelta(days=1)
    return (start, stop) if start <= stop else None


def _first_after(day: date, named: NamedDay) -> date | None:
    same_year, next_year = (_date(year, named.month, named.day) for year in (day.year, day.year + 1))
    if same_year and same_year >= day:
        return same_year
    return next_year if next_year and next_year - day < _HALF_A_YEAR else None


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _at(day: date, minute: int) -> datetime:
    return datetime.combine(day, time()) + timedelta(minutes=minute)
