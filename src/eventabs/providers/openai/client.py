"""The provider for an OpenAI-compatible endpoint: connections, proxy and TLS; one request to /chat/completions, one reply."""

import asyncio
import base64
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Literal, cast
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
import orjson
from httpx_aiohttp import AiohttpTransport

from eventabs.errors_and_exit_codes import (
    ConfigError,
    EndpointError,
    FatalEndpointError,
    ModeratedError,
    NoContentError,
    RejectedRequestError,
    TransientError,
    UnavailableError,
)
from eventabs.interface_language import gettext as _
from eventabs.providers.openai import endpoint_and_wire as wire, endpoint_errors as errors
from eventabs.providers.openai.endpoint_and_wire import Endpoint, PayloadReader, ReplyAssembler
from eventabs.providers.openai.endpoint_errors import ErrorContext
from eventabs.shared_records import OnContent, Record, Reply, Request

# What breaks an exchange below HTTP; see `translate_error`.
WIRE_ERRORS = (httpx.HTTPError, httpx.StreamError, aiohttp.ClientError, OSError, wire.UnreadableBodyError)

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PATH = "/chat/completions"
_MAX_NAME = 254  # with the dot at its end; RFC 1035
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.1
_FRAMING = {"connection", "content-encoding", "content-length", "transfer-encoding"}
_CREDENTIAL_HEADERS = {"authorization", "proxy-authorization", "api-key", "x-api-key", "cookie"}
_KEY_NAME = re.compile(r"auth|key|token|secret|password|credential|signature|cookie", re.IGNORECASE)
_USERINFO = re.compile(r"//[^/\s]*@")  # of a proxy that the environment names


class EndpointAddress(Record):
    """An endpoint's address, with its secrets kept apart so that they stay out of messages."""

    url: httpx.URL  # with the query, without user and password
    host: str
    login: tuple[str, str] | None = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    certain: frozenset[str] = field(repr=False)  # of the secrets, those that are no words: to mask in replies

    def beside(self, path: str) -> httpx.URL:
        """Return the URL of another path under the same base."""
        return self.url.copy_with(path=self.url.path.removesuffix(_PATH) + path)


def parse_address(endpoint: Endpoint) -> EndpointAddress:
    """Check and parse the address. Raises ConfigError where it, the proxy, key or a header cannot be used, or a key would travel unencrypted."""
    base = _parse_url(endpoint.llm.base_url, "llm.base_url")
    urls = [base, _parse_url(endpoint.llm.proxy, "llm.proxy")] if endpoint.llm.proxy else [base]
    if any(not _HEADER.fullmatch(name) or name.lower() in _FRAMING for name in endpoint.extra_headers):
        message = _(
            "llm.extra_headers has a name that no header may have, or that is not yours to set; check them"
        )
        raise ConfigError(message)
    for name, value in ((endpoint.llm.api_key_env, endpoint.api_key or ""), *endpoint.extra_headers.items()):
        if not (value.isascii() and value.isprintable()):
            message = _(
                "the value of {name} holds characters that no HTTP header may hold; copy it again "
                "without line breaks or placeholders"
            )
            raise ConfigError(message.format(name=name))
    exposed = next((url.host for url in urls if not wire.is_loopback(url.host)), None)
    headers = {name.lower() for name in endpoint.extra_headers}
    has_key = endpoint.api_key or base.userinfo or headers & _CREDENTIAL_HEADERS
    if base.scheme == "http" and exposed is not None and has_key:
        message = _(
            "the API key would travel unencrypted to {host}; set llm.base_url to an https address, "
            "or unset {variable} if the server needs no key"
        )
        raise ConfigError(message.format(host=exposed, variable=endpoint.llm.api_key_env))
    if base.path.rstrip("/").endswith(_PATH):
        message = _("llm.base_url is what stands before /chat/completions; set it to {address}")
        before = base.path.rstrip("/").removesuffix(_PATH)
        shown = base.copy_with(username=None, password=None, path=before, query=None, fragment=None)
        raise ConfigError(message.format(address=shown))
    url = base.copy_with(username=None, password=None, path=base.path.rstrip("/") + _PATH, fragment=None)
    login = (base.username, base.password) if base.userinfo else None
    return EndpointAddress(url, base.netloc.decode("ascii"), login, *_find_secrets(endpoint, urls))


def _parse_url(text: str, setting: str) -> httpx.URL:
    with suppress(httpx.InvalidURL):
        url = httpx.URL(text.strip())
        if url.scheme in _DEFAULT_PORTS and (url.port is None or 0 < url.port < 2**16):
            host = url.raw_host.decode("ascii")
            labels = host.removesuffix(".").split(".")
            # an IPv6 address, which httpx has checked, or a possible DNS name: no retry would help with anything else
            if ":" in host or (len(host) <= _MAX_NAME and all(map(_LABEL.fullmatch, labels))):
                return url
    message = _("{setting} is no address; write one like https://api.example.com/v1")
    if setting != "llm.base_url":
        message = _("{setting} names no HTTP proxy; write one like http://127.0.0.1:3128, or unset it")
    raise ConfigError(message.format(setting=setting))


def _find_secrets(endpoint: Endpoint, urls: list[httpx.URL]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return all secrets, and of these the keys and what is too long to be a word."""
    key, headers = endpoint.api_key or "", endpoint.extra_headers
    parameters = [pair for url in urls for pair in url.params.multi_items()]
    found = [key, *headers.values(), *(value for _name, value in parameters)]
    for value in headers.values():
        found += value.split()  # servers quote "Bearer <token>" as the token alone
    for url in urls:
        found += [url.username, url.password, f"{url.username}:{url.password}", url.query.decode("ascii")]
    values = [value for name, value in (*headers.items(), *parameters) if _KEY_NAME.search(name)]
    tokens = [token for value in values for token in value.split()[1:]]  # what follows "Bearer"
    keys = {key, *(url.password for url in urls), *values, *tokens}
    certain = {each for each in keys if len(each) >= wire.WORD_LENGTH}
    secrets = {secret for secret in found if secret.strip(":")}
    return tuple(secrets), frozenset(certain.union(each for each in secrets if len(each) >= wire.LONG_LENGTH))


def proxy_of(endpoint: Endpoint) -> httpx.Proxy | None:
    """Return the proxy of the settings, else the environment's; none for loopback. Raises ConfigError as `parse_address`, and where a variable is no address."""
    url = parse_address(endpoint).url
    if endpoint.llm.proxy:
        return httpx.Proxy(_parse_url(endpoint.llm.proxy, "llm.proxy"))
    if wire.is_loopback(url.host) or proxy_bypass(url.host):
        return None
    proxies = getproxies()
    if not (named := proxies.get(url.scheme) or proxies.get("all")):
        return None
    named = named if "://" in named else f"http://{named}"
    return httpx.Proxy(_parse_url(named, "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY"))


Clock = Callable[[], float]
OnRefused = Callable[[frozenset[str]], object]  # hears of all parameters that are no longer sent


class Channel:
    """Sends requests to one endpoint. Raises ConfigError where the settings or the environment cannot work.

    It uses httpx's transport, not its client: redirects are not followed and no hooks are needed here,
    and with many requests in flight the client costs as much time as all the rest of a call.
    """

    refusal = staticmethod(errors.make_status_error)  # the error that an answer without success is

    def __init__(self, endpoint: Endpoint, wall_clock: Clock = time.time) -> None:
        self.address = parse_address(endpoint)
        self.endpoint, self._wall_clock = endpoint, wall_clock
        self._headers = httpx.Headers({"Accept-Encoding": "identity", "Content-Type": "application/json"})
        self._headers["User-Agent"] = f"eventabs/{version('eventabs')}"
        if endpoint.api_key:
            self._headers["Authorization"] = f"Bearer {endpoint.api_key}"
        self._headers.update(endpoint.extra_headers)
        if self.address.login and not endpoint.api_key:
            login = base64.b64encode(":".join(self.address.login).encode()).decode()
            self._headers["Authorization"] = f"Basic {login}"
        self._extensions = {"timeout": {"connect": endpoint.connect_timeout}}
        self._transport = AiohttpTransport(
            verify=tls_context(endpoint.llm.ca_file),
            proxy=proxy_of(endpoint),
            limits=httpx.Limits(max_connections=endpoint.connections, keepalive_expiry=60.0),
        )

    async def send(self, method: str, url: httpx.URL, body: bytes = b"", **form: Any) -> httpx.Response:  # noqa: ANN401  of httpx.Request
        """Send a body, or a form with a file, which is read while it is sent; return the head of the answer. The caller reads the rest and closes it."""
        headers = self._headers
        if form:  # httpx says its type, with what parts it
            headers = httpx.Headers({key: value for key, value in headers.items() if key != "content-type"})
        # with `content` httpx would go through the headers again, to add some that aiohttp adds
        content = form or {"stream": httpx.ByteStream(body)}
        request = httpx.Request(method, url, headers=headers, extensions=self._extensions, **content)
        if not form:
            request.read()
        return await self._transport.handle_async_request(request)

    @asynccontextmanager
    async def answer(
        self, sending: Awaitable[httpx.Response], idle_timeout: float | None = None
    ) -> AsyncIterator[tuple[httpx.AsyncByteStream, ErrorContext, asyncio.Timeout]]:
        """Send; yield the bytes of an answer whose status is 2xx, what an error in it needs, and its time limit. What breaks or takes too long becomes an EndpointError.

        `idle_timeout` is of a call to a model, whose reader moves the limit; None: of what comes in any pieces, as lists and files.
        """
        host, secrets, call_timeout = self.address.host, self.address.secrets, self.endpoint.llm.call_timeout
        idle = idle_timeout or call_timeout, "llm.idle_timeout"
        seconds, setting = min((call_timeout, "llm.call_timeout"), idle)
        try:
            async with asyncio.timeout(seconds) as timeout:
                response = await sending
                status, headers, now = response.status_code, response.headers, self._wall_clock()
                context = ErrorContext(status, headers, now, host, secrets, self.endpoint)
                # as the network brings them
                async with aclosing(cast("httpx.AsyncByteStream", response.stream)) as chunks:
                    if not response.is_success:
                        raise self.refusal(await read_error_body(chunks, headers), context)
                    yield chunks, context, timeout
        except TimeoutError:
            message = _(
                "{host} took the call and sent no content within {seconds:g} s;"
                " if it queues calls, lower run.concurrency, else raise {setting}"
            )
            if idle_timeout is None:  # content may have come, or gone out: a file takes its time
                message = _("{host} gave no answer within {seconds:g} s; raise {setting} if it needs longer")
            raise NoContentError(message.format(host=host, seconds=seconds, setting=setting)) from None
        except WIRE_ERRORS as error:
            raise translate_error(error, self.address) from None

    async def read(self, sending: Awaitable[httpx.Response], *, limit: int) -> tuple[bytes, ErrorContext]:
        """Send, and read a whole document of `limit` characters; return it with what an error in it needs."""
        async with self.answer(sending) as (chunks, context, _timeout):
            reader = PayloadReader(context.headers, limit=limit)
            async for chunk in chunks:
                reader.feed(chunk)
        return b"".join(reader.finish()) or reader.head, context

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()


def tls_context(ca_file: str) -> ssl.SSLContext:
    """Return what certificates are checked with. Raises ConfigError where the file cannot be used."""
    if not ca_file:
        return httpx.create_ssl_context()
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        message = _("llm.ca_file {path} cannot be used: {error}; name a PEM file of certificates")
        raise ConfigError(message.format(path=ca_file, error=error)) from None


def translate_error(error: Exception, address: EndpointAddress) -> EndpointError:
    """Turn one of WIRE_ERRORS into an EndpointError, without its traceback: that may hold secrets."""
    if isinstance(error.__cause__, ssl.SSLCertVerificationError | aiohttp.ClientConnectorCertificateError):
        message = _("{host} shows a certificate that is not trusted; set llm.ca_file to your authority's")
        return FatalEndpointError(message.format(host=address.host))
    if isinstance(error, wire.UnreadableBodyError):
        message = _("{host} sent an answer that is too large or wrongly compressed; check llm.base_url")
        return TransientError(message.format(host=address.host))
    name = type(error.__cause__ or error).__name__
    text = wire.redacted_line(_USERINFO.sub("//", f"{name} {error}"), address.secrets)
    message = _("no connection to {host}, or it broke: {said}; check the network, llm.base_url and the proxy")
    # httpx_aiohttp calls a connection that the server closed a ConnectError too
    never_made = isinstance(error.__cause__, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
    kind = UnavailableError if never_made else TransientError
    return kind(message.format(host=address.host, said=text))


UnreachableReason = Literal["dns", "refused", "timeout", "broken", "untrusted", "no_tls"]


@dataclass(eq=False, repr=False, kw_only=True)
class UnreachableError(EndpointError):
    """No connection to the endpoint, or to the proxy before it."""

    reason: UnreachableReason = "broken"
    through_proxy: bool = False


async def find_route(endpoint: Endpoint) -> tuple[str, str, str]:
    """Look the name up and connect, to a proxy if there is one; return IP, proxy and version of TLS, "" for none. Raises UnreachableError, ConfigError."""
    proxy = proxy_of(endpoint)
    target = proxy.url if proxy else parse_address(endpoint).url
    context = tls_context(endpoint.llm.ca_file) if target.scheme == "https" else None
    try:
        async with asyncio.timeout(endpoint.connect_timeout):
            ip, tls = await _connect(target, context, endpoint.connect_timeout)
    except OSError as error:
        kinds: dict[type[OSError], tuple[UnreachableReason, str]] = {
            socket.gaierror: ("dns", _("the name {host} cannot be looked up: {said}")),
            ConnectionRefusedError: ("refused", _("{host} refuses the connection")),
            ssl.SSLCertVerificationError: (
                "untrusted",
                _("{host} shows a certificate that is not trusted: {said}"),
            ),
            ssl.SSLError: ("no_tls", _("{host} does not answer with TLS: {said}")),
            TimeoutError: ("timeout", _("{host} does not answer")),
            OSError: ("broken", _("no connection to {host}: {said}")),
        }
        reason, template = next(told for kind, told in kinds.items() if isinstance(error, kind))
        text = getattr(error, "verify_message", "") or error.strerror or type(error).__name__
        message = template.format(host=target.netloc.decode("ascii"), said=wire.redacted_line(str(text), ()))
        raise UnreachableError(message, reason=reason, through_proxy=proxy is not None) from None
    return (ip, target.netloc.decode("ascii"), "") if proxy else (ip, "", tls)


async def _connect(url: httpx.URL, context: ssl.SSLContext | None, seconds: float) -> tuple[str, str]:
    """Connect to the first IP address that accepts; return it and the TLS version. Raises the last error."""
    port = url.port or _DEFAULT_PORTS[url.scheme]
    found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    last_error: OSError = TimeoutError()
    for *_kind, address in found:
        ip = str(address[0])
        try:
            async with asyncio.timeout(seconds / len(found)):
                _reader, writer = await asyncio.open_connection(
                    ip, port, ssl=context, server_hostname=url.host if context else None
                )
        except OSError as error:
            last_error = error
            continue
        tls = writer.get_extra_info("ssl_object")
        writer.transport.abort()
        return ip, (tls.version() or "") if tls else ""
    raise last_error


_DONE = b"[DONE]"
_ERROR_SECONDS = 10.0  # for the body of an error


class OpenAIProvider(Channel):
    """Completes requests through POST {base_url}/chat/completions. Raises ConfigError when it is made with settings that cannot work.

    What the endpoint refuses (of DROPPABLE, or the grammar) is left out from then on; `on_refused` hears of all that, when it grows.
    """

    def __init__(
        self, endpoint: Endpoint, on_refused: OnRefused = lambda _all: None, wall_clock: Clock = time.time
    ) -> None:
        super().__init__(endpoint, wall_clock)
        self.on_refused = on_refused
        self.dropped = frozenset[str](endpoint.llm.omit)  # and what the endpoint has refused since

    async def complete(self, request: Request, on_content: OnContent | None = None, /) -> Reply:
        """Complete a request; what arrived of a broken answer is `interrupted`. `on_content` hears of each piece. Raises the subclasses of EndpointError."""
        while True:
            body = wire.build_body(request, self.endpoint, self.dropped)
            try:
                return await self._call(body, on_content or (lambda _characters: None))
            except RejectedRequestError as error:
                refused = error.parameters & (wire.DROPPABLE | wire.GRAMMAR_FIELDS)
                # one is refused, so all are; llama.cpp makes a grammar of a schema too
                if refused & wire.GRAMMAR_FIELDS:
                    refused |= wire.GRAMMAR_FIELDS | {"response_format"}
                refused &= body.keys() - self.endpoint.llm.extra_body.keys()
                if not refused:
                    raise
                self.dropped |= refused
                self.on_refused(self.dropped)

    async def _call(self, body: dict[str, Any], on_content: OnContent) -> Reply:
        """Send the body and read the answer as far as it comes, under the limits of time and size."""
        limits, now, assembler = self.endpoint.llm, asyncio.get_running_loop().time, ReplyAssembler()
        idle_timeout = limits.idle_timeout if body.get("stream") else limits.call_timeout
        last = (started := now()) + limits.call_timeout
        sending = self.send("POST", self.address.url, orjson.dumps(body))
        try:
            async with self.answer(sending, idle_timeout) as (chunks, context, timeout):
                reader = PayloadReader(context.headers, limit=self.endpoint.reply_characters)
                async for chunk in chunks:
                    payloads = reader.feed(chunk)
                    assembler.is_streamed = not reader.is_document
                    has_content = self._add(payloads, assembler, context)
                    if has_content:
                        on_content(assembler.characters)
                    if payloads and payloads[-1] == _DONE:
                        timeout.reschedule(min(last, now() + 1.0))
                    elif has_content or (reader.is_document and not chunk.isspace()):
                        timeout.reschedule(min(last, now() + idle_timeout))
                self._add(reader.finish(), assembler, context)
            if reader.is_document:
                assembler.end()
            if not assembler.is_recognized:
                text = wire.redacted_line(reader.head.decode("utf-8", "replace"), self.address.secrets)
                message = _("{host} did not answer with a chat completion: {said}; check llm.base_url")
                raise TransientError(message.format(host=self.address.host, said=text or _("nothing")))
        except EndpointError as error:
            is_whole = isinstance(error, NoContentError) and assembler.finish_reason
            if not (assembler.characters or is_whole):
                raise
            if isinstance(error, ModeratedError):
                assembler.finish_reason = assembler.finish_reason or "content_filter"
        reply = assembler.build(seconds=now() - started, tier=self.endpoint.tier.name)
        return checked(reply, self.address, self.address.host)

    def _add(self, payloads: list[bytes], assembler: ReplyAssembler, context: ErrorContext) -> bool:
        """Add the payloads to the assembler; return whether they had content."""
        before = assembler.characters
        for data in payloads:
            if data == _DONE:
                assembler.end()
            elif isinstance(payload := wire.parse_json(data), dict):
                if error := errors.find_error(payload):
                    raise errors.make_error(error, context)
                assembler.add(payload)
        if assembler.characters > self.endpoint.reply_characters:
            raise wire.UnreadableBodyError
        return assembler.characters > before


def checked(reply: Reply, address: EndpointAddress, source: str) -> Reply:
    """Return a reply without secrets. Raises TransientError that names the `source` where it broke off before any content."""
    if reply.finish_reason == "interrupted" and not (reply.text or reply.reasoning):
        message = _("{host} broke off before any content; it may pass: resume later")
        raise TransientError(message.format(host=source))
    said = reply.text, reply.reasoning
    text, reasoning = [wire.redact(each, address.certain) for each in said]
    return reply if (text, reasoning) == said else reply._replace(text=text, reasoning=reasoning)


async def read_error_body(chunks: httpx.AsyncByteStream, headers: httpx.Headers) -> bytes:
    """Read the body of an error as far as it comes: the status counts even if the body breaks."""
    reader, payloads = PayloadReader(headers, limit=65_536), list[bytes]()  # the rest is not read
    with suppress(*WIRE_ERRORS, TimeoutError):
        async with asyncio.timeout(_ERROR_SECONDS):
            async for chunk in chunks:
                payloads += reader.feed(chunk)
        payloads += reader.finish()
    return next((data for data in payloads if data.startswith(b"{")), reader.head)
