from datetime import date, datetime

import pytest
from hypothesis import given, strategies as st

from eventabs.replies.forms import Calendar, Claim, NamedDay, NamedTime, Span, read_cell

JAN_1 = NamedDay(None, 1, 1)
TEN = NamedTime(JAN_1, 600)


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("01-01", JAN_1),
        ("2026-01-01", NamedDay(2026, 1, 1)),
        ("2026/1/1 周四", NamedDay(2026, 1, 1)),
        ("2026年1月1日 (Thu)", NamedDay(2026, 1, 1)),
        ("10:00", Span(TEN, None)),
        ("１０：００", Span(TEN, None)),
        ("10:00:59", Span(TEN, None)),
        ("10时00分", Span(TEN, None)),
        ("9:05", Span(NamedTime(JAN_1, 545), None)),
        ("24:00", Span(NamedTime(JAN_1, 1440), None)),
        ("01-02 10:00", Span(NamedTime(NamedDay(None, 1, 2), 600), None)),
        ("2026-01-02T10:00:00", Span(NamedTime(NamedDay(2026, 1, 2), 600), None)),
        ("2026-01-02T10:00:00.123Z", Span(NamedTime(NamedDay(2026, 1, 2), 600), None)),
        ("2026-01-02T10:00:00+08:00", Span(NamedTime(NamedDay(2026, 1, 2), 600), None)),
        ("1月2日10:00", Span(NamedTime(NamedDay(None, 1, 2), 600), None)),
        ("10:00-11:14", Span(TEN, NamedTime(None, 674))),
        ("10:00 至 11:14", Span(TEN, NamedTime(None, 674))),
        ("10:00 to 11:14", Span(TEN, NamedTime(None, 674))),
        ("10:00 -> 11:14", Span(TEN, NamedTime(None, 674))),
        ("10:00-次日11:14", Span(TEN, NamedTime(None, 674, later=1))),
        ("10:00-01-05 09:10", Span(TEN, NamedTime(NamedDay(None, 1, 5), 550))),
        (
            "2026-01-01 10:00 ~ 2026-01-02 11:14",
            Span(NamedTime(NamedDay(2026, 1, 1), 600), NamedTime(NamedDay(2026, 1, 2), 674)),
        ),
    ],
)
def test_times_are_read_as_they_are_written(cell: object, found: object) -> None:
    assert read_cell(cell, JAN_1) == found


@pytest.mark.parametrize(
    "cell",
    ["", "10", "25:00", "10:60", "24:01", "10:00-11:99", "10:000", "用餐", "10:00 用餐", None, 600, "1" * 99],
)
def test_what_is_no_time_is_none(cell: object) -> None:
    assert read_cell(cell, JAN_1) is None


NEW_YEAR = Calendar(datetime.fromisoformat(day) for day in ("2025-12-30", "2025-12-31", "2026-01-02"))
YEARS = Calendar(datetime(year, month, 1) for year in (2024, 2025, 2026) for month in (1, 6))  # noqa: DTZ001 - local
LEAP = Calendar([datetime(2024, 2, 29), datetime(2025, 3, 1)])  # noqa: DTZ001 - local


@pytest.mark.parametrize(
    ("calendar", "day", "after", "found"),
    [
        (NEW_YEAR, NamedDay(None, 12, 31), None, date(2025, 12, 31)),
        (NEW_YEAR, NamedDay(None, 1, 2), None, date(2026, 1, 2)),
        (NEW_YEAR, NamedDay(None, 1, 1), None, date(2026, 1, 1)),
        (NEW_YEAR, NamedDay(None, 12, 29), None, date(2025, 12, 29)),
        (NEW_YEAR, NamedDay(None, 1, 3), None, date(2026, 1, 3)),
        (NEW_YEAR, NamedDay(2024, 12, 31), None, date(2024, 12, 31)),
        (NEW_YEAR, NamedDay(None, 2, 29), None, None),
        (NEW_YEAR, NamedDay(None, 2, 30), None, None),
        (NEW_YEAR, NamedDay(0, 1, 1), None, None),
        (NEW_YEAR, None, None, None),
        (LEAP, NamedDay(None, 2, 29), None, date(2024, 2, 29)),
        (YEARS, NamedDay(None, 6, 1), None, date(2024, 6, 1)),
        (YEARS, NamedDay(None, 1, 1), date(2025, 6, 1), date(2026, 1, 1)),
        (YEARS, NamedDay(None, 1, 1), date(2026, 6, 1), date(2024, 1, 1)),
        (Calendar([datetime(2026, 5, 1, 9)]), None, None, date(2026, 5, 1)),  # noqa: DTZ001 - local
        (Calendar([]), NamedDay(2026, 1, 1), None, None),
    ],
)
def test_a_day_without_its_year_is_the_one_of_the_log(
    calendar: Calendar, day: NamedDay | None, after: date | None, found: object
) -> None:
    assert calendar.resolve(day, after) == found


@pytest.mark.parametrize(
    ("start", "end", "ends"),
    [
        (600, None, "2025-12-31T10:00"),
        (600, NamedTime(None, 660), "2025-12-31T11:00"),
        (600, NamedTime(None, 600), "2025-12-31T10:00"),
        (600, NamedTime(None, 540), "2026-01-01T09:00"),
        (600, NamedTime(None, 1440), "2026-01-01T00:00"),
        (600, NamedTime(None, 660, later=1), "2026-01-01T11:00"),
        (600, NamedTime(NamedDay(None, 12, 31), 540), "2026-01-01T09:00"),
        (600, NamedTime(NamedDay(None, 1, 2), 540), "2026-01-02T09:00"),
        (600, NamedTime(NamedDay(2026, 1, 2), 540), "2026-01-02T09:00"),
        (600, NamedTime(NamedDay(2025, 12, 30), 540), None),
        (600, NamedTime(NamedDay(None, 12, 30), 540), None),
        (600, NamedTime(NamedDay(None, 2, 30), 540), None),
    ],
)
def test_an_end_is_never_before_its_start(start: int, end: NamedTime | None, ends: str | None) -> None:
    span = NEW_YEAR.span(Claim(NamedTime(NamedDay(None, 12, 31), start), end, "x"), None)
    assert (span and span[1].isoformat(timespec="minutes")) == ends


def test_the_end_of_time_is_no_event() -> None:
    late = Calendar([datetime(9999, 12, 31)])  # noqa: DTZ001 - local
    assert late.span(Claim(NamedTime(NamedDay(None, 12, 31), 1440), None, "x"), None) is None


@given(st.dates(min_value=date(2000, 1, 1), max_value=date(2030, 1, 1)), st.integers(0, 200))
def test_every_day_of_a_log_shorter_than_a_year_is_found_again(first: date, length: int) -> None:
    last = date.fromordinal(first.toordinal() + length)
    calendar = Calendar(datetime(day.year, day.month, day.day) for day in (first, last))  # noqa: DTZ001 - local
    for day in (first, last):
        assert calendar.resolve(NamedDay(None, day.month, day.day), None) == day
