"""How values are stored in the ledger: JSON, deflated where it is long.

A ledger may be damaged or made to attack. Whatever cannot be read raises StoredValueError, and inflation is bounded.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from itertools import accumulate, chain, islice
from typing import Any

import orjson

from eventabs.records import Behavior, Message, Part, UserLog

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  wall times are counted from a naive epoch
_EPOCH_DAY = _EPOCH.toordinal()
_CHUNK = 2048  # behaviors
_CHUNKED = b"E"  # no deflated value begins so
_INDEX_LENGTH = 4  # bytes that hold the length of the index
_FAST = 1  # deflate level: logs shrink by nine tenths already here
_AS_IT_IS = 0
_SMALL = 8192  # bytes: all of a value that small lies in the smallest window that costs it nothing

MOST_TIMES = 32  # that a value may be as large as what is stored of it
_ALWAYS_ALLOWED = 1024 * 1024  # bytes; so far it may shrink as it likes


class StoredValueError(Exception):
    """A stored value cannot be read: it is damaged, or would inflate beyond what any value of a run does."""


@contextmanager
def decoding() -> Iterator[None]:
    """Raise StoredValueError for what fails inside: it is the value's fault."""
    try:
        yield
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, zlib.error) as error:
        raise StoredValueError(str(error)) from error


def pack_json(value: object) -> bytes:
    """Deflate `value` as JSON."""
    return _deflate(orjson.dumps(value))


@decoding()
def unpack_json(blob: bytes | memoryview) -> Any:  # noqa: ANN401  JSON
    """Return what `pack_json` was given."""
    return orjson.loads(_inflate(blob))


def pack_log(log: UserLog) -> bytes:
    """Pack a log: profile and, per behavior, wall seconds, zone offset in seconds and the fields.

    The export's own sentence is left out: what is sent and shown is made from the fields. A long log is packed in
    chunks behind an index, so that a part of it is read without the rest.
    """
    if len(log.behaviors) <= _CHUNK:
        return pack_json([log.profile, list(map(_row, log.behaviors))])
    behaviors = iter(log.behaviors)
    chunks = [pack_json(rows) for rows in iter(lambda: list(map(_row, islice(behaviors, _CHUNK))), [])]
    index = pack_json([log.profile, list(map(len, chunks))])
    return b"".join((_CHUNKED, len(index).to_bytes(_INDEX_LENGTH), index, *chunks))


@decoding()
def unpack_log(user_id: str, blob: bytes, first: int = 0, last: int | None = None) -> UserLog:
    """Return the log, or its behaviors `first`..`last`, both included."""
    if blob.startswith(_CHUNKED):
        profile, rows = _unpack_chunks(memoryview(blob)[len(_CHUNKED) :], first, last)
    else:
        profile, rows = unpack_json(blob)
        rows = rows[first:] if last is None else rows[first : last + 1]
    return UserLog(
        user_id, tuple(_behavior(row) for row in rows), tuple((name, value) for name, value in profile)
    )


def _unpack_chunks(packed: memoryview, first: int, last: int | None) -> tuple[Any, Iterator[Any]]:
    """Return the profile, and the rows `first`..`last` out of those chunks that hold them."""
    start = _INDEX_LENGTH + int.from_bytes(packed[:_INDEX_LENGTH])
    profile, lengths = unpack_json(packed[_INDEX_LENGTH:start])
    wanted = range(first // _CHUNK, len(lengths) if last is None else last // _CHUNK + 1)
    begins = list(accumulate(lengths, initial=start))
    rows = chain.from_iterable(unpack_json(packed[begins[at] : begins[at + 1]]) for at in wanted)
    skipped = first % _CHUNK
    return profile, islice(rows, skipped, None if last is None else skipped + last - first + 1)


@decoding()
def unpack_events(blobs: Iterable[bytes]) -> list[dict[str, Any]]:
    """Return the events of several outcomes in order of start and end."""
    return sort_events(event for blob in blobs for event in unpack_json(blob))


def sort_events(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return events in order of start and end."""
    return sorted(events, key=lambda event: (event["start"], event["end"]))


def pack_parts(parts: Mapping[str, Part], missed: Mapping[str, Sequence[int]] | None = None) -> str:
    """Write down the parts of a call by alias, and of some the log indices that alone are asked about."""
    asked = missed or {}
    rows = {alias: [*part, asked[alias]] if asked.get(alias) else list(part) for alias, part in parts.items()}
    return orjson.dumps(rows).decode()


@decoding()
def unpack_parts(text: str) -> dict[str, Part]:
    """Return the parts that `pack_parts` was given."""
    return {alias: Part(*part[:3]) for alias, part in orjson.loads(text).items()}


@decoding()
def unpack_missed(text: str) -> dict[str, tuple[int, ...]]:
    """Return the log indices that `pack_parts` was given, of those aliases that have some."""
    return {
        alias: tuple(map(int, row[3]))
        for alias, row in orjson.loads(text).items()
        if len(row) > len(Part._fields)
    }


@decoding()
def unpack_messages(blob: bytes) -> tuple[Message, ...]:
    """Return the messages of a call as they were sent."""
    return tuple({"role": message["role"], "content": message["content"]} for message in unpack_json(blob))


def pack_text(text: str) -> bytes:
    """Deflate a text; lone surrogates, which a broken reply may hold, survive."""
    return _deflate(text.encode("utf-8", "surrogatepass"))


@decoding()
def unpack_text(blob: bytes | None) -> str:
    """Return what `pack_text` was given, "" for None."""
    return "" if blob is None else _inflate(blob).decode("utf-8", "surrogatepass")


def _deflate(data: bytes) -> bytes:
    if len(data) <= _SMALL:
        # zlib's usual tables take 256 KB; to get them from the system can take longer than to deflate what is small
        deflater = zlib.compressobj(_FAST, wbits=13, memLevel=5)
        return deflater.compress(data) + deflater.flush()
    packed = zlib.compress(data, _FAST)
    return packed if len(data) <= _most_of(packed) else zlib.compress(data, _AS_IT_IS)


def _inflate(blob: bytes | memoryview) -> bytes:
    most = _most_of(blob)
    inflater = zlib.decompressobj()
    data = inflater.decompress(blob, most + 1)
    if len(data) > most:
        message = "inflates too far"
        raise StoredValueError(message)
    if not inflater.eof:
        message = "incomplete"
        raise zlib.error(message)
    return data


def _most_of(packed: bytes | memoryview) -> int:
    return max(_ALWAYS_ALLOWED, MOST_TIMES * len(packed))


def _row(b: Behavior) -> tuple[Any, ...]:
    return _wall_seconds(b.start), _offset(b.start), b.action, b.item, b.place, b.duration, b.file, b.line


def _wall_seconds(moment: datetime) -> int:
    days = moment.toordinal() - _EPOCH_DAY
    return days * 86_400 + moment.hour * 3_600 + moment.minute * 60 + moment.second


def instant(behavior: Behavior) -> int:
    """Return when a behavior starts, in seconds since 1970; without an offset by the user's clock."""
    return _wall_seconds(behavior.start) - (_offset(behavior.start) or 0)


def span_row(log: UserLog) -> tuple[str, int, int, int]:
    """Return whose log it is, when its first and its last behavior start, and on how many days behaviors lie."""
    return log.user_id, instant(log.behaviors[0]), instant(log.behaviors[-1]), log.days


def _offset(moment: datetime) -> int | None:
    offset = moment.utcoffset()
    return None if offset is None else int(offset.total_seconds())


def _behavior(row: Sequence[Any]) -> Behavior:
    seconds, offset, action, item, place, duration, file, line = row
    start = _EPOCH + timedelta(seconds=seconds)
    if offset is not None:
        start = start.replace(tzinfo=timezone(timedelta(seconds=offset)) if offset else UTC)
    return Behavior(start, action, item, place, duration, file, line)
