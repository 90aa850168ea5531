"""Times: every usual form is read, nothing else is guessed."""

from datetime import datetime, timedelta, timezone
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings, strategies as st

from eventabs.ingest.database import quoted
from eventabs.ingest.normal_form import define_macros

CONNECTION = duckdb.connect()
define_macros(CONNECTION)
CONNECTION.execute("SET TimeZone = 'UTC'")


def read(text: str | None, zone: str = "") -> tuple[datetime, int | None] | None:
    steps = """
        SELECT believable_time(wall, shift) AS wall, shift FROM (
            SELECT wall_time(t, u, p) AS wall, time_shift(t, u, p) AS shift FROM (
                SELECT *, time_parts(t, u) AS p FROM (SELECT t, usual_time(t) AS u FROM (SELECT ?::VARCHAR AS t))))"""
    if zone:
        steps = f"""
            SELECT timezone({quoted(zone)}, moment), shift_in({quoted(zone)}, moment)
            FROM (SELECT moment_of(wall, shift, {quoted(zone)}) AS moment FROM ({steps}))"""
    row: Any = CONNECTION.execute(steps, [text]).fetchone()
    return None if row[0] is None else (row[0], row[1])


@pytest.mark.parametrize(
    ("text", "wall", "shift"),
    [
        ("2026-01-15 10:00:42", "2026-01-15T10:00:42", None),
        ("2026-01-15T10:00:42", "2026-01-15T10:00:42", None),
        ("2026-01-15T10:00:42.987654", "2026-01-15T10:00:42", None),
        ("2026-01-15 10:00:42,987", "2026-01-15T10:00:42", None),
        ("2026-01-15 10:00", "2026-01-15T10:00:00", None),
        ("2026/01/15 10:00:42", "2026-01-15T10:00:42", None),
        ("2026/1/5 3:04", "2026-01-05T03:04:00", None),
        ("2026-01-15", "2026-01-15T00:00:00", None),
        ("2026-01-15T10:00:42Z", "2026-01-15T10:00:42", 0),
        ("2026-01-15 10:00:42 UTC", "2026-01-15T10:00:42", 0),
        ("2026-01-15T10:00:42.5+08:00", "2026-01-15T10:00:42", 28_800),
        ("2026-01-15T10:00:42-0330", "2026-01-15T10:00:42", -12_600),
        ("2026-01-15 10:00+08", "2026-01-15T10:00:00", 28_800),
        ("1767225600", "2026-01-01T00:00:00", 0),
        ("1767225600.75", "2026-01-01T00:00:00", 0),
        ("1767225600999", "2026-01-01T00:00:00", 0),
    ],
)
def test_a_usual_form_is_read_in_whole_seconds_and_keeps_its_offset(
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
        "20260115",
        "12345",
        "-1767225600",
        "2026-13-01 10:00:00",
        "2026-02-30",
        "2026-01-15 10:00:61",
        "2026-01-15 10:00:00 Mars",
        "2026-01-15T10:00:00+19:00",
        "2026-01-15T10:00:00+99:99",
        "1969-12-31 23:59:59",
        "2101-01-01 00:00:00",
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


@settings(max_examples=60, deadline=None)
@given(
    st.datetimes(datetime(1974, 1, 1), datetime(2099, 12, 31)),  # noqa: DTZ001
    st.integers(-14 * 4, 14 * 4).map(lambda quarters: timedelta(minutes=15 * quarters)),
    st.sampled_from(["iso", "epoch", "milliseconds"]),
)
def test_any_instant_comes_back_from_any_form_of_it(wall: datetime, offset: timedelta, form: str) -> None:
    moment = wall.replace(microsecond=0, tzinfo=timezone(offset))
    spelled = {
        "iso": moment.isoformat(),
        "epoch": f"{moment.timestamp():.0f}",
        "milliseconds": f"{moment.timestamp() * 1000:.0f}",
    }[form]
    found = read(spelled)
    assert found is not None
    assert found[1] is not None
    assert found[0].replace(tzinfo=timezone(timedelta(seconds=found[1]))) == moment


@settings(max_examples=60, deadline=None)
@given(st.text() | st.text("0123456789-/: TZ+.", max_size=25))
def test_no_text_makes_it_fail(text: str) -> None:
    read(text)
