"""How a user log, a request and a reply are kept in the ledger: JSON, deflated.

What is read may come from anybody, so inflating has an end: see `SwollenError`.
"""

import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson

from eventabs.records import Behavior, Message, UserLog

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  wall times are counted from a naive epoch
_EPOCH_DAY = _EPOCH.toordinal()
_FAST = 1  # deflate level: logs shrink by nine tenths already here
_AS_IT_IS = 0
_NO_TEXT = zlib.compress(b"", _FAST)  # most replies come without reasoning

MOST_TIMES = 32  # that a value may be as large as what is stored of it
_ALWAYS_ALLOWED = 1024 * 1024  # bytes; so far it may shrink as it likes


class InflationError(ValueError):
    """A value that inflates to more than 1 MB and more than 32 times its size. None that we stored does."""


def pack_json(value: object) -> bytes:
    """Deflate `value` as JSON."""
    return _deflate(orjson.dumps(value))


def unpack_json(blob: bytes) -> Any:  # noqa: ANN401  JSON
    """Return what `pack_json` was given. Raises SwollenError, as all that unpack do."""
    return orjson.loads(_inflate(blob))


def pack_log(log: UserLog) -> bytes:
    """Keep a log: profile and, per behavior, wall seconds, zone offset in seconds and the fields.

    The export's own sentence is left out: what is sent and shown is made from the fields.
    """
    rows = [
        (_wall_seconds(b.start), _offset(b.start), b.action, b.item, b.place, b.duration, b.file, b.line)
        for b in log.behaviors
    ]
    return pack_json([log.profile, rows])


def unpack_log(user_id: str, blob: bytes, first: int = 0, last: int | None = None) -> UserLog:
    """Return the log, or its behaviors `first`..`last`, both included."""
    profile, rows = unpack_json(blob)
    wanted = rows[first:] if last is None else rows[first : last + 1]
    return UserLog(
        user_id, tuple(_behavior(row) for row in wanted), tuple((name, value) for name, value in profile)
    )


def pack_messages(messages: Sequence[Message]) -> bytes:
    """Keep the messages of a call as they were sent."""
    return pack_json(list(messages))


def pack_text(text: str) -> bytes:
    """Deflate a text; lone surrogates, which a broken reply may hold, survive."""
    return _deflate(text.encode("utf-8", "surrogatepass")) if text else _NO_TEXT


def unpack_text(blob: bytes) -> str:
    """Return what `pack_text` was given."""
    return _inflate(blob).decode("utf-8", "surrogatepass")


def _deflate(data: bytes) -> bytes:
    packed = zlib.compress(data, _FAST)
    return packed if len(data) <= _most_of(packed) else zlib.compress(data, _AS_IT_IS)


def _inflate(blob: bytes) -> bytes:
    most = _most_of(blob)
    inflater = zlib.decompressobj()
    data = inflater.decompress(blob, most + 1)
    if len(data) > most:
        raise InflationError
    if not inflater.eof:
        message = "incomplete"
        raise zlib.error(message)
    return data


def _most_of(packed: bytes) -> int:
    return max(_ALWAYS_ALLOWED, MOST_TIMES * len(packed))


def _wall_seconds(moment: datetime) -> int:
    days = moment.toordinal() - _EPOCH_DAY
    return days * 86_400 + moment.hour * 3_600 + moment.minute * 60 + moment.second


def _offset(moment: datetime) -> int | None:
    offset = moment.utcoffset()
    return None if offset is None else int(offset.total_seconds())


def _behavior(row: Sequence[Any]) -> Behavior:
    seconds, offset, action, item, place, duration, file, line = row
    start = _EPOCH + timedelta(seconds=seconds)
    if offset is not None:
        start = start.replace(tzinfo=timezone(timedelta(seconds=offset)) if offset else UTC)
    return Behavior(start, action, item, place, duration, file, line)
