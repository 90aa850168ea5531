"""What stands around an answer, and what must not stand in a text that people will see."""

import re
from typing import NamedTuple

# One character for one, so that positions in the folded text hold in the original.
_FOLDED = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys(map(ord, "\u3000\u00a0\u2002\u2003\u2009\u202f"), " "),
    **dict.fromkeys(map(ord, "–—―−‐‑‒〜～"), "-"),
    **dict.fromkeys(map(ord, "“”„‟"), '"'),
    **dict.fromkeys(map(ord, "‘’"), "'"),
    ord("∶"): ":",
    ord("、"): ",",
    ord("。"): ".",
    ord("【"): "[",
    ord("】"): "]",
    ord("│"): "|",
    ord("¦"): "|",
}

_TAGS = r"think|thinking|thought|thoughts|reasoning|reflection|seed:think"
_OPENING = re.compile(rf"^[ \t]*(?:<(?:{_TAGS})>|\[THINK\]|◁think▷)", re.IGNORECASE | re.MULTILINE)
_CLOSING = re.compile(rf"</(?:{_TAGS})>|\[/THINK\]|◁/think▷|<\|channel\|>final<\|message\|>", re.IGNORECASE)

# Control, line and paragraph separators, bidi and invisible characters, lone surrogates. The joiners that
# emoji and some scripts need (200C, 200D) stay.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]+"
)


class AnswerText(NamedTuple):
    """A reply without its reasoning. `unclosed` is reasoning that never ended, else ""."""

    text: str
    unclosed: str = ""


def fold(text: str) -> str:
    """Write full-width digits, letters and punctuation as ASCII, every character in its place."""
    return text if text.isascii() else text.translate(_FOLDED)


def without_reasoning(text: str) -> AnswerText:
    """Take what stands behind the last closing tag, or before the first opening one if that is nothing."""
    text = text.lstrip("\ufeff \t\r\n")
    closings = list(_CLOSING.finditer(text))
    behind = text[closings[-1].end() :] if closings else text
    opening = _OPENING.search(behind)
    answer = behind[: opening.start()] if opening else behind
    unclosed = behind[opening.end() :] if opening else ""
    if closings and not answer.strip():
        first = _OPENING.search(text)
        answer = text[: first.start()] if first else ""
    return AnswerText(answer, unclosed)


def one_line(text: str, limit: int) -> str:
    """Return `text` as one line of at most `limit` characters without control and bidi characters."""
    return " ".join(_UNSAFE.sub(" ", text[: 4 * limit]).split())[:limit].rstrip()
