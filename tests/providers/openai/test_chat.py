import asyncio
import base64
import gzip
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from endpoints import endpoint_at
from eventabs.errors_and_exit_codes import (
    ConfigError,
    EndpointError,
    FatalEndpointError,
    ModeratedError,
    NoContentError,
    RateLimitedError,
    RejectedRequestError,
    TransientError,
    UnavailableError,
)
from eventabs.providers.openai.client import OpenAIProvider
from eventabs.providers.openai.endpoint_and_wire import GrammarField
from eventabs.shared_records import Reply, Request, Usage
from openai_server import (
    Behavior,
    Exchange,
    OpenAIServer,
    answer,
    completion,
    delta,
    event,
    keep_alive,
    raw,
    script,
    slowly,
    stall,
    status,
    stream,
)

KEY = "sk-secret-0123456789abcdef"
TITLE = "x-header-value-0123456789"
QUERY = "query-value-0123456789"
USER_MESSAGE = (
    "## U1 40岁\n# 2026-01-01 周四\n1 10:00 西餐厅 1h14m\n2 14:30 看 宝马7系\n## U2\n# 2026-01-02\n3 09:00 家"
)
ANSWER = "## U1\n浏览 1-2\n## U2\n浏览 3\n##"
Limits = dict[str, Any]  # fields of Endpoint
QUICK: Limits = {"connect_timeout": 1.0, "idle_timeout": 0.25, "call_timeout": 5.0}
PATIENT = QUICK | {"idle_timeout": 1.0}  # most servers here answer at once, but the machine may be busy
DONE = b"data: [DONE]\n\n"
STOP = event(delta("", finish_reason="stop"))
HTML = {"Content-Type": "text/html"}


def make_request(**fields: Any) -> Request:  # noqa: ANN401 - fields of Request
    asked: dict[str, Any] = {
        "messages": ({"role": "system", "content": "s"}, {"role": "user", "content": USER_MESSAGE}),
        "users": {},
        "input_tokens": 10,
        "max_output_tokens": 100,
    }
    return Request(**asked | fields)


async def complete(
    base_url: str,
    *,
    limits: Limits = PATIENT,
    calls: int = 1,
    request: Request | None = None,
    **endpoint: Any,  # noqa: ANN401 - fields of Endpoint
) -> Reply:
    settings: dict[str, Any] = {"model": "m", "base_url": base_url, "api_key": KEY}
    provider = OpenAIProvider(endpoint_at(**settings | limits | endpoint), wall_clock=lambda: 0.0)
    try:
        for _call in range(calls):
            reply = await provider.complete(request or make_request())
        return reply
    finally:
        await provider.aclose()


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_good_answer_comes_back_whole(openai_server: OpenAIServer, streamed: bool) -> None:
    reply = await complete(openai_server.base_url, stream=streamed)
    assert (reply.text, reply.finish_reason, reply.usage_reported) == (ANSWER, "stop", True)
    assert reply.usage.completion_tokens == len(ANSWER) // 2
    assert reply.seconds > 0


async def test_what_is_sent_is_what_was_configured(openai_server: OpenAIServer) -> None:
    await complete(
        openai_server.base_url + "?api-version=" + QUERY,
        temperature=0.5,
        seed=3,
        extra_body={"enable_thinking": False},
        request=make_request(response_format={"type": "json_schema", "json_schema": {"name": "x"}}),
        extra_headers={"X-Title": TITLE},
    )
    (received,) = openai_server.requests
    assert received.path == f"/v1/chat/completions?api-version={QUERY}"
    assert received.headers["authorization"] == f"Bearer {KEY}"
    assert received.headers["x-title"] == TITLE
    assert received.headers["accept-encoding"] == "identity"
    assert received.body == {
        "model": "m",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": USER_MESSAGE}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "seed": 3,
        "max_tokens": 100,
        "response_format": {"type": "json_schema", "json_schema": {"name": "x"}},
        "enable_thinking": False,
    }


A, B = event(delta("看")), event(delta("车"))
WHOLE: list[tuple[str, Behavior]] = [
    ("LF", stream(A, B, STOP, DONE)),
    ("cut in a character", stream(*A.partition("看".encode()[1:2]), B + STOP + DONE)),
    ("no [DONE]", stream(A, B, STOP)),
    ("no finish_reason", stream(A, B, DONE)),
    ("broken off after the finish_reason", stream(A, B, STOP, end=False)),
    ("silent after the finish_reason", stream(A, B, STOP, stall=True)),
    ("rubbish in between", stream(A, b"data: {oops\n\n", b"data: 7\n\n", B, STOP, DONE)),
    ("an error after the finish_reason", stream(A, B, STOP, event({"error": {"code": 500}}))),
    ("JSON although a stream was asked for", status(200, completion("看车"))),
    ("JSON called a stream", status(200, completion("看车"), {"Content-Type": "text/event-stream"})),
    ("JSON without a finish_reason", status(200, completion("看车", None))),
    ("a stream called JSON", stream(A, B, STOP, DONE, headers={"Content-Type": "application/json"})),
    ("gzip", status(200, gzip.compress(completion("看车")), {"Content-Encoding": "gzip"})),
    (
        "until the connection closes",
        raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + A + B + STOP + DONE),
    ),
]


@pytest.mark.parametrize("behavior", [pytest.param(behavior, id=name) for name, behavior in WHOLE])
async def test_whatever_the_wire_looks_like_the_answer_is_whole(
    openai_server: OpenAIServer, behavior: Behavior
) -> None:
    openai_server.behavior = behavior
    reply = await complete(openai_server.base_url)
    assert (reply.text, reply.finish_reason) == ("看车", "stop")


async def test_reasoning_and_usage_are_kept_apart_from_the_text(openai_server: OpenAIServer) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "completion_tokens_details": {"reasoning_tokens": 2}}
    openai_server.behavior = stream(
        event(delta(None, reasoning_content="hm")), A, STOP, event({"choices": [], "usage": usage}), DONE
    )
    reply = await complete(openai_server.base_url)
    assert (reply.text, reply.reasoning, reply.usage) == ("看", "hm", Usage(5, 3, 2, 0))


SENSITIVE = event({"error": {"code": "data_inspection_failed", "message": "no"}})
CUT: list[tuple[str, Behavior, str]] = [
    ("closed in the middle", stream(A, end=False), "interrupted"),
    ("ended without a reason", stream(A), "interrupted"),
    ("stalled", stream(A, stall=True), "interrupted"),
    (
        "only comments after the first piece",
        script(stream(A, *[b": k\n\n"] * 400, stall=True)),
        "interrupted",
    ),
    ("an error in the middle", stream(A, event({"error": {"code": 500, "message": "x"}})), "interrupted"),
    ("a fatal error in the middle", stream(A, event({"error": {"code": "1113"}})), "interrupted"),
    (
        "out of resources",
        stream(A, event(delta("", finish_reason="insufficient_system_resource")), DONE),
        "interrupted",
    ),
    ("moderated in the middle", stream(A, SENSITIVE), "content_filter"),
    ("filtered", stream(A, event(delta("", finish_reason="content_filter")), DONE), "content_filter"),
    ("cut at the limit", stream(A, event(delta("", finish_reason="length")), DONE), "length"),
]


@pytest.mark.parametrize(
    ("behavior", "reason"), [pytest.param(behavior, reason, id=name) for name, behavior, reason in CUT]
)
async def test_what_arrived_of_a_broken_answer_is_kept(
    openai_server: OpenAIServer, behavior: Behavior, reason: str
) -> None:
    openai_server.behavior = behavior
    reply = await complete(openai_server.base_url)
    assert (reply.text, reply.finish_reason) == ("看", reason)


def truncated_body() -> Behavior:
    return raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")


FAILED: list[tuple[str, Behavior, type[EndpointError]]] = [
    ("closed at once", raw(b""), TransientError),
    ("no HTTP", raw(b"SSH-2.0-OpenSSH\r\n\r\n"), TransientError),
    ("cut JSON", truncated_body(), TransientError),
    ("never answers", stall(), NoContentError),
    ("keep-alives for ever", keep_alive(), NoContentError),
    ("blank lines for ever", keep_alive(b"\n"), NoContentError),
    ("empty pieces for ever", keep_alive(event(delta(""))), NoContentError),
    ("a stream that says nothing", stream(), TransientError),
    ("a stream that ends before content", stream(event(delta(""))), TransientError),
    (
        "out of resources before content",
        stream(event(delta("", finish_reason="abort")), DONE),
        TransientError,
    ),
    ("a web page", status(200, b"<html>hello</html>", HTML), TransientError),
    ("a wrong compression", status(200, b"x", {"Content-Encoding": "br"}), TransientError),
    ("false gzip", status(200, b"x", {"Content-Encoding": "gzip"}), TransientError),
    ("an error inside a 200", status(200, {"error": {"message": "x"}}), TransientError),
    ("a rate limit inside a 200", status(200, {"base_resp": {"status_code": 1002}}), RateLimitedError),
    ("a rate limit inside a stream", stream(event({"base_resp": {"status_code": 1039}})), RateLimitedError),
    ("no money inside a stream", stream(event({"error": {"code": "1113"}})), FatalEndpointError),
    ("moderation inside a 200", status(200, {"base_resp": {"status_code": 1026}}), ModeratedError),
    ("moderation before content", stream(SENSITIVE), ModeratedError),
    ("an error as an event", status(429, event({"error": {"code": "1302"}})), RateLimitedError),
    ("a wrong key", status(401, {"error": {"message": KEY}}), FatalEndpointError),
    ("a web page as an error", status(503, b"<html>" + b"x" * 200_000, HTML), UnavailableError),
    ("a gzip error", status(402, gzip.compress(b"{}"), {"Content-Encoding": "gzip"}), FatalEndpointError),
]


@pytest.mark.parametrize(
    ("behavior", "kind"), [pytest.param(behavior, kind, id=name) for name, behavior, kind in FAILED]
)
async def test_an_answer_without_content_is_an_error_of_its_kind(
    openai_server: OpenAIServer, behavior: Behavior, kind: type[EndpointError]
) -> None:
    openai_server.behavior = behavior
    # a busy machine must not make silence of what comes
    limits = QUICK if kind is NoContentError else {**QUICK, "idle_timeout": 4.0}
    with pytest.raises(EndpointError) as caught:
        await complete(openai_server.base_url, limits=limits)
    assert type(caught.value) is kind
    assert f"127.0.0.1:{openai_server.port}" in str(caught.value)
    assert KEY not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("code", [301, 307])
async def test_a_redirect_is_not_followed(openai_server: OpenAIServer, code: int) -> None:
    with OpenAIServer() as elsewhere:
        openai_server.behavior = status(code, b"", {"Location": elsewhere.base_url + "/chat/completions"})
        with pytest.raises(FatalEndpointError, match=r"redirects to 127\.0\.0\.1"):
            await complete(openai_server.base_url)
        assert elsewhere.requests == []


async def test_a_date_in_retry_after_is_compared_with_the_wall_clock(openai_server: OpenAIServer) -> None:
    openai_server.behavior = status(429, b"", {"Retry-After": "Thu, 01 Jan 1970 00:00:42 GMT"})
    with pytest.raises(RateLimitedError) as caught:
        await complete(openai_server.base_url)
    assert caught.value.wait_seconds == 42.0


async def test_a_refusal_whose_body_never_ends_still_counts(
    openai_server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventabs.providers.openai.client._ERROR_SECONDS", 0.1)
    openai_server.behavior = script(stalled_refusal())
    with pytest.raises(FatalEndpointError, match="401"):
        await complete(openai_server.base_url)


def stalled_refusal() -> Behavior:
    async def behave(exchange: Any) -> None:  # noqa: ANN401 - an Exchange
        await exchange.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\n{")
        await asyncio.Event().wait()

    return behave


def refusing(*names: str, code: int = 400) -> Callable[[Behavior], Behavior]:
    """Make a server that refuses these parameters one by one and otherwise behaves as given."""

    def wrap(then: Behavior) -> Behavior:
        async def behave(exchange: Any) -> None:  # noqa: ANN401 - an Exchange
            refused = next((name for name in names if name in exchange.received.body), None)
            if refused:
                await status(code, {"error": {"param": refused, "code": "unsupported_parameter"}})(exchange)
            else:
                await then(exchange)

        return behave

    return wrap


async def test_unsupported_parameters_are_dropped_once_and_remembered(openai_server: OpenAIServer) -> None:
    names = ("response_format", "stream_options", "temperature", "seed", "max_tokens")
    openai_server.behavior = refusing(*names)(answer())
    reply = await complete(
        openai_server.base_url,
        temperature=0.0,
        seed=1,
        request=make_request(response_format={"type": "json_schema", "json_schema": {}}),
        calls=3,
    )
    assert reply.text == ANSWER
    assert len(openai_server.requests) == len(names) + 3
    assert openai_server.requests[-1].body.keys() == {"model", "messages", "stream", "max_completion_tokens"}
    assert openai_server.requests[-1].body["max_completion_tokens"] == 100


@pytest.mark.parametrize(
    ("field", "refusal"),
    [
        ("grammar", {"message": "Failed to initialize samplers: failed to parse grammar"}),  # llama.cpp
        ("structured_outputs", {"message": "Invalid grammar specification."}),
        ("ebnf", {"message": "no", "param": "ebnf"}),
    ],
)
async def test_a_grammar_that_is_refused_is_left_out_from_then_on(
    openai_server: OpenAIServer, field: GrammarField, refusal: dict[str, str]
) -> None:
    openai_server.behavior = script(status(400, {"error": refusal}), answer(), answer())
    request = make_request(grammar='root ::= "x"')
    assert (
        await complete(openai_server.base_url, grammar_field=field, request=request, calls=2)
    ).text == ANSWER
    assert [field in sent.body for sent in openai_server.requests] == [True, False, False]


@pytest.mark.parametrize("name", ["max_completion_tokens", "messages", "top_k"])
async def test_a_parameter_that_cannot_be_dropped_ends_the_call(
    openai_server: OpenAIServer, name: str
) -> None:
    openai_server.behavior = status(422, {"error": {"param": name}})
    with pytest.raises(RejectedRequestError):
        await complete(openai_server.base_url)
    assert len(openai_server.requests) == 1


async def test_a_server_that_refuses_both_names_of_the_limit_ends_the_call(
    openai_server: OpenAIServer,
) -> None:
    openai_server.behavior = refusing("max_tokens", "max_completion_tokens")(answer())
    with pytest.raises(RejectedRequestError):
        await complete(openai_server.base_url)
    assert len(openai_server.requests) == 2


async def test_calls_in_flight_that_are_refused_together_all_end_well(openai_server: OpenAIServer) -> None:
    openai_server.behavior = slowly(0.05, refusing("max_tokens")(answer()))
    provider = OpenAIProvider(endpoint_at(openai_server.base_url))
    try:
        replies = await asyncio.gather(*(provider.complete(make_request()) for _ in range(8)))
    finally:
        await provider.aclose()
    assert {reply.text for reply in replies} == {ANSWER}


async def test_the_wall_clock_ends_a_call_that_never_pauses(openai_server: OpenAIServer) -> None:
    openai_server.behavior = keep_alive(A)
    limits: Limits = {"idle_timeout": 5.0, "call_timeout": 0.3}
    reply = await complete(openai_server.base_url, limits=limits)
    assert reply.finish_reason == "interrupted"
    assert set(reply.text) == {"看"}


@pytest.mark.parametrize(
    ("limits", "streamed", "seconds", "setting"),
    [
        ({"idle_timeout": 0.2, "call_timeout": 5.0}, True, "0.2 s", "llm.idle_timeout"),
        ({"idle_timeout": 0.2, "call_timeout": 0.5}, False, "0.5 s", "llm.call_timeout"),
    ],
)
async def test_a_call_that_waits_in_vain_names_the_number_of_calls_and_the_limit_that_it_met(
    openai_server: OpenAIServer, limits: Limits, streamed: bool, seconds: str, setting: str
) -> None:
    openai_server.behavior = stall()
    with pytest.raises(NoContentError) as caught:
        await complete(openai_server.base_url, stream=streamed, limits=limits)
    assert seconds in str(caught.value)
    assert "lower run.concurrency" in str(caught.value)
    assert str(caught.value).endswith(setting)


async def test_what_has_come_of_an_answer_is_heard_piece_by_piece(openai_server: OpenAIServer) -> None:
    openai_server.behavior = answer(pieces=4, gap=0.02)
    provider = OpenAIProvider(endpoint_at(openai_server.base_url, **QUICK))
    heard: list[int] = []
    reply = await provider.complete(make_request(), heard.append)
    await provider.aclose()
    assert heard == sorted(set(heard))
    assert len(heard) > 1
    assert heard[-1] == len(reply.text)


async def test_after_done_a_server_that_keeps_the_stream_open_holds_nobody_up(
    openai_server: OpenAIServer,
) -> None:
    openai_server.behavior = stream(A, B, DONE, stall=True)
    async with asyncio.timeout(60):  # the call itself would wait for an hour
        reply = await complete(openai_server.base_url, idle_timeout=3600.0, call_timeout=3600.0)
    assert (reply.text, reply.finish_reason) == ("看车", "stop")


async def test_connections_are_used_again(openai_server: OpenAIServer) -> None:
    ports = set()

    async def behave(exchange: Any) -> None:  # noqa: ANN401 - an Exchange
        ports.add(exchange.writer.get_extra_info("peername"))
        await answer()(exchange)

    openai_server.behavior = behave
    await complete(openai_server.base_url, calls=5)
    assert len(ports) == 1


SMALL: Limits = {"idle_timeout": 20.0, "call_timeout": 20.0, "reply_characters": 100_000}


async def zip_bomb(exchange: Exchange) -> None:
    data = gzip.compress(b"{" + b" " * 100_000_000, 1)  # made here: every worker imports this module
    await status(200, data, {"Content-Encoding": "gzip"})(exchange)


@pytest.mark.parametrize(
    "behavior",
    [
        keep_alive(b"x" * 10_000, interval=0),
        keep_alive(b'{"' + b"x" * 10_000, interval=0),
        stream(event(delta("x" * 700_000)), DONE),
        zip_bomb,
    ],
    ids=["one endless line", "one endless document", "one huge piece", "zip bomb"],
)
async def test_an_endless_answer_stops_early(openai_server: OpenAIServer, behavior: Behavior) -> None:
    openai_server.behavior = behavior
    with pytest.raises(TransientError, match="too large"):
        await complete(openai_server.base_url, limits=SMALL)


@pytest.mark.parametrize("piece", [delta("x" * 1_000), delta("", reasoning="想")], ids=["text", "reasoning"])
async def test_of_an_endless_stream_the_beginning_is_kept(
    openai_server: OpenAIServer, piece: dict[str, Any]
) -> None:
    # a word of reasoning has many times its length around it, which is neither kept nor counted
    openai_server.behavior = keep_alive(event(piece) * 100, interval=0)
    reply = await complete(openai_server.base_url, limits=SMALL)
    assert reply.finish_reason == "interrupted"
    assert 90_000 < len(reply.text + reply.reasoning) < 220_000


async def test_a_refused_connection_may_pass() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(UnavailableError, match=f"no connection to 127.0.0.1:{port}"):
        await complete(f"http://127.0.0.1:{port}/v1")


async def test_a_secret_that_the_server_echoes_reaches_nobody(openai_server: OpenAIServer) -> None:
    echo = f"{KEY} {TITLE} {QUERY}"
    endpoint: dict[str, Any] = {"extra_headers": {"X-Title": TITLE}}
    base_url = openai_server.base_url + "?key=" + QUERY
    openai_server.behavior = script(
        stream(event(delta(echo[:9])), event(delta(echo[9:], reasoning=echo)), STOP, DONE),
        status(400, {"error": {"message": echo}}),
        status(500, echo.encode()),
        status(200, b"[" + echo.encode()),
        status(302, b"", {"Location": f"https://{KEY}.example/"}),
    )
    reply = await complete(base_url, **endpoint)
    shown = [reply.text, reply.reasoning]
    for _ in range(4):
        with pytest.raises(EndpointError) as caught:
            await complete(base_url, **endpoint)
        shown += [str(caught.value), repr(caught.value)]
        assert caught.value.__cause__ is None
    for secret in (KEY, TITLE, QUERY):
        assert not [text for text in shown if secret in text]


@pytest.mark.parametrize("key", ["a1b2c3", KEY])
async def test_a_key_of_six_characters_is_masked_in_answers(openai_server: OpenAIServer, key: str) -> None:
    encoded = base64.b64encode(f"Bearer {key}".encode()).decode()
    cuts = [event(delta(character)) for character in f"{key} {encoded} {key}"]
    openai_server.behavior = stream(*cuts, STOP, DONE)
    reply = await complete(openai_server.base_url, api_key=key)
    assert key not in reply.text
    assert encoded[10:] not in reply.text


async def test_words_of_other_headers_and_of_the_address_stay_in_answers(openai_server: OpenAIServer) -> None:
    openai_server.behavior = answer(lambda _message: "2026-01-01 at the library")
    base_url = openai_server.base_url + "?api-version=2026-01-01"
    reply = await complete(base_url, extra_headers={"X-Title": "library"})
    assert reply.text == "2026-01-01 at the library"


async def test_a_proxy_is_used_where_one_is_named(openai_server: OpenAIServer) -> None:
    reply = await complete(
        "http://api.example.com/v1", api_key=None, proxy=f"http://127.0.0.1:{openai_server.port}"
    )
    assert reply.text == ANSWER
    assert openai_server.requests[0].path == "http://api.example.com/v1/chat/completions"


def test_a_missing_ca_file_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "ca.pem"
    with pytest.raises(ConfigError, match=r"ca\.pem"):
        OpenAIProvider(endpoint_at("https://x.example/v1", ca_file=str(missing)))


async def test_a_cancelled_call_ends_at_once_and_frees_its_connection(openai_server: OpenAIServer) -> None:
    openai_server.behavior = script(stall(), answer())
    provider = OpenAIProvider(endpoint_at(openai_server.base_url, connections=1))
    try:
        first = asyncio.create_task(provider.complete(make_request()))
        await asyncio.sleep(0.1)
        assert len(openai_server.requests) == 1
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert (await asyncio.wait_for(provider.complete(make_request()), 2)).text == ANSWER
    finally:
        await provider.aclose()
