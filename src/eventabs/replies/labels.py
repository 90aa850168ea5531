"""The type, category and summary of an event, by the vocabulary that the user configured."""

import re
from collections.abc import Iterable

from eventabs.records import Behavior, EventType, Vocabulary
from eventabs.replies.claims import Claim, fold, split_bars

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


def _type_and_more(types: Iterable[str], marks: Iterable[str]) -> re.Pattern[str]:
    """Match, in folded text, a type and what follows its mark, a dash, a colon, a comma or a bracket."""
    kind, mark = (
        "|".join(re.escape(fold(word)) for word in sorted(words, key=len, reverse=True)) or "(?!)"
        for words in (types, marks)
    )
    return re.compile(
        rf"(?P<type>(?:{kind})[*_`]*+(?: ?(?:{mark})(?=[ (:,])|(?= - | ?[:,(])))"
        r" *+(?:\((?P<inside>[^()]+)\)$|[-:,]? *+(?P<more>[^ (].*))",
        re.IGNORECASE | re.DOTALL,
    )


class Labels:
    """A vocabulary, ready to name the events of claims."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._default = vocabulary.default_category
        self._named = {c.name.casefold(): c.name for c in vocabulary.categories}
        self._marked = {fold(c.mark): c.name for c in vocabulary.categories if c.mark}
        self._decoration = "".join(mark for mark in _DECORATION if fold(mark) not in self._marked)
        self._types = {kind.name.casefold(): kind for kind in vocabulary.types}
        for alias, name in vocabulary.aliases:
            self._types.setdefault(alias.casefold(), self._types.get(name.casefold(), EventType(name)))
        self._closed = (
            frozenset()
            if vocabulary.open
            else frozenset(kind.name[:MAX_TYPE].rstrip() for kind in vocabulary.types)
        )
        self._type_and_more = _type_and_more(self._types, self._marked)

    def knows(self, kind: str) -> bool:
        """Whether the vocabulary has a type of that name."""
        return kind.casefold() in self._types

    def describe(self, claim: Claim) -> tuple[str, str, str]:
        """Return type, category and summary, clean. The type is "" where the claim names none."""
        words, summary = self._parted(claim)
        kind, marked = self._split(one_line(words, MAX_TYPE + MAX_TYPE).strip(self._decoration))
        named = self._category(claim.category)
        if not named:
            named, summary = self._named_in(summary, one_line(claim.category, MAX_SUMMARY))
        known = self._types.get(kind.casefold())
        kind, inherited = (known.name, known.category) if known else (kind, "")
        return kind[:MAX_TYPE].rstrip(), marked or named or inherited or self._default, summary

    def _parted(self, claim: Claim) -> tuple[str, str]:
        """Return type and summary, also if another sign than a bar follows a type of the vocabulary."""
        summary = one_line(claim.summary, MAX_SUMMARY)
        if summary or not (match := self._type_and_more.match(fold(claim.type))):
            return claim.type, summary
        start, end = match.span("more" if match["more"] else "inside")
        return claim.type[: match.end("type")], one_line(claim.type[start:end], MAX_SUMMARY)

    def _named_in(self, summary: str, otherwise: str) -> tuple[str, str]:
        """Return the category in place of the summary, or beside it behind a bar, and the summary."""
        if category := self._category(summary):
            return category, otherwise
        cells = split_bars(summary)
        for first, last in ((1, len(cells)), (0, len(cells) - 1)):
            if len(cells) > 1 and (category := self._category(cells[0 if first else -1])):
                return category, " | ".join(cells[first:last])
        return "", summary

    def is_outside(self, kind: str) -> bool:
        """Whether the vocabulary is closed and lacks a type that `describe` returned."""
        return bool(self._closed) and kind not in self._closed

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
