"""The type, category and summary of an event, by the vocabulary that the user configured."""

import re
from collections.abc import Iterable

from eventabs.records import Behavior, Vocabulary
from eventabs.replies.claims import Claim, fold

# Control, line and paragraph separators, bidi and invisible characters, lone surrogates. The joiners that
# emoji and some scripts need (200C, 200D) stay.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]+"
)

MAX_TYPE = 40
MAX_SUMMARY = 200
MAX_NAMES = 3

_DECORATION = ' *_`"“”-:：.,'
_BRACKETED = re.compile(r"\s*[\[(](?P<name>[^\[\]()]{1,40})[\])]$")


def one_line(text: str, limit: int) -> str:
    """Return `text` as one line of at most `limit` characters without control and bidi characters."""
    return " ".join(_UNSAFE.sub(" ", text[: 4 * limit]).split())[:limit].rstrip()


def names_of(behaviors: Iterable[Behavior]) -> str:
    """Return the first three names of things and places in behaviors, as a summary."""
    names = list(dict.fromkeys(filter(None, (behavior.item or behavior.place for behavior in behaviors))))
    text = one_line(", ".join(names[:MAX_NAMES]), MAX_SUMMARY)
    return f"{text} …" if len(names) > MAX_NAMES else text


class Labels:
    """A vocabulary, ready to name the events of claims."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._default = vocabulary.default_category
        self._named = {c.name.casefold(): c.name for c in vocabulary.categories}
        self._marked = {fold(c.mark): c.name for c in vocabulary.categories if c.mark}
        self._decoration = "".join(mark for mark in _DECORATION if fold(mark) not in self._marked)
        self._types = {kind.name.casefold(): kind for kind in vocabulary.types}

    def knows(self, kind: str) -> bool:
        """Whether the vocabulary has a type of that name."""
        return kind.casefold() in self._types

    def describe(self, claim: Claim) -> tuple[str, str, str]:
        """Return type, category and summary, clean. The type is "" where the claim names none."""
        kind, marked = self._split(one_line(claim.type, MAX_TYPE + MAX_TYPE).strip(self._decoration))
        summary = one_line(claim.summary, MAX_SUMMARY)
        category = marked or self._category(claim.category)
        if not self._category(claim.category) and (named := self._category(summary)):  # the other way round
            category, summary = category or named, one_line(claim.category, MAX_SUMMARY)
        known = self._types.get(kind.casefold())
        kind, inherited = (known.name, known.category) if known else (kind, "")
        return kind[:MAX_TYPE].rstrip(), category or inherited or self._default, summary

    def _split(self, kind: str) -> tuple[str, str]:
        if kind.casefold() in self._types:
            return kind, ""
        folded = fold(kind)
        if (match := _BRACKETED.search(folded)) and (category := self._category(match["name"])):
            return kind[: match.start()].strip(self._decoration), category
        if category := self._marked.get(folded[-1:], ""):
            return kind[:-1].strip(self._decoration), category
        return kind, ""

    def _category(self, text: str) -> str:
        name = one_line(text, MAX_TYPE).strip(self._decoration)
        return self._named.get(name.casefold()) or self._marked.get(fold(name), "")
