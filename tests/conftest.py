"""Fixtures for all tests."""

from collections.abc import Iterator

import pytest

from openai_server import OpenAIServer


@pytest.fixture
def openai_server() -> Iterator[OpenAIServer]:
    """Return a server on loopback that answers well until its `behavior` is replaced."""
    with OpenAIServer() as server:
        yield server
