"""Durations as people export them -> whole seconds, parsed by SQL in four steps."""

from typing import Final

_DATE: Final = r"\d{4}[-/]\d{1,2}[-/]\d{1,2}"
_CLOCK: Final = r"\d{1,2}:\d{2}(?::\d{2})?"
_FRACTION: Final = r"(?:[.,]\d+)?"
_ZONE: Final = r"Z|z|UTC|GMT|[+-]\d{2}(?::?\d{2})?"

_STAMP: Final = rf"^({_DATE})(?:[ T]({_CLOCK}){_FRACTION}(?: ?({_ZONE}))?)?$"
_EPOCH: Final = r"(?:\d{9,10}|\d{12,13}|\d{15,16})(?:\.\d+)?"  # seconds from 1973 on, milli- or microseconds
_MILLISECOND_DIGITS: Final = 12
_MICROSECOND_DIGITS: Final = 15
# Tue Apr 03 18:00:09 +0000 2012
_POSTED: Final = r"^[A-Z][a-z]{2} ([A-Z][a-z]{2}) (\d{1,2}) (\d{2}:\d{2}:\d{2}) ([+-]\d{4}) (\d{4})$"
_MONTHS: Final = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
# 03/04/2026: day or month first
SHORT_DATE: Final = r"^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})( .*)?$"
_CLOCK_ONLY: Final = rf"^{_CLOCK}{_FRACTION}$"
_FIRST_YEAR, _LAST_YEAR = 1970, 2100
_LARGEST_OFFSET: Final = 18 * 3600  # seconds; offsets in use stay below


def spelled_out(text: str, date: str, dayfirst: bool | None) -> str:
    """Return SQL that writes less usual forms of a time as YYYY-MM-DD HH:MM:SS with its zone, others as they are.

    `date` is the SQL expression of a date in a column of its own, for a `text` that is a time of day. Without
    `dayfirst` a date such as 03/04/2026 stays as it is, and is none.
    """
    whole = f"CASE WHEN regexp_matches({text}, '{_CLOCK_ONLY}') THEN concat_ws(' ', {date}, {text}) ELSE {text} END"
    month = (
        f"lpad(CAST(position(regexp_extract(t, '{_POSTED}', 1) IN '{_MONTHS}') // 4 + 1 AS VARCHAR), 2, '0')"
    )
    posted = (
        f"regexp_extract(t, '{_POSTED}', 5) || '-' || {month} || '-' || regexp_extract(t, '{_POSTED}', 2) || ' '"
        f" || regexp_extract(t, '{_POSTED}', 3) || regexp_extract(t, '{_POSTED}', 4)"
    )
    order = "\\3-\\2-\\1\\4" if dayfirst else "\\3-\\1-\\2\\4"
    short = "t" if dayfirst is None else f"regexp_replace(t, '{SHORT_DATE}', '{order}')"
    return (
        f"list_transform([{whole}], lambda t: CASE WHEN t IS NULL OR t[5] = '-' THEN t"
        f" WHEN t >= 'A' AND regexp_matches(t, '{_POSTED}') THEN {posted}"
        f" WHEN t[2] IN ('/', '-', '.') OR t[3] IN ('/', '-', '.') THEN {short} ELSE t END)[1]"
    )


def usual(text: str) -> str:
    """Return SQL for the TIMESTAMP of a text in the form most exports have, else NULL: much faster than the rest."""
    # strptime also knows the words epoch and infinity
    begins_with_digit = f"{text} >= '0' AND {text} < ':'"
    return (
        f"CASE WHEN {begins_with_digit}"
        f" THEN try_strptime({text}, ['%Y-%m-%d %H:%M:%S', '%Y-%m-%dT%H:%M:%S']) END"
    )


def time_parts(text: str, usual_time: str) -> str:
    """Return SQL that takes apart what `usual` left over: a struct of day, clock and zone, or NULL."""
    return (
        f"CASE WHEN {usual_time} IS NULL AND {text} IS NOT NULL"
        f" THEN regexp_extract({text}, '{_STAMP}', ['day', 'clock', 'zone']) END"
    )


def wall(text: str, usual_time: str, parsed: str) -> str:
    """Return SQL for the time as it is written, a TIMESTAMP in whole seconds; NULL if it is none. An epoch is UTC."""
    whole = f"split_part({text}, '.', 1)"
    unit = (
        f"CASE WHEN length({whole}) >= {_MICROSECOND_DIGITS} THEN 1000000"
        f" WHEN length({whole}) >= {_MILLISECOND_DIGITS} THEN 1000 ELSE 1 END"
    )
    spelled = (
        f"try_cast(concat_ws(' ', replace({parsed}.day, '/', '-'), nullif({parsed}.clock, '')) AS TIMESTAMP)"
    )
    return (
        f"CASE WHEN {usual_time} IS NOT NULL THEN {usual_time} WHEN {parsed}.day <> '' THEN {spelled}"
        f" WHEN regexp_full_match({text}, '{_EPOCH}')"
        f" THEN make_timestamp(CAST({whole} AS BIGINT) // ({unit}) * 1000000) END"
    )


def shift(text: str, usual_time: str, parsed: str) -> str:
    """Return SQL for the offset from UTC in seconds that the text names, NULL if it names none. An epoch's is 0."""
    zone = f"{parsed}.zone"
    seconds = (
        f"(CASE {zone}[1] WHEN '-' THEN -1 ELSE 1 END) * (CAST({zone}[2:3] AS INTEGER) * 3600"
        f" + coalesce(try_cast(right(replace({zone}[4:], ':', ''), 2) AS INTEGER), 0) * 60)"
    )
    return (
        f"CASE WHEN {text} IS NULL OR {usual_time} IS NOT NULL OR ({parsed}.day <> '' AND {zone} = '') THEN NULL"
        f" WHEN {zone}[1] IN ('+', '-') THEN {seconds} ELSE 0 END"
    )


def believable_time(wall_time: str, offset: str) -> str:
    """Return SQL for `wall_time` where its year and offset are believable, else NULL."""
    return (
        f"CASE WHEN year({wall_time}) BETWEEN {_FIRST_YEAR} AND {_LAST_YEAR}"
        f" AND abs(coalesce({offset}, 0)) <= {_LARGEST_OFFSET} THEN {wall_time} END"
    )


def instant(wall_time: str, offset: str, zone: str) -> str:
    """Return SQL for the TIMESTAMPTZ of a wall time; one without offset is of `zone`, a quoted SQL literal."""
    return (
        f"CASE WHEN {offset} IS NULL THEN timezone({zone}, {wall_time})"
        f" ELSE timezone('UTC', {wall_time} - to_seconds({offset})) END"
    )


def wall_in(zone: str, moment: str) -> str:
    """Return SQL for the wall time of a TIMESTAMPTZ in `zone`."""
    return f"timezone({zone}, {moment})"


def shift_in(zone: str, moment: str) -> str:
    """Return SQL for the offset from UTC, in seconds, of `zone` at a TIMESTAMPTZ."""
    return f"CAST(date_diff('second', timezone('UTC', {moment}), timezone({zone}, {moment})) AS INTEGER)"


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


def duration_number(text: str) -> str:
    """Return SQL for a duration that is a plain number of seconds, else NULL."""
    return f"try_cast({text} AS DOUBLE)"


def duration_parts(text: str, plain_number: str) -> str:
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


def duration_seconds(plain_number: str, taken_apart: str) -> str:
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


def believable_duration(total: str) -> str:
    """Return SQL for a number of seconds as INTEGER, floored; NULL where it is negative or longer than 68 years."""
    return f"CASE WHEN {total} >= 0 AND {total} < {_LONGEST} THEN CAST(floor({total}) AS INTEGER) END"
