"""Counting with a model's own tokenizer.json. The only module that knows tokenizers, an extra."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from eventabs.errors import ConfigError
from eventabs.language import gettext as _

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# What may stand on either side of a cut (see TokenCounter.total), of each class that pre-tokenizers tell apart.
_VISIBLE = (
    "a",
    "Z",
    "s",
    "7",
    "42",
    "宝",
    "马克",
    "é",
    "e\u0301",
    "ß",
    "か",
    "😀",
    ")",
    "。",
    '"',
    "'",
    "_",
    "#",
    "·",
    "\\",
)
_LINE_ENDS = tuple(f"{text}\n" for text in _VISIBLE)


def load_tokenizer(path: str) -> tuple[Callable[[str], int], bool]:
    """Return what counts tokens, and whether counts of pieces add up. Raises ConfigError."""
    try:
        from tokenizers import Tokenizer  # noqa: PLC0415  an extra that few install
    except ImportError:
        message = _(
            "prompt.tokenizer names a file; install what reads it: pip install 'eventabs[tokenizers]'"
        )
        raise ConfigError(message) from None
    try:
        tokenizer = Tokenizer.from_str(Path(path).read_text("utf-8"))
    except Exception as error:  # noqa: BLE001  tokenizers raises nothing more exact
        message = _("prompt.tokenizer: {path} cannot be read ({error}); name a tokenizer.json")
        raise ConfigError(message.format(path=path, error=error)) from None
    tokenizer.encode_special_tokens = True  # `<|im_end|>` in a text is text
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False))

    return count, _adds_up(tokenizer, count)


def _adds_up(tokenizer: "Tokenizer", count: Callable[[str], int]) -> bool:
    """Whether the pre-tokenizer parts at our cuts, tried with every class of character on both sides."""
    if tokenizer.pre_tokenizer is None:
        return False
    before_spaces = product(_VISIBLE, (f" {text}" for text in _VISIBLE))
    behind_lines = product(_LINE_ENDS, _VISIBLE)
    return all(
        count(left + right) == count(left) + count(right) and _parts(tokenizer, left, right)
        for pairs in (before_spaces, behind_lines)
        for left, right in pairs
    )


def _parts(tokenizer: "Tokenizer", left: str, right: str) -> bool:
    def words(text: str) -> list[str]:
        normal = tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer else text
        return [word for word, _span in tokenizer.pre_tokenizer.pre_tokenize_str(normal)]

    return words(left + right) == words(left) + words(right)
