"""Durations: spoken, written or counted, they become whole seconds."""

from typing import Any

import duckdb
import pytest
from hypothesis import given, settings, strategies as st

from eventabs.ingest.normal_form import define_macros

CONNECTION = duckdb.connect()
define_macros(CONNECTION)


def read(text: str | None) -> int | None:
    row: Any = CONNECTION.execute(
        """SELECT believable_duration(duration_seconds(n, duration_parts(t, n)))
        FROM (SELECT t, try_cast(t AS DOUBLE) AS n FROM (SELECT with_point(?::VARCHAR) AS t))""",
        [text],
    ).fetchone()
    found: int | None = row[0]
    return found


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("292", 292),
        ("292.9", 292),
        ("1e3", 1000),
        ("292秒", 292),
        ("292 秒", 292),
        ("292s", 292),
        ("13分钟", 780),
        ("1小时14分钟", 4440),
        ("1个小时 14分", 4440),
        ("1個小時14分鐘", 4440),
        ("1時間14分", 4440),
        ("1시간 14분", 4440),
        ("2小时", 7200),
        ("1天2小时", 93_600),
        ("1h14m", 4440),
        ("1H 14M 5S", 4445),
        ("14 min", 840),
        ("1.5 hours", 5400),
        ("1,5 h", 5400),
        ("7,25", 7),
        ("2 hrs 1 minute", 7260),
        ("PT1H14M", 4440),
        ("P1DT0.5S", 86_400),
        ("01:14:00", 4440),
        ("100:00:01.9", 360_001),
        ("0 days 00:10:44.793000", 644),
        ("1 day, 2:03:04", 93_784),
        ("2 days 01:00:00", 176_400),
        ("1.02:03:04", 93_784),
    ],
)
def test_every_usual_form_becomes_whole_seconds(text: str | None, seconds: int) -> None:
    assert read(text) == seconds


@pytest.mark.parametrize(
    "text",
    [None, "", "-5", "-1h", "long", "h", "P", "PT", "1h1h", "14:00", "1:60:00", "-1 days +23:00:00", "292ms", "nan", "inf", "9e99", "9999999天"],
)  # fmt: skip
def test_what_is_no_believable_duration_is_not_guessed(text: str | None) -> None:
    assert read(text) is None


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 400_000),
    st.sampled_from(["{h}小时{m}分钟{s}秒", "{h}h{m}m{s}s", "PT{h}H{m}M{s}S", "{h}:{m}:{s}"]),
)
def test_hours_minutes_and_seconds_add_up_in_every_form(total: int, form: str) -> None:
    minutes, seconds = divmod(total, 60)
    hours, minutes = divmod(minutes, 60)
    assert read(form.format(h=hours, m=minutes, s=seconds)) == total


@settings(max_examples=60, deadline=None)
@given(st.text() | st.text("0123456789.:hmsdpt小时分钟秒天", max_size=20))
def test_no_text_makes_it_fail(text: str | None) -> None:
    found = read(text)
    assert found is None or found >= 0
