"""Counts are exact, need no network, and no text makes them fail."""

import hashlib
import inspect
import os
import socket
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given, settings, strategies as st
from tiktoken_ext import openai_public  # type: ignore[import-untyped]

from eventabs.errors_and_exit_codes import ConfigError
from eventabs.prompts import tokens
from eventabs.prompts.tokens import TokenCounter
from paths import ROOT

NAMES = ("cl100k_base", "o200k_base")
DATA = Path(tokens.__file__).parent / "encodings"
WORDS = st.text(
    st.sampled_from("ab Z0123456789宝马餐厅·\"'#|_-:!，。😀👨‍👩‍👧é\u3000"), min_size=1, max_size=12
)


def published(name: str, folder: Path) -> tiktoken.Encoding:
    """Load our data as tiktoken loads what it has downloaded: with its own address, checksum and pattern."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
        patch.setattr(
            socket, "socket", lambda *_, **__: pytest.fail("network")
        )  # what it does about other data
        address = f"https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
        cached = folder / hashlib.sha1(address.encode(), usedforsecurity=False).hexdigest()
        cached.symlink_to(DATA / f"{name}.tiktoken")
        return tiktoken.Encoding(**getattr(openai_public, name)())


@pytest.fixture(scope="module", params=NAMES)
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TokenCounter, tiktoken.Encoding]:
    """Return our counter and what tiktoken itself makes of the published data."""
    return TokenCounter(request.param), published(request.param, tmp_path_factory.mktemp("cache"))


Both = tuple[TokenCounter, tiktoken.Encoding]


@settings(max_examples=150, deadline=None)
@given(text=st.text() | st.lists(WORDS).map("\n".join))
def test_counts_are_those_of_tiktoken_itself(both: Both, text: str) -> None:
    counter, encoding = both
    assert counter.count(text) == len(encoding.encode_ordinary(text))


@pytest.mark.parametrize("export", ["examples/behaviors.jsonl", "README.zh-CN.md"])
def test_whole_files_have_the_tokens_that_tiktoken_counts(both: Both, export: str) -> None:
    counter, encoding = both
    text = (ROOT / export).read_text("utf-8")
    assert counter.count(text) == len(encoding.encode_ordinary(text))


def test_text_that_looks_like_a_special_token_counts_as_ordinary_text(both: Both) -> None:
    counter, encoding = both
    assert counter.count("<|endoftext|>") == len(encoding.encode_ordinary("<|endoftext|>")) > 1


def test_a_name_that_is_not_known_is_answered_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"no-such-encoding.*cl100k_base, o200k_base"):
        TokenCounter("no-such-encoding")


@pytest.mark.parametrize("name", NAMES)
def test_loading_needs_no_network_and_writes_neither_the_environment_nor_a_cache(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where tiktoken would put its own
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("network"))
    monkeypatch.setattr(os, "putenv", lambda *_: pytest.fail("environment"))
    monkeypatch.setattr(os, "unsetenv", lambda *_: pytest.fail("environment"))
    tokens._load_encoding.cache_clear()
    TokenCounter(name)
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_data_is_used_only_where_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    other = hashlib.sha256(b"other data").hexdigest(), tokens._ENCODINGS["o200k_base"][1]
    monkeypatch.setitem(tokens._ENCODINGS, "o200k_base", other)
    tokens._load_encoding.cache_clear()
    with pytest.raises(ConfigError, match=r"damaged.*pip install --force-reinstall eventabs"):
        TokenCounter("o200k_base")


@pytest.mark.parametrize("name", NAMES)
def test_the_checksum_and_the_pattern_are_those_that_tiktoken_has(name: str, tmp_path: Path) -> None:
    digest, pattern = tokens._ENCODINGS[name]
    assert f'"{digest}"' in inspect.getsource(getattr(openai_public, name))
    assert published(name, tmp_path)._pat_str == pattern


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(WORDS.map(str.strip).filter(bool), min_size=1, max_size=5), min_size=1, max_size=5))
def test_counts_of_pieces_cut_before_spaces_and_behind_line_ends_add_up(
    both: Both, lines: list[list[str]]
) -> None:
    counter, encoding = both
    pieces = [piece for words in lines for piece in (words[0], *(f" {word}" for word in words[1:]), "\n")]
    glued = [one + two for one, two in pairwise([*pieces, ""]) if two == "\n"]
    pieces = [piece for piece, after in pairwise([*pieces, ""]) if "\n" not in (piece, after)]
    text = "".join(" ".join(words) + "\n" for words in lines)
    assert counter.total([*pieces, *glued]) == len(encoding.encode_ordinary(text))


def test_pieces_too_long_to_be_remembered_are_counted_all_the_same(both: Both) -> None:
    counter, encoding = both
    piece = " 宝马" * 1_000
    assert counter.total([piece, piece]) == 2 * len(encoding.encode_ordinary(piece))


@pytest.mark.parametrize("run", [" " * 1_500, "x  \n\n \n" + "\u3000" * 1_000])
@pytest.mark.parametrize("after", ["x", "\nx", "", "\x1cx"])
def test_long_runs_of_blanks_are_counted_like_any_text(both: Both, run: str, after: str) -> None:
    counter, encoding = both
    text = "宝马" * 26_000 + run + after
    assert counter.count(text) == len(encoding.encode_ordinary(text))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("piece", "end"), [("a" * 1_000, ""), (" " * 1_280, "x")])
def test_a_line_of_a_megabyte_is_counted_like_its_pieces(name: str, piece: str, end: str) -> None:
    counter = TokenCounter(name)
    assert counter.count(piece * 1_000 + end) == pytest.approx(1_000 * counter.count(piece), rel=0.001)
