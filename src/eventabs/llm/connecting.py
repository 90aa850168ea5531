"""Whether an endpoint's machine can be reached at all: its name, a connection, TLS."""

import asyncio
import socket
import ssl
from dataclasses import dataclass
from typing import Literal

import httpx

from eventabs.errors import EndpointError
from eventabs.language import gettext as _
from eventabs.llm.endpoint import Address, Endpoint
from eventabs.llm.proxies import proxy_of
from eventabs.llm.redaction import one_line
from eventabs.llm.transport import trusted

Obstacle = Literal["name", "refused", "silent", "broken", "untrusted", "no_tls"]

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Way:
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


async def find_way(endpoint: Endpoint, address: Address, *, seconds: float) -> Way:
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
    return Way(ip, _host_and_port(proxy) if proxy else "", "" if proxy else tls)


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
