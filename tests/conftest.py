"""Fixtures for all tests, and which of them `make test` leaves to `make test-all`."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import chromium
from eventabs.interface_language import activate
from openai_server import OpenAIServer

settings.register_profile("eventabs", deadline=None)  # no test asserts a time
settings.load_profile("eventabs")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of `make test` and `make pinned`."""
    parser.addoption("--quick", action="store_true", help="a tenth of the examples, and no test marked slow")
    parser.addoption("--write-pinned", action="store_true", help="write tests/data/pinned anew")


def pytest_collection() -> None:
    """Keep the collector of garbage away while modules are loaded and tests are made, which all stay."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Let it never look at them again: that was a twentieth of the time of all tests."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave slow tests out, and most examples of property tests, where only a quick look is asked for."""
    if not config.getoption("--quick"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in slow]
    for test in {item.obj for item in items if isinstance(item, pytest.Function)}:
        full = getattr(test, "_hypothesis_internal_use_settings", None)
        if full:
            test._hypothesis_internal_use_settings = settings(
                full, max_examples=max(5, full.max_examples // 10)
            )


@pytest.fixture(scope="session", autouse=True)
def _one_browser() -> Iterator[None]:
    """End the browser that tests of pages have started."""
    yield
    chromium.end()


@pytest.fixture(autouse=True)
def _in_english() -> Iterator[None]:
    """Speak English before and after each test, whatever it activates."""
    activate("en")
    yield
    activate("en")


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a test's folder the current one, and the place of what is remembered of runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


@pytest.fixture
def openai_server() -> Iterator[OpenAIServer]:
    """Return a server on loopback that answers well until its `behavior` is replaced."""
    with OpenAIServer() as server:
        yield server
