"""The words and row numbers of an answer: types, kinds of journeys, marks and groups, as models write them."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from eventabs.shared_records import EventType, Vocabulary

MINOR_WORDS = ("零碎", "minor")
LONGEST_TYPE = 40
_CACHED = 1_000  # labels
AROUND_NAMES = " \t*_`\"'<>()[]{}:=.,;|/-"

# Control, line and paragraph separators, bidi and invisible characters, lone surrogates. The joiners that
# emoji and some scripts need (200C, 200D) stay.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]+"
)
# Each character becomes one, so that positions are the same in both texts. 、 stays: behind a number it is a bullet.
_FOLDED: dict[int, int | str] = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys(map(ord, "\u3000\u00a0\u2002\u2003\u2009\u202f"), " "),
    **dict.fromkeys(map(ord, "–—―−‐‑‒〜～"), "-"),
    **dict.fromkeys(map(ord, "→⇒➔➜⟶"), ">"),
    **dict.fromkeys(map(ord, "“”„‟"), '"'),
    **dict.fromkeys(map(ord, "‘’"), "'"),
    **str.maketrans("∶。【】〔〕│¦", ":.[][]||"),
}
_UNFOLDED = re.compile(f"[{re.escape(''.join(map(chr, _FOLDED)))}]")
_NORMAL: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), instead)
    for pattern, instead in (
        (r" ?\((?=[^()]{0,100}?[^()\W\d_])[^()]{1,100}\)$| (?:#(?!\d)|//).*$", ""),  # a note at the end
        (r"[\"'|`]++|(?<!\w)_++|(?<!_)_++(?!\w)", " "),
        (r"第(?= ?\d)", ""),
        (r"(?<=\d) ?行(?=$|[^\w]|[到至和及])", ""),
        (r"(?<!\w)行号? ?:? ?(?=\d)|(?<=\S) (?:rows?|lines?) ?:? ?(?=\d)", " "),
        (r"#(?=\d)", ""),
        (r"[\[(] ?\d+ ?[\])](?= ?:)", ""),  # how many follow
        (r"(?<=[^\d\s:=>])[:=>]++(?=\d)", " "),
        (r"\( ?\? ?\)", "?"),
        (r"(?<=\d) ?(?:-++>?|[~>]|至|到|to\b) ?(?=\d)", "-"),
        (r"(?<=\d) ?(?:[,、]++ ?(?:and\b|和|及)?|and\b|[和及&+]) ?(?=\d)", ","),
        (r"[\[({] ?(?=\d)|(?<=[\d?!]) ?[\])}]++", " "),
        (r" [,\[\](){}]++(?= |$)|^[\[({]++ ", " "),
        (r"(?<=\d) +(?=[?!]+(?: |$))", ""),
        (r"(?<=[\d?!]) *, *(?=[^\d\s,])", ";"),
    )
)
_BRACKETED = re.compile(r"\s*[\[(](?P<inside>[^\[\]()]{1,40})[\])]$")
_RANGES = r"[0-9]+(?:-[0-9]+)?(?:,[0-9]+(?:-[0-9]+)?)*+"


def fold(text: str) -> str:
    """Write full-width digits, letters and punctuation as ASCII; positions stay the same."""
    return text.translate(_FOLDED) if _UNFOLDED.search(text) else text


def normal(folded: str) -> str:
    """Write groups as they are asked for: `5 to 8`, `第5-8行`, `[2, 4]`."""
    folded = " ".join(folded.split())
    for pattern, instead in _NORMAL:
        folded = pattern.sub(instead, folded)
    return folded.strip(" .,\\")


def one_line(text: str, limit: int) -> str:
    """Return `text` as one line of at most `limit` characters without control and bidi characters."""
    return " ".join(_UNSAFE.sub(" ", text[: 4 * limit]).split())[:limit].rstrip()


class Label(NamedTuple):
    """What stands before groups. `known`: the vocabulary has it, `has_category` a category for it, which no mark changes.

    `odd`: it has a mark that is none of the vocabulary's.
    """

    type: str
    category: str
    sure: bool = True
    known: bool = False
    minor: bool = False
    has_category: bool = False
    odd: bool = False


class JourneyName(NamedTuple):
    """The journey that groups are steps of."""

    kind: str
    name: str
    sure: bool = True


class Group(NamedTuple):
    """The rows of one event: first and last of each range, as written, and signs behind them."""

    spans: tuple[tuple[int, int], ...]
    mark: str = ""


def groups_in(text: str) -> tuple[Group, ...]:
    """Return the groups of a text that is nothing else."""
    groups = []
    for word in text.split():  # no row has more than a dozen digits
        if word.isdecimal():  # most
            row = int(word[:12])
            groups.append(Group(((row, row),)))
            continue
        ranges = word if word[-1].isdigit() else word.rstrip(word.translate(_NO_RANGES))
        spans = []
        for each in ranges.split(","):
            first, _hyphen, last = each.partition("-")
            row = int(first[:12])
            spans.append((row, int(last[:12]) if last else row))
        groups.append(Group(tuple(spans), word[len(ranges) :]))
    return tuple(groups)


_NO_RANGES = str.maketrans("", "", "0123456789,-")


def read_as(name: str) -> str:
    """Return what names have in common that an answer cannot tell apart."""
    return " ".join(fold(name).casefold().split())


def _one_of(names: Iterable[str]) -> str:
    """Match one of some names, the longest first."""
    words = sorted(
        {tuple(fold(name).split()) for name in names} - {()}, key=lambda each: (-sum(map(len, each)), each)
    )
    return "|".join(r"\s+".join(map(re.escape, each)) for each in words) or "(?!)"


class Labels:
    """A vocabulary, ready to find its types in an answer and to name events."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._default = vocabulary.default_category
        self._marks = {fold(each.mark): each.name for each in vocabulary.categories if each.mark}
        self._categories = {each.name.casefold(): each.name for each in vocabulary.categories}
        self._types = {read_as(kind.name): kind for kind in vocabulary.types}
        for alias, name in vocabulary.aliases:
            self._types.setdefault(read_as(alias), self._types.get(read_as(name), EventType(name)))
        self._minor = {read_as(word) for word in (vocabulary.minor, *MINOR_WORDS) if word}
        self._closed = None if vocabulary.open else {kind.name for kind in vocabulary.types}
        self._kinds = {read_as(kind.name): kind.name for kind in vocabulary.journeys}
        self._kinds_hold = not vocabulary.open_journeys
        signs = "".join(map(re.escape, sorted({"?", "!", *self._marks})))
        named = [each.name for each in vocabulary.types]
        bracketed = _one_of(name for name in named if fold(name[0]) in "[(<{")
        names = _one_of(
            (*named, *(alias for alias, _name in vocabulary.aliases), vocabulary.minor, *MINOR_WORDS)
        )
        self.groups = re.compile(rf"(?:{_RANGES}[{signs}]*+(?:\s++|$))++")
        self.known_before_groups = re.compile(
            rf"(?:(?!{bracketed})[\s\[(<{{])*+(?P<label>[{signs}]?\s?(?:{names})(?:\s?[\[(][^\[\]()]{{1,40}}[\])])?)[\])>}}]*+"
            rf"\s?(?P<behind>(?:[{signs}]|[^\w\s()\[\]:=,;|>-]){{0,3}})[\])>}}]*+\s*+[:=>|-]*+\s*+(?=[0-9])",
            re.IGNORECASE,
        )
        kinds = rf"(?:{_one_of(self._kinds.values())})(?!(?<=[a-z])[a-z])"
        self._kind = re.compile(
            rf"(?P<plain>{kinds})|[\s\[(<\"']*+(?P<kind>{kinds})[\])>\"']*+", re.IGNORECASE
        )
        self._signed = re.compile(rf"(?P<front>[{signs}]*+)\s*+(?P<name>.*?)\s*+(?P<behind>[^\w\s\])]*+)")

        self.named = lru_cache(_CACHED)(self._named)  # what a text says about the groups behind it
        self.lists = lru_cache(_CACHED)(self._lists)  # whether a name is a type, or the word for minor rows

    def is_outside(self, kind: str, journey: str | None = None) -> bool:
        """Whether the vocabulary is closed and lacks a type, or closed and lacks the kind of a journey."""
        lacks_kind = self._kinds_hold and journey is not None and journey not in self._kinds.values()
        return lacks_kind or (self._closed is not None and kind not in self._closed)

    def category(self, signs: str) -> str:
        """Return the category that one of some signs is the mark of; "" for none."""
        for sign in signs:
            if sign in self._marks:
                return self._marks[sign]
        return ""

    def is_odd(self, signs: str) -> bool:
        """Whether there is a mark among some signs that is none of the vocabulary's: models know `!` from everywhere."""
        return "!" in signs and "!" not in self._marks

    def _named(self, text: str) -> Label:
        name = one_line(fold(text), 2 * LONGEST_TYPE).strip()
        signs = category = ""
        end = next((at for at in range(len(name), 0, -1) if self.lists(name[:at])), 0)
        if end and not re.search(r"[\w\s()\[\]]", name[end:]):
            name, signs = name[:end], name[end:]
        elif found := self._signed.fullmatch(name):
            signs, name = found["front"] + found["behind"], found["name"]
            if not self.lists(name) and (found := _BRACKETED.search(name)):
                inside, outside = found["inside"].strip(), name[: found.start()].strip(AROUND_NAMES)
                category = self._categories.get(inside.casefold()) or self.category(inside)
                is_gloss = not category and self.lists(inside) and not self.lists(outside)
                name = inside if is_gloss or not outside else outside
            name = name if self.lists(name) else name.strip(AROUND_NAMES)
        sure, category, odd = "?" not in signs, category or self.category(signs), self.is_odd(signs)
        if known := self._types.get(read_as(name)):
            category = known.category or category or self._default
            return Label(known.name, category, sure, known=True, has_category=bool(known.category), odd=odd)
        minor = read_as(name) in self._minor
        return Label(
            name[:LONGEST_TYPE].rstrip(), category or self._default, sure, known=minor, minor=minor, odd=odd
        )

    def _lists(self, name: str) -> bool:
        return read_as(name) in self._types or read_as(name) in self._minor

    def journey(self, text: str) -> JourneyName:
        """Return the kind and name that stand before the steps of a journey."""
        sure = not fold(text).rstrip(AROUND_NAMES).endswith("?")
        if found := self._kind.match(fold(text)):
            kind, name = self._kinds[read_as(found["plain"] or found["kind"])], text[found.end() :]
        else:  # a single word is both, so that journeys can be counted by their kinds
            kind, _space, name = text.strip().partition(" ")
            kind, name = one_line(kind.strip(AROUND_NAMES), LONGEST_TYPE), name or kind
        folded = fold(name)
        start = len(folded) - len(folded.lstrip(" \t*_`\"'>:/|-"))
        name = name[start : len(folded.rstrip(" \t*_`\"':?/|-"))]
        if len(name) > 1 and fold(name[0] + name[-1]) in ("()", "[]"):
            name = name[1:-1]
        return JourneyName(kind, name.strip() or kind, sure)
