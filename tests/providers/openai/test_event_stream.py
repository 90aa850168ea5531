import pytest
from hypothesis import given, settings, strategies as st

from eventabs.providers.openai.wire import EventDecoder


def decode(*chunks: bytes) -> list[bytes]:
    decoder = EventDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events + decoder.finish()


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b": comment\n\ndata: a\n\n", [b"a"]),
        (b"event: x\nid: 7\nretry: 3\ndata: a\n\n", [b"a"]),
        (b"data: {\ndata: }\n\n", [b"{\n}"]),
        (b"data: a\n\n\n\n\ndata: b\n\n", [b"a", b"b"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data: a", [b"a"]),
        (b"data: a\n", [b"a"]),
        (b"nonsense\n\n", []),
        (b"", []),
    ],
)
def test_a_stream_is_cut_into_the_data_of_its_events(stream: bytes, events: list[bytes]) -> None:
    assert decode(stream) == events


@given(
    texts=st.lists(st.text(alphabet="a看😀: ", min_size=1, max_size=4), max_size=4),
    ending=st.sampled_from([b"\n", b"\r\n", b"\r"]),
    data=st.data(),
)
@settings(max_examples=150, deadline=None)
def test_where_the_network_cuts_a_stream_makes_no_difference(
    texts: list[str], ending: bytes, data: st.DataObject
) -> None:
    stream = b"".join(b"data: " + text.encode() + ending + b": c" + ending * 2 for text in texts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert decode(*chunks) == [text.encode() for text in texts]
