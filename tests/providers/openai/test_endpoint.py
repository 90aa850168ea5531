import pytest

from eventabs.errors import ConfigError
from eventabs.providers.openai.endpoint import Endpoint, is_loopback, parse_address

KEY = "sk-0123456789abcdef"


@pytest.mark.parametrize(
    ("base_url", "url", "host"),
    [
        ("https://api.example.com/v1", "https://api.example.com/v1/chat/completions", "api.example.com"),
        ("https://api.example.com/v1/", "https://api.example.com/v1/chat/completions", "api.example.com"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/chat/completions", "127.0.0.1:8000"),
        (
            "https://me:pw@api.example.com/v1?api-version=7#x",
            "https://api.example.com/v1/chat/completions?api-version=7",
            "api.example.com",
        ),
        ("http://my_box:65535/v1", "http://my_box:65535/v1/chat/completions", "my_box:65535"),
        ("https://例子.com", "https://xn--fsqu00a.com/chat/completions", "xn--fsqu00a.com"),
        (" http://[::1]:8000/v1 ", "http://[::1]:8000/v1/chat/completions", "[::1]:8000"),
    ],
)
def test_the_address_is_the_base_and_the_path_of_chat_completions(base_url: str, url: str, host: str) -> None:
    address = parse_address(Endpoint(model="m", base_url=base_url))
    assert (str(address.url), address.host) == (url, host)


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "api.example.com/v1",
        "ftp://x/v1",
        "http://",
        "https://a:b:c/",
        "看",
        "https://api.example.com:99999/v1",
        "https://api.example.com:0/v1",
        "https://api..example.com/v1",
        "https://api example.com/v1",
        "https://*.example.com/v1",
        "https://-.example.com/v1",
        f"https://{'a' * 64}.com/v1",
        f"https://{'a.' * 130}com/v1",
    ],
)
def test_what_is_no_address_is_refused_with_the_name_of_the_setting(base_url: str) -> None:
    with pytest.raises(ConfigError, match=r"llm\.base_url"):
        parse_address(Endpoint(model="m", base_url=base_url))


@pytest.mark.parametrize(
    "endpoint",
    [
        Endpoint(model="m", base_url="http://api.example.com/v1", api_key=KEY),
        Endpoint(model="m", base_url="http://10.0.0.7/v1", api_key=KEY),
        Endpoint(model="m", base_url=f"http://me:{KEY}@api.example.com/v1"),
        Endpoint(model="m", base_url="http://api.example.com/v1", extra_headers={"Api-Key": KEY}),
        Endpoint(model="m", base_url="http://localhost/v1", api_key=KEY, proxy="http://proxy.example.com"),
        Endpoint(model="m", base_url="http://localhost.example.com/v1", api_key=KEY),
    ],
)
def test_a_key_never_travels_unencrypted_to_another_machine(endpoint: Endpoint) -> None:
    with pytest.raises(ConfigError, match="unencrypted") as caught:
        parse_address(endpoint)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "endpoint",
    [
        Endpoint(model="m", base_url="http://api.example.com/v1"),
        Endpoint(model="m", base_url="http://api.example.com/v1", extra_headers={"X-Title": "t"}),
        Endpoint(model="m", base_url="http://127.1.2.3:8000/v1", api_key=KEY),
        Endpoint(model="m", base_url="http://localhost/v1", api_key=KEY, proxy="http://127.0.0.1:3128"),
        Endpoint(
            model="m", base_url="https://api.example.com/v1", api_key=KEY, proxy="http://proxy.example.com"
        ),
    ],
)
def test_plain_http_is_fine_without_a_key_or_on_this_machine(endpoint: Endpoint) -> None:
    assert parse_address(endpoint).url.host


@pytest.mark.parametrize("key", ["你的key", "sk-123456789\n", "sk-\x00123456789"])
def test_a_key_that_no_header_can_hold_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigError, match="api_key_env") as caught:
        parse_address(Endpoint(model="m", base_url="https://x.example/v1", api_key=key))
    assert key not in str(caught.value)


def test_everything_secret_is_known_as_such_and_in_no_repr() -> None:
    endpoint = Endpoint(
        model="m",
        base_url="https://user:passw0rd@x.example/v1?token=t0ken-value",
        api_key=KEY,
        extra_headers={"X-Auth": "Bearer b3arer-value"},
        proxy="https://pu:pr0xy-pw@proxy.example",
    )
    address = parse_address(endpoint)
    for secret in (KEY, "user", "passw0rd", "t0ken-value", "b3arer-value", "pr0xy-pw"):
        assert secret in address.secrets
        assert secret not in repr(endpoint)
    assert address.login == ("user", "passw0rd")
    assert not {"", ":"} & set(address.secrets)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.0.0.9", True),
        ("::1", True),
        ("128.0.0.1", False),
        ("10.0.0.1", False),
        ("example.com", False),
    ],
)
def test_loopback_is_told_by_name_and_number(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    "name", ["", "看", "X Y", "X\r\nEvil", f"Bearer {KEY}:", "Content-Length", "transfer-encoding"]
)
def test_a_header_that_would_break_the_request_is_refused_and_not_repeated(name: str) -> None:
    with pytest.raises(ConfigError, match=r"llm\.extra_headers") as caught:
        parse_address(Endpoint(model="m", base_url="http://localhost/v1", extra_headers={name: "1"}))
    assert KEY not in str(caught.value)
