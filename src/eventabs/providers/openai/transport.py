"""Whether an endpoint's machine can be reached at all: its name, a connection, TLS."""

import asyncio
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal, cast

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from eventabs.errors import ConfigError, EndpointError, FatalEndpointError, TransientError
from eventabs.language import gettext as _
from eventabs.providers.openai.endpoint import Address, CallLimits, Endpoint, one_line, proxy_of
from eventabs.providers.openai.wire import UnreadableBodyError

BROKEN = (httpx.HTTPError, httpx.StreamError, aiohttp.ClientError, OSError, UnreadableBodyError)

_USERINFO = re.compile(r"//[^/\s]*@")  # of a proxy that the environment names
_KEEPALIVE = 60.0  # seconds that an unused connection is kept
_GRACE = 1.0  # seconds for the last bytes after [DONE]; with them the connection can be used again


class Deadline:
    """Moves the deadline of one call: a wall clock for it all, an idle limit between pieces of content."""

    def __init__(self, deadline: asyncio.Timeout, *, idle_timeout: float, call_timeout: float) -> None:
        self._deadline = deadline
        self._idle_timeout = idle_timeout
        self._now = asyncio.get_running_loop().time
        self._end = self._now() + call_timeout
        self.renew()

    def renew(self) -> None:
        """Hear that content has come."""
        self._wait(self._idle_timeout)

    def hurry(self) -> None:
        """Hear that the answer is whole: only its last bytes are waited for."""
        self._wait(_GRACE)

    def _wait(self, seconds: float) -> None:
        self._deadline.reschedule(min(self._now() + seconds, self._end))


class Channel:
    """Sends requests to one endpoint. Raises ConfigError where the settings or the environment cannot work.

    It talks to httpx's transport, not to its client: redirects are not followed and no hooks are needed here,
    and with many requests in flight the client costs as much time as all the rest of a call.
    """

    def __init__(self, endpoint: Endpoint, address: Address, limits: CallLimits) -> None:
        self._headers = _headers(endpoint, address)
        self._extensions = {"timeout": {"connect": limits.connect_timeout}}
        self._transport = AiohttpTransport(
            verify=trusted(endpoint.ca_file),
            proxy=proxy_of(endpoint, address),
            limits=httpx.Limits(max_connections=limits.max_connections, keepalive_expiry=_KEEPALIVE),
        )

    async def send(self, method: str, url: httpx.URL, body: bytes = b"") -> httpx.Response:
        """Send a request; return the answer's head. Its `pieces` are still to be read, and it to be closed."""
        request = httpx.Request(method, url, headers=self._headers, content=body, extensions=self._extensions)
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()


def _headers(endpoint: Endpoint, address: Address) -> httpx.Headers:
    headers = httpx.Headers(
        {
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "User-Agent": f"eventabs/{version('eventabs')}",
        }
    )
    if endpoint.api_key:
        headers["Authorization"] = f"Bearer {endpoint.api_key}"
    headers.update(endpoint.extra_headers)
    if address.login and not endpoint.api_key:
        request = httpx.Request("POST", address.url, headers=headers)
        headers["Authorization"] = next(httpx.BasicAuth(*address.login).auth_flow(request)).headers[
            "Authorization"
        ]
    return headers


def pieces(response: httpx.Response) -> httpx.AsyncByteStream:
    """Return the bytes of an answer, as the network brings them."""
    return cast("httpx.AsyncByteStream", response.stream)


def translate(error: Exception, address: Address) -> EndpointError:
    """Turn an exception of the wire into one of ours, without its traceback: that may hold secrets."""
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        message = _("{host} shows a certificate that is not trusted; set llm.ca_file to your authority's")
        return FatalEndpointError(message.format(host=address.host))
    if any(isinstance(cause, UnreadableBodyError) for cause in causes):
        message = _("{host} sent an answer that is too large or wrongly compressed; check llm.base_url")
        return TransientError(message.format(host=address.host))
    message = _("no connection to {host}, or it broke: {said}; check the network, llm.base_url and the proxy")
    return TransientError(message.format(host=address.host, said=_say(error, address)))


def trusted(ca_file: str) -> ssl.SSLContext:
    """Return what certificates are checked with. Raises ConfigError where the file cannot be used."""
    if not ca_file:
        return httpx.create_ssl_context()
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        message = _("llm.ca_file {path} cannot be used: {error}; name a PEM file of certificates")
        raise ConfigError(message.format(path=ca_file, error=error)) from None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _say(error: Exception, address: Address) -> str:
    name = type(error.__cause__ or error).__name__
    return one_line(_USERINFO.sub("//", f"{name} {error}"), address.secrets)


Obstacle = Literal["name", "refused", "silent", "broken", "untrusted", "no_tls"]

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Route:
    """How the endpoint is reached. `proxy`: host and port of the one between, "" without; `tls`: "" if unknown."""

    ip: str
    proxy: str = ""
    tls: str = ""


class UnreachableError(EndpointError):
    """No connection came about, to the endpoint or to the proxy before it; `obstacle` says why."""

    def __init__(self, message: str, obstacle: Obstacle, *, through_proxy: bool) -> None:
        super().__init__(message)
        self.obstacle = obstacle
        self.through_proxy = through_proxy


async def find_route(endpoint: Endpoint, address: Address, *, seconds: float) -> Route:
    """Look the name up and connect, to the proxy where there is one. Raises UnreachableError or ConfigError."""
    between = proxy_of(endpoint, address)
    proxy = between.url if between else None
    target = proxy or address.url
    port = target.port or _PORTS[target.scheme]
    context = trusted(endpoint.ca_file) if target.scheme == "https" else None
    try:
        async with asyncio.timeout(seconds):
            ips = await _look_up(target.host, port)
            ip, tls = await _connect(ips, port, context, target.host, seconds / len(ips))
    except (OSError, TimeoutError) as error:
        raise _explain(error, target, through_proxy=proxy is not None) from None
    return Route(ip, _host_and_port(proxy) if proxy else "", "" if proxy else tls)


async def _look_up(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_kind, sockaddr in found))


async def _connect(
    ips: list[str], port: int, context: ssl.SSLContext | None, host: str, seconds: float
) -> tuple[str, str]:
    """Connect to the first address that lets us; return it and the TLS version. Raises the last error."""
    failed: OSError = TimeoutError()
    for ip in ips:
        try:
            async with asyncio.timeout(seconds):
                _reader, writer = await asyncio.open_connection(
                    ip, port, ssl=context, server_hostname=host if context else None
                )
        except OSError as error:
            failed = error
            continue
        secured = writer.get_extra_info("ssl_object")
        writer.transport.abort()
        return ip, (secured.version() or "") if secured else ""
    raise failed


def _explain(error: OSError, target: httpx.URL, *, through_proxy: bool) -> UnreachableError:
    where = _host_and_port(target)
    obstacle, template = _told(error)
    said = getattr(error, "verify_message", "") or error.strerror or type(error).__name__
    message = template.format(host=where, said=one_line(str(said), ()))
    return UnreachableError(message, obstacle, through_proxy=through_proxy)


def _told(error: OSError) -> tuple[Obstacle, str]:
    match error:
        case socket.gaierror():
            return "name", _("the name {host} cannot be looked up: {said}")
        case ConnectionRefusedError():
            return "refused", _("{host} refuses the connection")
        case ssl.SSLCertVerificationError():
            return "untrusted", _("{host} shows a certificate that is not trusted: {said}")
        case ssl.SSLError():
            return "no_tls", _("{host} does not answer with TLS: {said}")
        case TimeoutError():
            return "silent", _("{host} does not answer")
    return "broken", _("no connection to {host}: {said}")


def _host_and_port(url: httpx.URL) -> str:
    return url.netloc.decode("ascii")
