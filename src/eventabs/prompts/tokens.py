"""Exact token counts without network access. Only this module knows tiktoken."""

import hashlib
import re
from binascii import a2b_base64
from collections.abc import Callable, Iterable
from functools import cache
from itertools import accumulate, chain, islice, product
from pathlib import Path

from eventabs.errors_and_exit_codes import ConfigError
from eventabs.interface_language import gettext as _

# Characters for either side of a cut (see TokenCounter.total), of each class that pre-tokenizers distinguish.
_VISIBLE = (*"aZs7宝éßか😀)。\"'_#·\\", "42", "马克", "e\u0301")


def load_tokenizer(path: str) -> tuple[Callable[[str], int], bool]:
    """Return a function that counts tokens, and whether counts of pieces add up. Raises ConfigError."""
    try:
        from tokenizers import Tokenizer  # noqa: PLC0415  an extra that few install
    except ImportError:
        raise ConfigError(
            _("prompt.tokenizer names a file; install what reads it: pip install 'eventabs[tokenizers]'")
        ) from None
    try:
        tokenizer = Tokenizer.from_str(Path(path).read_text("utf-8"))
    except Exception as error:  # noqa: BLE001  tokenizers raises nothing more exact
        message = _("prompt.tokenizer: {path} cannot be read ({error}); name a tokenizer.json")
        raise ConfigError(message.format(path=path, error=error)) from None
    tokenizer.encode_special_tokens = True  # `<|im_end|>` in a text counts as text
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False))

    def words(text: str) -> list[str]:
        normal = tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer else text
        return [word for word, _span in tokenizer.pre_tokenizer.pre_tokenize_str(normal)]

    # whether the pre-tokenizer splits at our cuts, tried with every class of character on both sides
    before_spaces = product(_VISIBLE, (f" {text}" for text in _VISIBLE))
    behind_lines = product((f"{text}\n" for text in _VISIBLE), _VISIBLE)
    return count, tokenizer.pre_tokenizer is not None and all(
        count(left + right) == count(left) + count(right)
        and words(left + right) == words(left) + words(right)
        for left, right in chain(before_spaces, behind_lines)
    )


_CACHED_PIECES = 1 << 15
_CACHED_LENGTH = 1000  # characters: a cache of longer pieces grows large and seldom helps
_LONG = 50_000  # characters
# Rust's \s without line ends; Python's \s knows four separators more. A million blanks alone overflow o200k_base's pattern:
# such a run is cut, at up to two tokens a cut.
_BLANKS = re.compile(r"[^\S\r\n\x1c-\x1f]{1000,500000}")

# What an encoding needs beside its data, as in tiktoken_ext/openai_public.py: the SHA-256 of the data, and a pattern. The data lies
# beside this file, as OpenAI publishes it (docs/decisions.md, 47). tiktoken's own loader would copy it into a cache folder, or would
# have to be kept from it through the environment, which belongs to the whole process.
_ENCODINGS = {
    "cl100k_base": (
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        (
            r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|"
            r"\s++$|\s*[\r\n]|\s+(?!\S)|\s"
        ),
    ),
    "o200k_base": (
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        (
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
            r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ),
    ),
}


class TokenCounter:
    """Counts tokens of an encoding ("": none), or of the tokenizer.json at the path `name`, all text as ordinary text. Raises ConfigError for an unknown name."""

    def __init__(self, name: str = "cl100k_base") -> None:
        is_file = name.endswith(".json")
        self.encode, self.adds_up = load_tokenizer(name) if is_file else (_load_encoding(name), True)
        self.seam = 0 if self.adds_up else 2  # tokens that a cut may cost, for a piece that is counted alone
        self._pieces = _Counts(self)
        self._numbers = [0]

    def count(self, text: str) -> int:
        """Count the tokens of `text`."""
        tokens = start = 0
        if len(text) >= _LONG and self.adds_up:
            # the pre-tokenizer takes a long run of blanks whole, but for the last, which belongs to what follows
            for run in _BLANKS.finditer(text):
                if run.end() < len(text) and text[run.end()] not in "\r\n":
                    tokens += self.encode(text[start : run.start()]) + self.encode(run[0][:-1])
                    start = run.end() - 1
        return tokens + self.encode(text[start:])

    def counts(self, pieces: Iterable[str]) -> list[int]:
        """Count each piece by itself; counts of short pieces are cached. Threads cost more than they bring: pieces are short."""
        return list(map(self._pieces.__getitem__, pieces))

    def total(self, pieces: Iterable[str]) -> int:
        """Add up the counts of pieces; counts of short pieces are cached.

        The sum is the count of the joined text if every cut is right before a single space
        that follows a visible character, or right behind a line end and before a character that is neither white space nor `/` (which
        o200k_base takes along with punctuation before the line end): the pre-tokenizer of
        tiktoken's encodings splits there too, whatever is on the other side. Where that is not so
        for a tokenizer.json, the joined text is counted.
        """
        if not self.adds_up:
            return self.encode("".join(pieces))
        return sum(map(self._pieces.__getitem__, pieces))

    def numbers(self, rows: int) -> list[int]:
        """Return by N, from 0 to `rows` at least, what the numbers from 1 to N in front of the rows of a request cost."""
        if (known := len(self._numbers)) <= rows:
            costs = (self.count(str(number)) + self.seam for number in range(known, max(rows, 2 * known) + 1))
            self._numbers += islice(accumulate(costs, initial=self._numbers[-1]), 1, None)
        return self._numbers


class _Counts(dict[str, int]):
    """The tokens of pieces; short ones are kept, until there are too many. Twice as fast as an lru_cache."""

    def __init__(self, counter: TokenCounter) -> None:
        self._counter = counter

    def __missing__(self, piece: str) -> int:
        if len(piece) > _CACHED_LENGTH:
            return self._counter.count(piece)
        if len(self) >= _CACHED_PIECES:
            self.clear()
        tokens = self[piece] = self._counter.encode(piece)
        return tokens


@cache
def _load_encoding(name: str) -> Callable[[str], int]:
    if not name:
        return lambda _text: 0
    if name not in _ENCODINGS:
        message = _(
            "there is no tokenizer {name}; set prompt.tokenizer to one of {known}, or to the path of a tokenizer.json"
        )
        raise ConfigError(message.format(name=name, known=", ".join(_ENCODINGS)))
    import tiktoken  # noqa: PLC0415  runs by the rules count nothing

    digest, pattern = _ENCODINGS[name]
    data = (Path(__file__).parent / "encodings" / f"{name}.tiktoken").read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        message = _(
            "the data of tokenizer {name} is damaged; install it again: pip install --force-reinstall eventabs"
        )
        raise ConfigError(message.format(name=name))
    # a token and its rank a line, in the order of ranks from 0
    ranks = {token: rank for rank, token in enumerate(map(a2b_base64, data.split()[::2]))}
    encoding = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    return lambda text: len(encoding.encode_ordinary(text))
