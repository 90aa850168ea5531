"""Which proxy, if any, stands before an endpoint."""

import base64
import ipaddress
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote
from urllib.request import getproxies, proxy_bypass

import httpx

from eventabs.errors import ConfigError
from eventabs.language import gettext as _

MASK = "[redacted]"
SHOWN_CHARACTERS = 300
_WORD_LENGTH = 6  # a shorter secret is masked only where it stands alone: "1" is everywhere


def redact(text: str, secrets: Iterable[str]) -> str:
    """Mask every secret in the text, also percent-encoded or in base64."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) < _WORD_LENGTH:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", MASK, text)
            continue
        for form in (secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode().rstrip("=")):
            text = text.replace(form, MASK)
    return text


def one_line(text: str, secrets: Iterable[str]) -> str:
    """Return foreign text as one redacted line of at most 300 characters without control characters."""
    visible = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text)
    line = redact(" ".join(visible.split()), secrets)
    return line if len(line) <= SHOWN_CHARACTERS else line[: SHOWN_CHARACTERS - 1] + "…"


_PORTS = range(1, 65_536)
_LONGEST_NAME = 254  # with the dot at its end; RFC 1035
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.1
_FRAMING = {"connection", "content-encoding", "content-length", "transfer-encoding"}
_CREDENTIAL_HEADERS = {"authorization", "proxy-authorization", "api-key", "x-api-key", "cookie"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible endpoint. `repr` shows nothing that may hold a secret.

    `base_url` is what stands before /chat/completions; `proxy` "" means the environment's;
    `ca_file` "" means the usual authorities.
    """

    model: str
    base_url: str = field(repr=False)
    api_key: str | None = field(default=None, repr=False)
    extra_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    proxy: str = field(default="", repr=False)
    ca_file: str = ""


@dataclass(frozen=True, slots=True)
class Sampling:
    """What is asked of the model beside the messages. None: the endpoint's own default.

    Fields of `extra_body` take the place of ours. `omit`: parameters that are never sent (of wire.DROPPABLE).
    """

    stream: bool = True
    temperature: float | None = None
    seed: int | None = None
    extra_body: Mapping[str, object] = field(default_factory=dict)
    omit: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CallLimits:
    """What one call may take. Times in seconds; `reply_bytes` counts after decompression.

    `longest_wait`: a server that asks to wait longer before the next request ends the run.
    """

    connect_timeout: float = 10.0
    idle_timeout: float = 120.0  # between pieces of content of a stream
    call_timeout: float = 900.0  # wall clock from sending to the last byte
    longest_wait: float = 900.0
    max_connections: int = 100
    reply_bytes: int = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Address:
    """An endpoint's address, taken apart so that its secrets stay out of messages."""

    url: httpx.URL  # with the query, without user and password
    host: str
    login: tuple[str, str] | None = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


def parse_address(endpoint: Endpoint) -> Address:
    """Check the endpoint's settings and take its address apart.

    Raises ConfigError where the address, the proxy, the key or a header cannot be used, and where
    a key would travel unencrypted to another machine.
    """
    base = _parse_url(endpoint.base_url, "llm.base_url", ("http", "https"))
    proxy = None
    if endpoint.proxy:
        proxy = _parse_url(endpoint.proxy, "llm.proxy", ("http", "https"))
    _check_headers(endpoint)
    if base.scheme == "http" and _holds_key(endpoint, base):
        exposed = next((u.host for u in (base, proxy) if u is not None and not is_loopback(u.host)), None)
        if exposed is not None:
            message = _(
                "the API key would travel unencrypted to {host}; set llm.base_url to an https address, "
                "or unset the variable named by llm.api_key_env if the server needs no key"
            )
            raise ConfigError(message.format(host=exposed))
    return Address(
        url=base.copy_with(
            username=None, password=None, path=base.path.rstrip("/") + "/chat/completions", fragment=None
        ),
        host=base.netloc.decode("ascii"),
        login=(base.username, base.password) if base.userinfo else None,
        secrets=_find_secrets(endpoint, base, proxy),
    )


def is_loopback(host: str) -> bool:
    """Whether the host is this machine by its name or number; names are not looked up."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parse_url(text: str, setting: str, schemes: tuple[str, ...]) -> httpx.URL:
    try:
        url = httpx.URL(text.strip())
    except httpx.InvalidURL:
        url = httpx.URL()
    if (
        url.scheme in schemes
        and _is_host(url.raw_host.decode("ascii"))
        and (url.port is None or url.port in _PORTS)
    ):
        return url
    message = _("{setting} is no address; write one like https://api.example.com/v1")
    raise ConfigError(message.format(setting=setting))


def _is_host(host: str) -> bool:
    """Whether it is an IP address or a name that could be looked up: anything else would be tried again for nothing."""
    if ":" in host:
        return True  # an IPv6 address, which httpx has checked
    return len(host) <= _LONGEST_NAME and all(map(_LABEL.fullmatch, host.removesuffix(".").split(".")))


def _check_headers(endpoint: Endpoint) -> None:
    if any(not _HEADER.fullmatch(name) or name.lower() in _FRAMING for name in endpoint.extra_headers):
        message = _(
            "llm.extra_headers has a name that no header may have, or that is not yours to set; check them"
        )
        raise ConfigError(message)
    for name, value in (("llm.api_key_env", endpoint.api_key or ""), *endpoint.extra_headers.items()):
        if not (value.isascii() and value.isprintable()):
            message = _(
                "the value of {name} holds characters that no HTTP header may hold; copy it again "
                "without line breaks or placeholders"
            )
            raise ConfigError(message.format(name=name))


def _holds_key(endpoint: Endpoint, base: httpx.URL) -> bool:
    headers = {name.lower() for name in endpoint.extra_headers}
    return bool(endpoint.api_key or base.userinfo or headers & _CREDENTIAL_HEADERS)


def _find_secrets(endpoint: Endpoint, base: httpx.URL, proxy: httpx.URL | None) -> tuple[str, ...]:
    found = [endpoint.api_key or "", *endpoint.extra_headers.values()]
    for value in list(endpoint.extra_headers.values()):
        found += value.split()  # "Bearer <token>" is echoed as the token alone
    for url in (base, proxy):
        if url is not None:
            found += [url.username, url.password, f"{url.username}:{url.password}", url.query.decode("ascii")]
            found += [value for _name, value in url.params.multi_items()]
    return tuple({secret for secret in found if secret.strip(":")})


def proxy_of(endpoint: Endpoint, address: Address) -> httpx.Proxy | None:
    """Return the proxy that requests take: that of the settings, or the environment's, but none for loopback.

    Raises ConfigError where a variable of the environment is no address.
    """
    if endpoint.proxy:
        return httpx.Proxy(endpoint.proxy)
    host = address.url.host
    if is_loopback(host) or proxy_bypass(host):
        return None
    proxies = getproxies()
    named = proxies.get(address.url.scheme) or proxies.get("all")
    if not named:
        return None
    try:
        proxy = httpx.Proxy(named if "://" in named else f"http://{named}")
    except (httpx.InvalidURL, ValueError):
        proxy = None
    if proxy is None or proxy.url.scheme not in {"http", "https"} or not proxy.url.host:
        message = _(
            "a proxy variable (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY) is no address that can be used; name an"
            " http proxy or unset it"
        )
        raise ConfigError(message)
    return proxy
