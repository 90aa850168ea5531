"""Which proxy, if any, stands before an endpoint."""

from urllib.request import getproxies, proxy_bypass

import httpx

from eventabs.errors import ConfigError
from eventabs.language import gettext as _
from eventabs.llm.endpoint import Address, Endpoint, is_loopback


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
