"""Durations as people export them -> whole seconds, parsed by SQL."""

from typing import Final

_LONGEST: Final = 100 * 366 * 86_400  # seconds; keeps start + duration inside the calendar

# Each unit's words, longest first: the first that fits is taken.
_DAYS: Final = "天|日|days?|d"
_HOURS: Final = "个?小时|时|hours?|hrs?|h"
_MINUTES: Final = "分钟|分|minutes?|mins?|m"
_SECONDS: Final = "秒钟?|seconds?|secs?|s"
_NUMBER: Final = r"\d{1,12}(?:\.\d{1,9})?"

# A duration inside a sentence: a unit behind each number, and no days, which are rather dates there.
SPOKEN: Final = rf"(?:{_NUMBER} ?(?:{_HOURS}|{_MINUTES}|{_SECONDS}) ?)+"

_UNITS: Final = "".join(
    f"(?:({_NUMBER}) ?(?:{unit}) ?)?" for unit in (_DAYS, _HOURS, _MINUTES, _SECONDS)
)
_ISO: Final = rf"^p(?:({_NUMBER})d)?(?:t(?:({_NUMBER})h)?(?:({_NUMBER})m)?(?:({_NUMBER})s)?)?$"
_COLONS: Final = r"^()(\d{1,6}):([0-5]?\d):([0-5]?\d(?:\.\d+)?)$"
_FIELDS: Final = "['d', 'h', 'm', 's']"


def seconds(text: str) -> str:
    """SQL that parses the SQL expression `text` (292, 1h14m, 1小时14分钟, PT1H14M, 01:14:00): INTEGER seconds.

    Fractions are floored. NULL where the text is no duration, is negative or longer than a century.
    """
    low = f"lower({text})"
    parts = (
        f"CASE WHEN starts_with({low}, 'p') THEN regexp_extract({low}, '{_ISO}', {_FIELDS})"
        f" WHEN contains({low}, ':') THEN regexp_extract({low}, '{_COLONS}', {_FIELDS})"
        f" ELSE regexp_extract({low}, '^{_UNITS}$', {_FIELDS}) END"
    )
    total = " + ".join(
        f"coalesce(try_cast(u.{field} AS DOUBLE), 0) * {unit}"
        for field, unit in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))
    )
    # A list of one with a lambda runs the regular expression once for the four fields.
    spoken = (
        f"list_transform([{parts}], lambda u: CASE WHEN concat(u.d, u.h, u.m, u.s) <> '' THEN {total} END)[1]"
    )
    return (
        f"CASE WHEN regexp_full_match({text}, '\\d{{1,10}}') THEN {_bounded(f'CAST({text} AS BIGINT)')}"
        f" WHEN try_cast({text} AS DOUBLE) IS NOT NULL THEN {_bounded(f'CAST({text} AS DOUBLE)')}"
        f" ELSE {_bounded(spoken)} END"
    )


def _bounded(number: str) -> str:
    return f"list_transform([{number}], lambda n: CASE WHEN n >= 0 AND n < {_LONGEST} THEN CAST(floor(n) AS INTEGER) END)[1]"
