"""The type, category and summary of an event, by the vocabulary that the user configured."""

import re

from eventabs.records import Vocabulary
from eventabs.replies.claims import Claim
from eventabs.replies.text import fold, one_line

MAX_TYPE = 40
MAX_SUMMARY = 200

_DECORATION = ' *_`"“”-:：.,'
_BRACKETED = re.compile(r"\s*[\[(](?P<name>[^\[\]()]{1,40})[\])]$")


class Labels:
    """A vocabulary, ready to name what claims say."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._default = vocabulary.default_category
        self._named = {category.name.casefold(): category.name for category in vocabulary.categories}
        self._marked = {
            fold(category.mark): category.name for category in vocabulary.categories if category.mark
        }
        self._decoration = "".join(mark for mark in _DECORATION if fold(mark) not in self._marked)
        self._types = {kind.name.casefold(): kind for kind in vocabulary.types}

    def describe(self, claim: Claim) -> tuple[str, str, str]:
        """Return type, category and summary, clean. The type is "" where the claim names none."""
        kind, said = self._split(one_line(claim.type, MAX_TYPE + MAX_TYPE).strip(self._decoration))
        summary = one_line(claim.summary, MAX_SUMMARY)
        category = said or self._category(claim.category)
        if not category and not claim.category and (category := self._category(summary)):
            summary = ""
        known = self._types.get(kind.casefold())
        if known:
            kind = known.name
        inherited = known.category if known else ""
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
