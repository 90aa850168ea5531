import gzip
import zlib

import pytest

from eventabs.providers.openai.wire import PayloadReader, UnreadableBodyError

DOCUMENT = b'{"choices": []}'


def read(*chunks: bytes, encoding: str = "", limit: int = 1000) -> list[bytes]:
    reader = PayloadReader(encoding=encoding, limit=limit)
    return [payload for chunk in chunks for payload in reader.feed(chunk)] + reader.finish()


@pytest.mark.parametrize(
    ("chunks", "payloads"),
    [
        ([b"data: a\n\n"], [b"a"]),
        ([b"\n\n", b"  ", DOCUMENT[:3], DOCUMENT[3:]], [DOCUMENT]),
        ([b"\xef\xbb\xbf" + DOCUMENT], [DOCUMENT]),
        ([b"<html>"], [b"<html>"]),
        ([b": c\n\n", b"data: a\n\n"], [b"a"]),
        ([], []),
    ],
)
def test_events_and_documents_are_told_apart_by_their_first_byte(
    chunks: list[bytes], payloads: list[bytes]
) -> None:
    assert read(*chunks) == payloads


@pytest.mark.parametrize(
    ("encoding", "data"), [("gzip", gzip.compress(DOCUMENT, mtime=0)), ("deflate", zlib.compress(DOCUMENT))]
)
def test_a_compressed_answer_is_read(encoding: str, data: bytes) -> None:
    assert read(data[:5], data[5:], encoding=encoding) == [DOCUMENT]


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"{" + b" " * 1000, ""),
        (b": c\n" * 2001, ""),
        (gzip.compress(b"{" + b" " * 10_000_000, mtime=0), "gzip"),
        (b"{}", "gzip"),
        (b"{}", "br"),
    ],
)
def test_what_is_too_large_or_packed_in_another_way_is_not_read(data: bytes, encoding: str) -> None:
    with pytest.raises(UnreadableBodyError):
        read(data, encoding=encoding)
