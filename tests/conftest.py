"""Fixtures for all tests."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from eventabs.language import activate
from openai_server import OpenAIServer

settings.register_profile("eventabs", deadline=None)  # no test asserts a time
settings.load_profile("eventabs")


@pytest.fixture(autouse=True)
def _in_english() -> Iterator[None]:
    """Speak English before and after each test, whatever it activates."""
    activate("en")
    yield
    activate("en")


@pytest.fixture
def openai_server() -> Iterator[OpenAIServer]:
    """Return a server on loopback that answers well until its `behavior` is replaced."""
    with OpenAIServer() as server:
        yield server


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of `make pinned`."""
    parser.addoption("--write-pinned", action="store_true", help="write tests/data/pinned anew")
