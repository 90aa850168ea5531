"""Times: every usual form is read, nothing else is guessed."""

from datetime import date, datetime, time, timedelta, timezone
from functools import cache
from typing import Any

import duckdb
import pytest
from hypothesis import assume, given, settings, strategies as st

from eventabs.ingest.normal_form import define_macros, quoted

CONNECTION = duckdb.connect()
define_macros(CONNECTION)
CONNECTION.execute("SET TimeZone = 'UTC'")


@cache
def prepared(steps: str) -> str:
    """Prepare a query, since most of the time of one goes into its macros; return its name."""
    name = f"steps_{hash(steps) % 2**32}"
    CONNECTION.execute(f"PREPARE {name} AS {steps}")
    return name


def read(
    text: str | None, zone: str = "", *, day: str | None = None, dayfirst: bool | None = None
) -> tuple[datetime, int | None] | None:
    order = "NULL::BOOLEAN" if dayfirst is None else str(dayfirst)
    steps = f"""
        SELECT believable_time(wall, shift) AS wall, shift FROM (
            SELECT wall_time(t, u, p) AS wall, time_shift(t, u, p) AS shift FROM (
                SELECT *, time_parts(t, u) AS p FROM (SELECT t, usual_time(t) AS u FROM (
                    SELECT CASE WHEN usual_time(t) IS NULL THEN spelled_time(t, {quoted(day) if day else "NULL"}, {order}) ELSE t END AS t
                    FROM (SELECT ?::VARCHAR AS t)))))"""
    if zone:
        steps = f"""
            SELECT timezone({quoted(zone)}, moment), shift_in({quoted(zone)}, moment)
            FROM (SELECT moment_of(wall, shift, {quoted(zone)}) AS moment FROM ({steps}))"""
    row: Any = CONNECTION.execute(
        f"EXECUTE {prepared(steps)}({'NULL' if text is None else quoted(text)})"
    ).fetchone()
    return None if row[0] is None else (row[0], row[1])


@pytest.mark.parametrize(
    ("text", "wall", "shift"),
    [
        ("2026-01-15 10:00:42", "2026-01-15T10:00:42", None),
        ("2026-01-15T10:00:42", "2026-01-15T10:00:42", None),
        ("2026-01-15T10:00:42.987654", "2026-01-15T10:00:42.987654", None),
        ("2026-01-15 10:00:42,987", "2026-01-15T10:00:42.987", None),
        ("2026-01-15 10:00:42.987654321", "2026-01-15T10:00:42.987654", None),
        ("2026-01-15 10:00", "2026-01-15T10:00:00", None),
        ("2026/01/15 10:00:42", "2026-01-15T10:00:42", None),
        ("2026/1/5 3:04", "2026-01-05T03:04:00", None),
        ("2026-1-5 21:5:6", "2026-01-05T21:05:06", None),
        ("2026/1/5 21:5:46", "2026-01-05T21:05:46", None),
        ("2026.01.15 10:00", "2026-01-15T10:00:00", None),
        ("2026-01-15", "2026-01-15T00:00:00", None),
        ("2026-01-15 02", "2026-01-15T02:00:00", None),
        ("19970101", "1997-01-01T00:00:00", None),
        ("20260115.0", "2026-01-15T00:00:00", None),
        ("20260115T100042Z", "2026-01-15T10:00:42", 0),
        ("20260115100042", "2026-01-15T10:00:42", None),
        ("20260115 1000", "2026-01-15T10:00:00", None),
        ("202601151059", "2026-01-15T10:59:00", None),
        ("2026011510", "2026-01-15T10:00:00", None),
        ("2026011524", "2034-03-15T04:58:44", 0),  # no hour of a day
        ("2026-01-15T10:00:42Z", "2026-01-15T10:00:42", 0),
        ("2026-01-15T10:00:42.5Z", "2026-01-15T10:00:42.5", 0),
        ("2026-01-15 10:00:42 UTC", "2026-01-15T10:00:42", 0),
        ("2026-01-15 10:00:42.25 UTC", "2026-01-15T10:00:42.25", 0),
        ("2026-01-15T10:00:42.5+08:00", "2026-01-15T10:00:42.5", 28_800),
        ("2026-01-15T10:00:42-0330", "2026-01-15T10:00:42", -12_600),
        ("2026-01-15 10:00:42-00:30", "2026-01-15T10:00:42", -1800),
        ("2026-01-15 10:00+08", "2026-01-15T10:00:00", 28_800),
        ("2026-01-15 10:00 UTC+8", "2026-01-15T10:00:00", 28_800),
        ("1767225600", "2026-01-01T00:00:00", 0),
        ("1767225600.75", "2026-01-01T00:00:00.75", 0),
        ("1767225600999", "2026-01-01T00:00:00.999", 0),
        ("1767225600999.5", "2026-01-01T00:00:00.9995", 0),
        ("1767225600999001", "2026-01-01T00:00:00.999001", 0),
        ("1767225600999001234", "2026-01-01T00:00:00.999001", 0),
        ("999999999", "2001-09-09T01:46:39", 0),
        ("999999999999", "2001-09-09T01:46:39.999", 0),
        ("25-Feb-2008 00:20:14", "2008-02-25T00:20:14", None),
        ("25 February 2008", "2008-02-25T00:00:00", None),
        ("Jan 5, 2026, 3:04:05 PM", "2026-01-05T15:04:05", None),
        ("Jan 5, 2026, 12:04:05\u202fAM", "2026-01-05T00:04:05", None),
        ("January 5th, 2026 at 3:04 p.m.", "2026-01-05T15:04:00", None),
        ("2026-01-05 12:04 PM", "2026-01-05T12:04:00", None),
        ("Mon, 05 Jan 2026 15:04:05 +0800", "2026-01-05T15:04:05", 28_800),
        ("05 Jan 2026 15:04:05 GMT", "2026-01-05T15:04:05", 0),
        ("Mon Jan 05 2026 15:04:05 GMT+0800 (China Standard Time)", "2026-01-05T15:04:05", 28_800),
        ("05/Jan/2026:15:04:05 +0800", "2026-01-05T15:04:05", 28_800),
        ("Mon Jan 05 15:04:05 +0000 2026", "2026-01-05T15:04:05", 0),
        ("Mon Jan 5 15:04:05 2026 -0430", "2026-01-05T15:04:05", -16_200),
        ("15:04 2026-01-05", "2026-01-05T15:04:00", None),
        ("Mon Jan  5 15:04:05 2026", "2026-01-05T15:04:05", None),
        ("2026年1月5日 15:04", "2026-01-05T15:04:00", None),
        ("2026年01月05日 星期一 15时4分5秒", "2026-01-05T15:04:05", None),
        ("2026/1/5 星期一 8:20", "2026-01-05T08:20:00", None),
        ("2026-01-05 星期一", "2026-01-05T00:00:00", None),
        ("2026年1月5日下午3点4分", "2026-01-05T15:04:00", None),
        ("2026/1/5 上午9:05", "2026-01-05T09:05:00", None),
        ("2026年01月05日 15:04:05 Monday", "2026-01-05T15:04:05", None),
        ("05. 01. 2026 3:04", "2026-01-05T03:04:00", None),
        ("5. 1. 2026 3:04", "2026-01-05T03:04:00", None),
        ("2026/1/5 下午12:05:06", "2026-01-05T12:05:06", None),
        ("2026-01-05T15:04:05.000000001+01:00[Europe/Vienna]", "2026-01-05T15:04:05", 3600),
        ("5 de enero de 2026", "2026-01-05T00:00:00", None),
        ("5/fev/26 3:04 PM", "2026-02-05T15:04:00", None),
        ("5. März 2026 15:04", "2026-03-05T15:04:00", None),
        ("5 mai 2026", "2026-05-05T00:00:00", None),
        ("14 juin 2026 9:05", "2026-06-14T09:05:00", None),
        ("14 juillet 2026", "2026-07-14T00:00:00", None),
        ("5 Agustus 2026", "2026-08-05T00:00:00", None),
        ("5 сентября 2026 г., 15:04", "2026-09-05T15:04:00", None),
        ("5 października 2026", "2026-10-05T00:00:00", None),
        ("5 Kasım 2026", "2026-11-05T00:00:00", None),
        ("5 dic 2026", "2026-12-05T00:00:00", None),
        ("Rédigé le 6 décembre 2026", "2026-12-06T00:00:00", None),
        ("lundi 6 mai 2026 10:00", "2026-05-06T10:00:00", None),
    ],
)
def test_a_usual_form_is_read_to_the_microsecond_and_keeps_its_offset(
    text: str, wall: str, shift: int | None
) -> None:
    assert read(text) == (datetime.fromisoformat(wall), shift)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "yesterday",
        "infinity",
        "epoch",
        "10:00",
        "20261315",
        "12345",
        "12345678",
        "12345678901",
        "2026-01",
        "202601",
        "7",
        "Jan 2026",
        "2026-01-155",
        "2026-01-15 15:04 AM",
        "2026-01-15 10:00:42 Etc/GMT0",
        "31-Feb-2026",
        "Marsupial 5, 2026",
        "5 marea 2026",
        "Set 1 2000",
        "Desk 3 2024",
        "3-MAG-12",
        "Room 5 out 2024",
        "5 lip 2026",
        "-1767225600",
        "2026-13-01 10:00:00",
        "2026-02-30",
        "2026-01-15 10:00:61",
        "2026-01-15 10:00:00 Mars",
        "2026-01-15T10:00:00+19:00",
        "2026-01-15T10:00:00+99:99",
        "1899-12-31 23:59:59",
        "2300-01-01 00:00:00",
        "0000-00-00 00:00:00",
        "15/01/2026 10:00:00",
    ],
)
def test_what_is_no_sane_time_is_not_guessed(text: str | None) -> None:
    assert read(text) is None


@pytest.mark.parametrize(
    ("text", "wall", "hours"),
    [
        ("2026-01-15 10:00:00", "2026-01-15T10:00:00", 1),
        ("2026-07-15 10:00:00", "2026-07-15T10:00:00", 2),
        ("2026-07-15T10:00:00+08:00", "2026-07-15T04:00:00", 2),
        ("1767225600", "2026-01-01T01:00:00", 1),
        ("2026-03-29 02:30:00", "2026-03-29T03:30:00", 2),  # a wall time that the clocks skipped
    ],
)
def test_with_a_zone_every_time_becomes_its_wall_time_with_offset(text: str, wall: str, hours: int) -> None:
    assert read(text, "Europe/Berlin") == (datetime.fromisoformat(wall), hours * 3600)


def test_with_a_zone_an_unreadable_time_stays_unreadable() -> None:
    assert read("never", "Europe/Berlin") is None


@pytest.mark.parametrize(
    ("text", "day", "wall"),
    [
        ("10:00", "2026年1月5日", "2026-01-05T10:00:00"),
        ("21:5:46", "20260105", "2026-01-05T21:05:46"),
        ("3:04 PM", "1/5/2026", "2026-01-05T15:04:00"),
        ("下午3:04", "2026/1/5", "2026-01-05T15:04:00"),
        ("10:00:01.5", "2026-01-05 00:00:00", "2026-01-05T10:00:01.5"),
        ("8", "2026-01-05", "2026-01-05T08:00:00"),
        ("093005", "2026-01-05", "2026-01-05T09:30:05"),
        ("93005", "2026-01-05", "2026-01-05T09:30:05"),
        ("9H 30M 5S", "1/5/26", "2026-01-05T09:30:05"),
    ],
)
def test_a_time_of_day_has_its_day_from_the_column_of_dates(text: str, day: str, wall: str) -> None:
    assert read(text, day=day, dayfirst=False) == (datetime.fromisoformat(wall), None)


@pytest.mark.parametrize(
    "text", ["1/25/2026 3:04 PM", "1/25/2026, 3:04:00 PM", "01-25-2026 15:04", "1.25.2026 15:04"]
)
def test_day_and_month_are_taken_in_the_order_that_is_known(text: str) -> None:
    assert read(text, dayfirst=False) == (datetime.fromisoformat("2026-01-25T15:04"), None)
    month, mark, rest = text.partition(text.lstrip("01")[0])
    swapped = f"25{mark}{month}{rest.removeprefix('25')}"
    assert read(swapped, dayfirst=True) == (datetime.fromisoformat("2026-01-25T15:04"), None)
    assert read(text) is None


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("8", 480), ("-3.5", -210), ("480", 480), ("-240", -240), ("28800", 480), ("-12600", -210), ("+08:00", 480),
     ("-0330", -210), ("UTC+8", 480), ("5:45", 345), ("2880", None), ("7", 420), ("21", None), ("PST", None), ("28800000", None)],
)  # fmt: skip
def test_a_column_of_offsets_has_hours_minutes_seconds_or_a_written_offset(
    text: str, minutes: int | None
) -> None:
    found = CONNECTION.execute("SELECT offset_shift(?::VARCHAR)", [text]).fetchone()
    assert found == (None if minutes is None else minutes * 60,)


def test_years_of_two_digits_are_those_from_1970_on() -> None:
    assert [read(f"04/21/{year}", dayfirst=False) for year in ("70", "98", "07", "69")] == [
        (datetime(year, 4, 21), None)  # noqa: DTZ001  a wall time
        for year in (1970, 1998, 2007, 2069)
    ]


@pytest.mark.parametrize(
    ("text", "is_dateless"),
    [("7", True), ("12.0", True), ("2026-01", True), ("202601", True), ("2026年1月", True), ("Jan 2026", True),
     ("Sept", True), ("10:00", True), ("3:04 PM", True), ("soon", False), ("12345", False), ("2026-02-30", False)],
)  # fmt: skip
def test_a_month_or_a_time_of_day_alone_is_told_from_what_is_no_time_at_all(
    text: str, is_dateless: bool
) -> None:
    assert CONNECTION.execute("SELECT names_no_day(?::VARCHAR)", [text]).fetchone() == (is_dateless,)


MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
LOCAL_FORMS = (
    "{t:%Y-%m-%d %H:%M:%S.%f}", "{t:%Y-%m-%dT%H:%M:%S.%f}", "{t:%Y/%m/%d %H:%M:%S},{t:%f}", "{t:%Y.%m.%d %H:%M:%S.%f}",
    "{t.year}-{t.month}-{t.day} {t.hour}:{t.minute}:{t.second}.{t:%f}", "{t:%Y%m%d %H:%M:%S.%f}", "{t:%Y%m%dT%H%M%S.%f}",
    "{t.day}-{month}-{t.year} {t:%H:%M:%S.%f}", "{t.day} {month} {t.year} {t:%H:%M:%S.%f}",
    "{month} {t.day}, {t.year}, {hour}:{t:%M:%S.%f} {half}", "{t.year}-{t.month}-{t.day} {hour}:{t:%M:%S.%f}{half}",
    "{t.year}年{t.month}月{t.day}日 {t:%H:%M:%S.%f}", "{t.year}/{t.month}/{t.day} {noon}{hour}:{t:%M:%S.%f}",
    "{weekday} {month} {t.day:02} {t:%H:%M:%S.%f} {t.year}",
)  # fmt: skip
ZONED_FORMS = (
    "{t:%Y-%m-%dT%H:%M:%S.%f}{z}", "{t:%Y-%m-%d %H:%M:%S.%f} {z}", "{t:%Y-%m-%d %H:%M:%S.%f} UTC{z}",
    "{weekday}, {t.day:02} {month} {t.year} {t:%H:%M:%S.%f} {z}", "{t.day:02}/{month}/{t.year}:{t:%H:%M:%S.%f} {z}",
    "{weekday} {month} {t.day:02} {t:%H:%M:%S.%f} {z} {t.year}",
    "{weekday} {month} {t.day:02} {t.year} {t:%H:%M:%S.%f} GMT{z} (Some Standard Time)",
)  # fmt: skip
INSTANTS = st.datetimes(datetime(1974, 1, 1), datetime(2099, 12, 31))  # noqa: DTZ001
OFFSETS = st.integers(-14 * 4, 14 * 4).map(lambda quarters: timedelta(minutes=15 * quarters))


def spelled(form: str, moment: datetime) -> str:
    weekday = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][moment.weekday()]
    hour, late = moment.hour % 12 or 12, moment.hour >= 12
    return form.format(
        t=moment, z=moment.strftime("%z"), month=MONTHS[moment.month - 1], weekday=weekday, hour=hour,
        half="PM" if late else "AM", noon="下午" if late else "上午",
    )  # fmt: skip


@pytest.mark.parametrize("form", LOCAL_FORMS)
@settings(max_examples=20, deadline=None)
@given(INSTANTS)
def test_any_instant_comes_back_to_the_microsecond_from_any_form_without_a_zone(
    form: str, wall: datetime
) -> None:
    assert read(spelled(form, wall)) == (wall, None)


@pytest.mark.parametrize("form", ZONED_FORMS)
@settings(max_examples=20, deadline=None)
@given(INSTANTS, OFFSETS)
def test_any_instant_comes_back_with_its_offset_from_any_form_with_one(
    form: str, wall: datetime, offset: timedelta
) -> None:
    moment = wall.replace(tzinfo=timezone(offset))
    assert read(spelled(form, moment)) == (wall, offset // timedelta(seconds=1))


@pytest.mark.parametrize("unit", [1_000_000, 1000, 1])  # microseconds
@pytest.mark.parametrize("with_decimals", [True, False])
@settings(max_examples=20, deadline=None)
@given(INSTANTS)
def test_any_instant_comes_back_from_an_epoch_in_any_unit(
    unit: int, with_decimals: bool, wall: datetime
) -> None:
    micros = (wall - datetime(1970, 1, 1)) // timedelta(microseconds=1)  # noqa: DTZ001
    assume(unit == 1 or str(micros)[:2] not in ("19", "20"))  # it may be a date without marks
    whole, rest = divmod(micros, unit)
    decimals = f".{rest:0{len(str(unit)) - 1}}" if with_decimals and unit > 1 else ""
    kept = timedelta(microseconds=rest if decimals else 0)
    assert read(f"{whole}{decimals}") == (wall - timedelta(microseconds=rest) + kept, 0)
    assert read(f"{micros * 1000 + 999}") == (wall, 0)


@settings(max_examples=60, deadline=None)
@given(st.dates(date(1970, 1, 1), date(2100, 12, 31)))
def test_a_date_without_marks_is_no_epoch(day: date) -> None:
    assert read(f"{day:%Y%m%d}") == (datetime.combine(day, time()), None)


@settings(max_examples=60, deadline=None)
@given(st.text() | st.text("0123456789-/: TZ+.", max_size=25))
def test_no_text_makes_it_fail(text: str) -> None:
    read(text)
