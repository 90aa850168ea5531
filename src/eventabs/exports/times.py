"""Times as people export them -> wall time and offset, parsed by SQL."""

from typing import Final

_DATE: Final = r"\d{4}[-/]\d{1,2}[-/]\d{1,2}"
_CLOCK: Final = r"\d{1,2}:\d{2}(?::\d{2})?"
_FRACTION: Final = r"(?:[.,]\d+)?"
_ZONE: Final = r"Z|z|UTC|GMT|[+-]\d{2}(?::?\d{2})?"

_NAIVE: Final = rf"{_DATE}(?:[ T]{_CLOCK}{_FRACTION})?"
_EPOCH: Final = r"(?:\d{9,10}|\d{12,13})(?:\.\d+)?"  # seconds from 1973 on, or milliseconds
_ZONED: Final = rf"^({_DATE})[ T]({_CLOCK}){_FRACTION} ?({_ZONE})$"
_MILLISECOND_DIGITS: Final = 12
_FIRST_YEAR, _LAST_YEAR = 1970, 2100
_LARGEST_OFFSET: Final = 18 * 3600  # seconds; offsets in use stay below


def stamp(text: str) -> str:
    """SQL that parses the SQL expression `text`: a struct of `wall` (TIMESTAMP, whole seconds) and `shift`.

    `shift` is the offset from UTC in seconds, NULL where the text names none; an epoch is UTC.
    The whole is NULL, or its `wall` is, where the text is no time.
    """
    whole = f"split_part({text}, '.', 1)"
    seconds = (
        f"CAST({whole} AS BIGINT) // (CASE WHEN length({whole}) >= {_MILLISECOND_DIGITS} THEN 1000 ELSE 1 END)"
    )
    offset = (
        "CASE WHEN z.zone[1] IN ('+', '-') THEN"
        " (CASE z.zone[1] WHEN '-' THEN -1 ELSE 1 END) * (CAST(z.zone[2:3] AS INTEGER) * 3600"
        " + coalesce(try_cast(right(replace(z.zone[4:], ':', ''), 2) AS INTEGER), 0) * 60) ELSE 0 END"
    )
    # A list of one with a lambda runs the regular expression once for the three fields.
    zoned_wall = _wall("z.day || ' ' || z.clock")
    naive_wall = _wall(f"replace({text}, ',', '.')")
    zoned = (
        f"list_transform([regexp_extract({text}, '{_ZONED}', ['day', 'clock', 'zone'])],"
        f" lambda z: {{'wall': {zoned_wall}, 'shift': {offset}}})[1]"
    )
    return (
        f"CASE WHEN regexp_full_match({text}, '{_NAIVE}')"
        f" THEN {{'wall': date_trunc('second', {naive_wall}), 'shift': NULL::INTEGER}}"
        f" WHEN regexp_full_match({text}, '{_EPOCH}')"
        f" THEN {{'wall': make_timestamp(({seconds}) * 1000000), 'shift': 0}}"
        f" WHEN regexp_matches({text}, '{_ZONED}') THEN {zoned} END"
    )


def sane(parsed: str) -> str:
    """SQL that keeps the struct made by `stamp` only if year and offset are believable, else NULL."""
    return (
        f"CASE WHEN year({parsed}.wall) BETWEEN {_FIRST_YEAR} AND {_LAST_YEAR}"
        f" AND abs(coalesce({parsed}.shift, 0)) <= {_LARGEST_OFFSET} THEN {parsed} END"
    )


def in_zone(parsed: str, zone: str) -> str:
    """SQL that moves the struct made by `stamp` into the time zone `zone`, a quoted SQL literal.

    Wall times without an offset are taken as wall times of that zone. The session's zone must be UTC.
    """
    instant = (
        f"CASE WHEN {parsed}.shift IS NULL THEN timezone({zone}, {parsed}.wall)"
        f" ELSE timezone('UTC', {parsed}.wall - to_seconds({parsed}.shift)) END"
    )
    return (
        f"CASE WHEN {parsed} IS NOT NULL THEN list_transform([{instant}], lambda i:"
        f" {{'wall': timezone({zone}, i),"
        f" 'shift': CAST(date_diff('second', timezone('UTC', i), timezone({zone}, i)) AS INTEGER)}})[1] END"
    )


def _wall(text: str) -> str:
    return f"try_cast(replace({text}, '/', '-') AS TIMESTAMP)"
