import os

import pytest

from eventabs.errors import ConfigError
from eventabs.providers.openai.endpoint import Endpoint, parse_address, proxy_of

FAR = "https://x.example/v1"
PROXY = "http://proxy.example:3128"


@pytest.fixture(autouse=True)
def _no_proxies_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


def found(base_url: str = FAR, proxy: str = "") -> str | None:
    endpoint = Endpoint(model="m", base_url=base_url, proxy=proxy)
    taken = proxy_of(endpoint, parse_address(endpoint))
    return str(taken.url) if taken else None


@pytest.mark.parametrize(
    ("variables", "base_url", "taken"),
    [
        ({}, FAR, None),
        ({"HTTPS_PROXY": PROXY}, FAR, PROXY),
        ({"https_proxy": "proxy.example:3128"}, FAR, PROXY),
        ({"HTTP_PROXY": PROXY}, FAR, None),
        ({"HTTP_PROXY": PROXY}, "http://x.example/v1", PROXY),
        ({"ALL_PROXY": PROXY}, FAR, PROXY),
        ({"ALL_PROXY": "socks5://127.0.0.1:1080", "HTTPS_PROXY": PROXY}, FAR, PROXY),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "x.example"}, FAR, None),
        ({"ALL_PROXY": PROXY, "NO_PROXY": ".example"}, FAR, None),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "*"}, FAR, None),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "other.example"}, FAR, PROXY),
        ({"ALL_PROXY": PROXY}, "http://127.0.0.1:8000/v1", None),
        ({"ALL_PROXY": PROXY}, "http://localhost:8000/v1", None),
    ],
)
def test_the_environment_s_proxy_holds_where_the_usual_variables_say_so(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], base_url: str, taken: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert found(base_url) == taken


def test_the_proxy_of_the_settings_comes_first_and_holds_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://other.example")
    assert found(proxy=PROXY) == PROXY
    assert found("http://127.0.0.1:8000/v1", proxy=PROXY) == PROXY


@pytest.mark.parametrize(
    "value", ["http://[::1", "ftp://proxy.example", "socks5://127.0.0.1:1080", "http://"]
)
def test_a_proxy_variable_that_cannot_be_used_is_one_error(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(ConfigError, match="HTTPS_PROXY"):
        found()
