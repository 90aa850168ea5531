"""Reasoning in a reply, between tags, that is no part of its answer."""

import re
from bisect import bisect
from typing import NamedTuple

from eventabs.replies.words_and_row_numbers import fold

_LONGEST_NAME = 200  # characters of a line before a tag
_TAGS = r"think|thinking|thought|thoughts|reasoning|reflection|seed:think"
_OPENING = re.compile(rf"^[ \t]*(?:<(?:{_TAGS})>|\[THINK\]|◁think▷)", re.IGNORECASE | re.MULTILINE)
_CLOSING = re.compile(rf"</(?:{_TAGS})>|\[/THINK\]|◁/think▷|<\|channel\|>final<\|message\|>", re.IGNORECASE)
_END_OF_STRING = re.compile(r"""[^\n"'“”]{0,200}+["'”]\s*+[,\]})，]""")


class AnswerText(NamedTuple):
    """A reply without its reasoning. `unclosed`: reasoning that never ended, else ""."""

    text: str
    unclosed: str = ""


def without_reasoning(text: str) -> AnswerText:
    """Return the text behind the last closing tag, or before the first opening one if that is empty.

    A tag in the name of a journey closes only open reasoning.
    """
    text = text.lstrip("\ufeff \t\r\n")
    openings = [match.start() for match in _OPENING.finditer(text)]
    end = 0
    for tag in _CLOSING.finditer(text):
        is_open = bisect(openings, end - 1) < bisect(openings, tag.start())
        line = text[max(0, tag.start() - _LONGEST_NAME) : tag.start()].rpartition("\n")[2]
        is_in_name = _END_OF_STRING.match(text, tag.end()) or fold(line).lstrip().startswith(">")
        if is_open or not is_in_name:
            end = tag.end()
    behind = text[end:]
    opening = _OPENING.search(behind)
    answer = behind[: opening.start()] if opening else behind
    unclosed = behind[opening.end() :] if opening else ""
    if end and not answer.strip():
        first = _OPENING.search(text)
        answer = text[: first.start()] if first else ""
    return AnswerText(answer, unclosed)
