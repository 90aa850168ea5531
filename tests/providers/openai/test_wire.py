"""Bodies of requests and of answers, in whatever pieces and shapes servers send them."""

import gzip
import json
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from endpoints import endpoint_at
from eventabs.providers.openai.endpoint_and_wire import (
    GrammarField,
    PayloadReader,
    ReplyAssembler,
    UnreadableBodyError,
    build_body,
    parse_json,
)
from eventabs.shared_records import Reply, Request, Usage

# wire


REQUEST = Request(
    messages=({"role": "system", "content": "s"}, {"role": "user", "content": "u"}),
    users={},
    input_tokens=2,
    max_output_tokens=50,
    response_format={"type": "json_schema", "json_schema": {}},
)


def assemble(*payloads: dict[str, Any]) -> Reply:
    assembler = ReplyAssembler()
    for payload in payloads:
        assembler.add(payload)
    return assembler.build(seconds=1.5)


def piece(**delta: object) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta}]}


def ending(reason: str | None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


def test_a_body_holds_what_is_asked_for_and_nothing_unset() -> None:
    body = build_body(REQUEST, endpoint_at(stream=False), frozenset())
    assert body == {
        "model": "m",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
        "stream": False,
        "max_tokens": 50,
        "response_format": {"type": "json_schema", "json_schema": {}},
    }


@pytest.mark.parametrize("field", ["grammar", "structured_outputs", "guided_grammar", "ebnf"])
def test_a_grammar_goes_into_the_field_of_the_endpoint_and_nowhere_without_one(field: GrammarField) -> None:
    request = REQUEST._replace(grammar="root ::= [a]")
    body = build_body(request, endpoint_at(grammar_field=field), frozenset())
    expected = {"grammar": "root ::= [a]"} if field == "structured_outputs" else "root ::= [a]"
    assert body[field] == expected
    free = build_body(request, endpoint_at(), frozenset())
    assert body.keys() - free.keys() == {field}
    assert free == build_body(REQUEST, endpoint_at(grammar_field=field), frozenset())


def test_a_limit_in_extra_body_replaces_ours() -> None:
    body = build_body(REQUEST, endpoint_at(extra_body={"max_completion_tokens": 9}), frozenset())
    assert "max_tokens" not in body
    assert body["max_completion_tokens"] == 9


@pytest.mark.parametrize(
    ("payloads", "text", "reasoning"),
    [
        ([piece(content="a"), piece(content="b")], "ab", ""),
        ([piece(reasoning_content="r", content=""), piece(content="a")], "a", "r"),
        ([piece(reasoning="r"), piece(thinking="s")], "", "rs"),
        ([piece(reasoning="r", reasoning_content="r")], "", "r"),
        ([piece(content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])], "ab", ""),
        ([piece(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "r"}]}])], "", "r"),
        ([piece(content=None, refusal="no")], "no", ""),
        ([{"choices": [{"message": {"role": "assistant", "content": "a"}}]}], "a", ""),
        ([piece(content="a"), {"choices": [{"message": {"content": "a"}}]}], "a", ""),
        ([piece(content="a"), {"choices": [{"index": 1, "delta": {"content": "b"}}]}], "a", ""),
        ([{"choices": []}, {"choices": None}, {"choices": ["x"]}, {"choices": [{"delta": 3}]}], "", ""),
        ([piece(content="\ud83d"), piece(content="\ude97")], "🚗", ""),
    ],
)
def test_text_and_reasoning_are_found_wherever_servers_put_them(
    payloads: list[dict[str, Any]], text: str, reasoning: str
) -> None:
    reply = assemble(*payloads)
    assert (reply.text, reply.reasoning) == (text, reasoning)


@pytest.mark.parametrize(
    ("reason", "normalized"),
    [
        ("stop", "stop"),
        ("tool_calls", "stop"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("content_filter", "content_filter"),
        ("insufficient_system_resource", "interrupted"),
        (None, "interrupted"),
    ],
)
def test_finish_reasons_are_normalized(reason: str | None, normalized: str) -> None:
    assert assemble(piece(content="a"), ending(reason)).finish_reason == normalized


def test_the_end_mark_of_a_stream_without_a_reason_means_stop_but_changes_no_reason() -> None:
    for reason, expected in ((None, "stop"), ("length", "length")):
        assembler = ReplyAssembler()
        assembler.add(ending(reason))
        assembler.end()
        assert assembler.build(seconds=0).finish_reason == expected


def used(tokens_in: object = None, tokens_out: object = None, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    counted = {"prompt_tokens": tokens_in, "completion_tokens": tokens_out}
    return {"usage": {name: value for name, value in counted.items() if value is not None} | fields}


OF_REASONING = {"completion_tokens_details": {"reasoning_tokens": 1}}
OF_CACHE = {"prompt_tokens_details": {"cached_tokens": 2}}
OUTSIDE = {"total_tokens": 135, "completion_tokens_details": {"reasoning_tokens": 94}}


@pytest.mark.parametrize(
    ("payloads", "usage"),
    [
        ([{"choices": []} | used(3, 2)], Usage(3, 2)),
        ([used(3, 2, **OF_REASONING, **OF_CACHE)], Usage(3, 2, 1, 2)),
        ([used(32, 9, **OUTSIDE)], Usage(32, 103, 94)),
        ([used(3, 2, total_tokens=9)], Usage(3, 6, 4)),
        ([used(3, 0, total_tokens=9)], Usage(3, 6, 6)),
        ([used(3, prompt_cache_hit_tokens=2)], Usage(3, 0, 0, 2)),
        ([used(3, cached_tokens=1)], Usage(3, 0, 0, 1)),
        # llama.cpp, as a server ended its stream before usage had the details
        ([used(61, 6) | {"timings": {"cache_n": 33}}], Usage(61, 6, 0, 33)),
        ([used(3, cached_tokens=90)], Usage(3, 0, 0, 3)),
        ([{"choices": [{"delta": {}} | used(3)]}], Usage(3)),
        ([used(1), piece(content="a"), used(2)], Usage(2)),
        ([used(1), {"usage": None}], Usage(1)),
        ([used(3.0, "2", prompt_tokens_details=4)], Usage(3, 2)),
        ([used(3), used(None, 2), used(0, 0, total_tokens=0)], Usage(3, 2)),
        ([used(2**63)], Usage(10**9)),
    ],
)
def test_usage_is_read_from_any_payload(payloads: list[dict[str, Any]], usage: Usage) -> None:
    reply = assemble(*payloads)
    assert reply.usage == usage
    assert reply.usage_reported


@pytest.mark.parametrize(
    ("payload", "usage"),
    [
        ({}, Usage()),
        ({"usage": [1]}, Usage()),
        (used(), Usage()),
        (used(total_tokens=5), Usage()),
        (used(0, 0, total_tokens=0), Usage()),
        (used(-1, "x"), Usage()),
        (used(float("inf"), float("nan")), Usage()),
        (used(tokens_out=8), Usage(0, 8)),
    ],
)
def test_usage_without_a_count_of_the_prompt_is_said_to_be_none(
    payload: dict[str, Any], usage: Usage
) -> None:
    reply = assemble(payload)
    assert (reply.usage, reply.usage_reported, reply.seconds) == (usage, False, 1.5)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": "\xe7\x9c\x8b"}', {"a": "看"}),
        (b'{"a": "\xe7\x9c"}', {"a": "�"}),
        (b'{"a": "\\ud83d"}', {"a": "\ud83d"}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b"{", None),
        (b"", None),
        (b"[" * 100_000, None),
    ],
)
def test_json_is_read_also_where_its_strings_are_broken(data: bytes, value: object) -> None:
    assert parse_json(data) == value


NAMES = ("choices", "delta", "message", "content", "text", "thinking", "usage", "index", "finish_reason")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(st.sampled_from(["choices", "usage"]), JSON, max_size=2), max_size=3))
@settings(max_examples=300, deadline=None)
def test_no_payload_makes_the_assembler_fail(payloads: list[dict[str, Any]]) -> None:
    reply = assemble(*payloads)
    assert json.dumps(reply.text)
    assert reply.usage.prompt_tokens >= 0


DOCUMENT = b'{"choices": []}'


def read(*chunks: bytes, encoding: str = "", limit: int = 1000) -> list[bytes]:
    reader = PayloadReader({"content-encoding": encoding}, limit=limit)
    return [payload for chunk in chunks for payload in reader.feed(chunk)] + reader.finish()


# event stream


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data:a\n\n", [b"a"]),
        (b": comment\n\ndata: a\n\n", [b"a"]),
        (b"event: x\nid: 7\nretry: 3\ndata: a\n\n", [b"a"]),
        (b"data: {\ndata: }\n\n", [b"{\n}"]),
        (b"data: a", [b"a"]),
        (b"nonsense\n\n", []),
        (b"", []),
    ],
)
def test_a_stream_is_cut_into_the_data_of_its_events(stream: bytes, events: list[bytes]) -> None:
    assert read(stream) == events


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
    assert read(*chunks) == [text.encode() for text in texts]


# payloads


@pytest.mark.parametrize(
    ("chunks", "payloads"),
    [
        ([b"data: a\n\n"], [b"a"]),
        ([b"\xef\xbb\xbfdata: a\n\n"], [b"a"]),
        ([b"\xef", b"\xbb\xbfdata: a\n\n"], [b"a"]),
        ([b"\n\n", b"  ", DOCUMENT[:3], DOCUMENT[3:]], [DOCUMENT]),
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
        (b"{" + b" " * 6000, ""),
        (b": c\n" * 2001, ""),
        (gzip.compress(b"{" + b" " * 10_000_000, mtime=0), "gzip"),
        (b"{}", "gzip"),
        (b"{}", "br"),
    ],
)
def test_what_is_too_large_or_packed_in_another_way_is_not_read(data: bytes, encoding: str) -> None:
    with pytest.raises(UnreadableBodyError):
        read(data, encoding=encoding)


@pytest.mark.parametrize(
    ("said", "tier"),
    [
        ({}, "flex"),
        ({"service_tier": None}, "flex"),
        ({"service_tier": "flex"}, "flex"),
        ({"service_tier": "default"}, ""),
        ({"service_tier": "on_demand"}, ""),
        ({"service_tier": "priority"}, "priority"),
        ({"service_tier": "<b>\n"}, "flex"),
        ({"service_tier": 7}, "flex"),
    ],
)
def test_the_tier_is_the_one_that_the_reply_names_else_the_one_that_was_asked_for(
    said: dict[str, Any], tier: str
) -> None:
    assembler = ReplyAssembler()
    assembler.add(piece(content="a") | said)
    assembler.add(ending("stop"))
    assert assembler.build(seconds=0, tier="flex").tier == tier


def test_pieces_of_a_character_take_no_more_memory_than_the_text_that_they_make() -> None:
    payloads = (
        {"choices": [{"delta": {"reasoning": chr(0x4E00 + number % 20_000)}}]} for number in range(20_000)
    )
    assembler = ReplyAssembler()
    tracemalloc.start()
    for payload in payloads:
        assembler.add(payload)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert assembler.characters == 20_000
    assert peak < 200_000
