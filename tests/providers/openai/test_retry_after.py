from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from eventabs.providers.openai.errors import LONGEST_WAIT, read_duration, read_reset, read_retry_after

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SOON = format_datetime(datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC), usegmt=True)
EARLIER = format_datetime(datetime(2026, 1, 1, 11, 0, tzinfo=UTC), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": SOON}, 30.0),
        ({"retry-after": EARLIER}, 0.0),
        ({"retry-after": "Thu, 01 Jan 2026 12:00:30"}, 30.0),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "１"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "99999999999"}, LONGEST_WAIT),
        ({"retry-after-ms": "99999999999"}, LONGEST_WAIT),
        ({"retry-after": "Fri, 01 Jan 9999 00:00:00 GMT"}, LONGEST_WAIT),
    ],
)
def test_retry_after_is_read_as_seconds_date_or_milliseconds(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert read_retry_after(headers, NOW.timestamp()) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("250ms", 0.25),
        ("1h2m3.5s", 3723.5),
        ("2d", 172_800.0),
        ("12", 12.0),
        (" 12.5 ", 12.5),
        ("", None),
        ("1x", None),
        ("s", None),
        ("2026-01-01T00:00:00Z", None),
    ],
)
def test_durations_are_read(text: str, seconds: float | None) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "6m0s"}, 360.0),
        (
            {
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "6m0s",
                "x-ratelimit-remaining-tokens": "100",
            },
            1.0,
        ),
        ({"x-ratelimit-reset-tokens": "250ms", "x-ratelimit-remaining-requests": "0"}, None),
        ({"x-ratelimit-reset-requests": "9d", "x-ratelimit-remaining-requests": "0"}, 777_600.0),
        ({"x-ratelimit-reset-requests": "999d", "x-ratelimit-remaining-requests": "0"}, LONGEST_WAIT),
        ({"x-ratelimit-reset-requests": "23h59m", "x-ratelimit-reset-tokens": "40s"}, 40.0),
        ({"x-ratelimit-reset-requests": "23h59m"}, None),
    ],
)
def test_the_limit_that_is_used_up_decides_the_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert read_reset(headers) == seconds
