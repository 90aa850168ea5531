"""Token counts, exact and with no network. The only module that knows tiktoken."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import tiktoken

from eventabs.errors import ConfigError
from eventabs.language import gettext as _

_BUNDLED = "_offline"  # how encodings whose data is installed are named in tiktoken's registry
_CACHED_PIECES = 1 << 15
_CACHED_LENGTH = 1000  # characters: a memory of longer pieces would grow large and seldom be of use
_LONG = 50_000  # characters
# Rust's \s without line ends; Python's \s knows four separators more.
_BLANKS = re.compile(r"[^\S\r\n\x1c-\x1f]{1000,}")


class TokenCounter:
    """Counts tokens of `encoding`. Raises ConfigError where its data is not installed.

    Text that looks like a special token (`<|endoftext|>`) counts as the ordinary text that it is.
    """

    def __init__(self, encoding: str = "cl100k_base") -> None:
        names = tiktoken.list_encoding_names()
        bundled = [name.removesuffix(_BUNDLED) for name in names if name.endswith(_BUNDLED)]
        if encoding not in bundled:
            message = _("tokenizer {name} is not installed; set prompt.tokenizer to one of: {known}")
            raise ConfigError(message.format(name=encoding, known=", ".join(sorted(bundled))))
        with _no_cache_folder():
            self._encoding = tiktoken.get_encoding(encoding + _BUNDLED)
        self._piece = lru_cache(_CACHED_PIECES)(self._encode)

    def count(self, text: str) -> int:
        """Count the tokens of `text`."""
        if len(text) < _LONG:
            return self._encode(text)
        return sum(map(self._encode, _cut_at_blanks(text)))

    def total(self, pieces: Iterable[str]) -> int:
        """Add up the counts of pieces; those of short ones are remembered.

        The sum is the count of the joined text where every cut stands right before a single space
        that follows a visible character, or right behind a line end and before a character that is not white space: the pre-tokenizer of
        tiktoken's encodings parts there too, whatever stands on the other side.
        """
        return sum(
            self._piece(piece) if len(piece) <= _CACHED_LENGTH else self.count(piece) for piece in pieces
        )

    def _encode(self, text: str) -> int:
        return len(self._encoding.encode_ordinary(text))


@contextmanager
def _no_cache_folder() -> Iterator[None]:
    """Keep tiktoken from copying the installed data into a cache folder, which may be unwritable."""
    variable = "TIKTOKEN_CACHE_DIR"  # the empty string means: none
    before = os.environ.get(variable)
    os.environ[variable] = ""
    try:
        yield
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before


def _cut_at_blanks(text: str) -> Iterator[str]:
    """Cut where the pre-tokenizer does, around long runs of blanks, on which its backtracking overflows.

    It takes such a run whole but for the last blank, which goes to what follows.
    """
    start = 0
    for run in _BLANKS.finditer(text):
        if run.end() < len(text) and text[run.end()] not in "\r\n":
            yield text[start : run.start()]
            yield text[run.start() : run.end() - 1]
            start = run.end() - 1
    yield text[start:]
