"""How long a server asks to wait, from the headers of its answer."""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

LONGEST_WAIT = 31_536_000.0  # seconds; a demand beyond a year is taken as a year
_LONGEST_GUESS = 900.0  # seconds; where it is not said which limit is used up, one of hours is hardly it
_RESETS = ("requests", "tokens")
_UNITS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)(ms|[dhms])", re.ASCII)
_NUMBER = re.compile(r"\d{1,12}(?:\.\d{1,12})?", re.ASCII)


def read_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Read retry-after-ms and Retry-After (seconds or HTTP date, RFC 9110, 10.2.3); None without them.

    `now` is the Unix time that a date is compared with.
    """
    milliseconds = _read_number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return min(milliseconds / 1000, LONGEST_WAIT)
    value = headers.get("retry-after", "").strip()
    seconds = _read_number(value)
    if seconds is None and value:
        seconds = _seconds_until(value, now)
    return None if seconds is None else min(seconds, LONGEST_WAIT)


def read_reset(headers: Mapping[str, str]) -> float | None:
    """Read x-ratelimit-reset-requests and -tokens (`1s`, `6m0s`, `250ms`) of an answer 429.

    The longest counts of those limits that are used up; where the server does not say which, the longest
    but for those of hours: a day's quota is told of in every answer.
    https://platform.openai.com/docs/guides/rate-limits
    """
    waits = {name: read_duration(headers.get(f"x-ratelimit-reset-{name}", "")) for name in _RESETS}
    used_up = [name for name in _RESETS if headers.get(f"x-ratelimit-remaining-{name}", "").strip() == "0"]
    known = [wait for name in used_up or _RESETS if (wait := waits[name]) is not None]
    if not used_up:
        known = [wait for wait in known if wait <= _LONGEST_GUESS]
    return min(max(known), LONGEST_WAIT) if known else None


def read_duration(text: str) -> float | None:
    """Read `6m0s`, `250ms` or plain seconds; None for anything else."""
    text = text.strip()
    parts = _DURATION.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    return _read_number(text)


def _read_number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text.strip()) else None


def _seconds_until(date: str, now: float) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - now)
