"""Durations as people export them -> whole seconds, parsed by SQL in four steps."""

from typing import Final

_LONGEST: Final = 1 << 31  # seconds, 68 years: what an INTEGER holds

# Each unit's words, longest first: the first that fits is taken.
_DAYS: Final = "天|日|days?|d"
_HOURS: Final = "个?小时|时|hours?|hrs?|h"
_MINUTES: Final = "分钟|分|minutes?|mins?|m"
_SECONDS: Final = "秒钟?|seconds?|secs?|s"
_NUMBER: Final = r"\d{1,12}(?:\.\d{1,9})?"

# A duration inside a sentence: a unit behind each number, and no days, which are rather dates there.
SPOKEN: Final = rf"(?:{_NUMBER} ?(?:{_HOURS}|{_MINUTES}|{_SECONDS}) ?)+"

_UNITS: Final = "".join(f"(?:({_NUMBER}) ?(?:{unit}) ?)?" for unit in (_DAYS, _HOURS, _MINUTES, _SECONDS))
_ISO: Final = rf"^p(?:({_NUMBER})d)?(?:t(?:({_NUMBER})h)?(?:({_NUMBER})m)?(?:({_NUMBER})s)?)?$"
_COLONS: Final = r"^()(\d{1,6}):([0-5]?\d):([0-5]?\d(?:\.\d+)?)$"
_FIELDS: Final = "['d', 'h', 'm', 's']"


def number(text: str) -> str:
    """Return SQL for a duration that is a plain number of seconds, else NULL."""
    return f"try_cast({text} AS DOUBLE)"


def parts(text: str, plain_number: str) -> str:
    """Return SQL that takes apart what `number` left over: a list of one struct of days, hours, minutes and seconds.

    A list, because DuckDB would run the regular expression again for each field of a bare struct.
    """
    low = f"lower({text})"
    return (
        f"CASE WHEN {text} IS NULL OR {plain_number} IS NOT NULL THEN NULL"
        f" WHEN starts_with({low}, 'p') THEN [regexp_extract({low}, '{_ISO}', {_FIELDS})]"
        f" WHEN contains({low}, ':') THEN [regexp_extract({low}, '{_COLONS}', {_FIELDS})]"
        f" ELSE [regexp_extract({low}, '^{_UNITS}$', {_FIELDS})] END"
    )


def seconds(plain_number: str, taken_apart: str) -> str:
    """Return SQL for the duration in seconds (DOUBLE), NULL where the text is none."""
    total = " + ".join(
        f"coalesce(try_cast(u.{field} AS DOUBLE), 0) * {unit}"
        for field, unit in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))
    )
    spoken = (
        f"list_transform({taken_apart}, lambda u:"
        f" CASE WHEN u.d <> '' OR u.h <> '' OR u.m <> '' OR u.s <> '' THEN {total} END)[1]"
    )
    return f"CASE WHEN {plain_number} IS NOT NULL THEN {plain_number} ELSE {spoken} END"


def believable(total: str) -> str:
    """Return SQL for a number of seconds as INTEGER, floored; NULL where it is negative or longer than 68 years."""
    return f"CASE WHEN {total} >= 0 AND {total} < {_LONGEST} THEN CAST(floor({total}) AS INTEGER) END"
