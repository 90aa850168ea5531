"""From the bytes of an answer to its payloads: decompressed, bounded, a stream of events or one document."""

import zlib

from eventabs.llm.sse import EventDecoder

_WIRE_FACTOR = 8  # a stream spends a few hundred bytes on a word, so it may be longer than what is kept


class UnreadableBodyError(Exception):
    """The answer's bytes are larger than allowed, or compressed in a way that was not asked for."""


class PayloadReader:
    """Cuts an answer into payloads. Which kind it is shows in its first byte: headers are often wrong."""

    def __init__(self, *, encoding: str, limit: int) -> None:
        self.head = b""  # the first bytes that are not blank, to describe what is no payload
        self.is_document = False  # one JSON document (or whatever else it is), not events
        self._inflater = _make_inflater(encoding)
        self._limit = limit
        self._read = 0
        self._document: list[bytes] = []
        self._events = EventDecoder()

    def feed(self, raw: bytes) -> list[bytes]:
        """Take the next bytes; return the payloads that they complete. Raises UnreadableBodyError."""
        chunk = _inflate(self._inflater, raw, self._limit) if self._inflater else raw
        self._read += len(chunk)
        if not self.head:
            chunk = chunk.lstrip(b"\xef\xbb\xbf \t\r\n")
            self.head = chunk[:1024]
            self.is_document = self.head.startswith((b"{", b"[", b"<"))
        if self._read > (self._limit if self.is_document else self._limit * _WIRE_FACTOR):
            raise UnreadableBodyError
        if not self.is_document:
            payloads = self._events.feed(chunk)
            if any(len(payload) > self._limit for payload in payloads):
                raise UnreadableBodyError
            return payloads
        self._document.append(chunk)
        return []

    def finish(self) -> list[bytes]:
        """Return the payloads that the end of the answer completes."""
        return [b"".join(self._document)] if self.is_document else self._events.finish()


def _inflate(inflater: "zlib._Decompress", raw: bytes, limit: int) -> bytes:
    try:
        chunk = inflater.decompress(raw, limit)
    except zlib.error:
        raise UnreadableBodyError from None
    if inflater.unconsumed_tail:
        raise UnreadableBodyError
    return chunk


def _make_inflater(encoding: str) -> "zlib._Decompress | None":
    if encoding in {"", "identity"}:
        return None
    if encoding in {"gzip", "x-gzip", "deflate"}:
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # 32: gzip or zlib by its header
    raise UnreadableBodyError
