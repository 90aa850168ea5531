r"""Behaviors as short lines under day headers: the levels `line` and `dense`.

Level `line`, with row numbers in front, which count through all users of a request:

    block    = user { known } { day { line } }
    known    = ">" [ " " kind " " name ] [ ": " numbers ] "\n"   journeys of before; numbers of rows that are shown again
    day      = "# " ( YYYY-MM-DD " " weekday | MM-DD ) "\n"       full first, and at a new year
    line     = number " " behavior "\n"
    behavior = HH:MM " " head [ " " tail ] [ " " duration ]
    head     = [ verb " " | word ": " | "·" ] item               visits and things have no verb, "·" is free text,
                                                                 word: an action that has no verb
    tail     = place
    duration = hours "h" [ minutes "m" ] | minutes "m" | seconds "s"

A bare place is the last word; apps and free text have no bare place. What has no verb, a visit or a thing, is followed
by where it is as it stands (`Bed Bedroom`): read back, both are what there was, in the same words. Whatever would be read
back otherwise is quoted: `\` before `"` and `\` inside. An item that begins with its own verb and `_` has no
verb before it (`对比_A` is a comparison), and neither has a sentence of the export that says its action itself: it is written as a
thing (`打开汽车之家 29m`). Nothing else but the filler marks, invisible characters and what exceeds
200 characters is lost.

Level `dense`: 743 for 07:43 (005 for 00:05), durations in bare minutes (below a minute `45s`), and a code for a head or tail that
the legend has, so the first and the last word of a behavior may be codes. Names that end like such a duration or look like a
code are quoted.
"""

import re
import tomllib
import unicodedata
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache, partial
from itertools import product, starmap
from operator import attrgetter
from pathlib import Path
from string import ascii_letters, ascii_uppercase, digits
from typing import Any, cast

from eventabs.interface_language import Language
from eventabs.setting_choices import Compaction
from eventabs.shared_records import (
    MAX_CHARACTERS,
    THING,
    Behavior,
    Category,
    EventType,
    GroupUser,
    JourneyKind,
    UserLog,
    Vocabulary,
    caseless,
)

MASK = "[id]"

_JOINER = "\u200d"  # joins compound emoji
_SHORTEST_NUMBER = 5  # shorter numbers identify nobody and are in texts for other reasons


def clean(text: str) -> str:
    """Return `text` as one line, without control, bidi and other invisible characters; lone surrogates become U+FFFD."""
    if text.isprintable() and "  " not in text and text == text.strip():
        return text
    text = re.sub("[\ud800-\udfff]", "\ufffd", " ".join(text.split()))
    visible = (sign for sign in text if sign == _JOINER or unicodedata.category(sign) not in {"Cc", "Cf"})
    return " ".join("".join(visible).split())


def without_marks(name: str, marks: Sequence[str]) -> str:
    """Return a clean `name` without filler marks, never empty; one in a Latin word or number stays, as `XX` in `XXL`."""
    for mark in marks:
        if mark and mark in name:
            name = clean(_whole(mark).sub("", name)) or name
    return name


# ids that are common words identify nobody
_ANYONE = "(?i)me|my|myself|self|users?|admin|guest|anonymous|unknown|test|null|none|我|本人|自己|用户"


def id_pattern(user_id: str, joined: str) -> re.Pattern[str] | None:
    """Match the user's id as a whole word in any case; None if it identifies nobody, or the joined texts lack it, which is far cheaper to check."""
    name = clean(user_id)
    may_hold = caseless(name) in caseless(joined) or "  " in joined or not joined.isprintable()
    return _whole(name, re.IGNORECASE) if may_hold and identifies(name) else None


def identifies(name: str) -> bool:
    """Whether a clean user id identifies a user: single characters, numbers of fewer than five digits and words for anyone do not."""
    return len(name) >= (_SHORTEST_NUMBER if name.isdecimal() else 2) and not re.fullmatch(_ANYONE, name)


@lru_cache
def _whole(text: str, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    """Match `text` if neither end continues a Latin word or a number."""
    latin = digits + ascii_letters
    before = rf"(?<![{latin}])" if text[0] in latin else ""
    after = rf"(?![{latin}])" if text[-1] in latin else ""
    return re.compile(before + re.escape(text) + after, flags)


_SHIPPED = Path(__file__).parent.joinpath("templates", "words.toml").read_text("utf-8")
WORDS = cast("dict[Language, dict[str, Any]]", tomllib.loads(_SHIPPED))

CONVERSION = "conversion"
ENGAGEMENT = "engagement"
DEFAULT_CATEGORIES: tuple[Category, ...] = (Category(CONVERSION, "!"), Category(ENGAGEMENT))
CONVERSIONS: dict[Language, dict[str, str]] = {  # actions that are conversions, each with its type
    language: words["actions"] for language, words in WORDS.items()
}
MINOR: dict[Language, str] = {language: words["minor"] for language, words in WORDS.items()}


def default_vocabulary(
    language: Language, categories: Sequence[Category] = DEFAULT_CATEGORIES, *, open_types: bool = True
) -> Vocabulary:
    """Return the shipped types and kinds of journeys of `language`; types keep only the given categories."""
    words = WORDS[language]
    converts = CONVERSION if CONVERSION in {category.name for category in categories} else ""
    types = (
        *map(EventType, words["types"].split(", ")),
        *(EventType(name, converts) for name in words["conversions"].split(", ")),
    )
    journeys = tuple(starmap(JourneyKind, words["journeys"].items()))
    return Vocabulary(types, tuple(categories), open_types, journeys=journeys, minor=words["minor"])


CODES = (*ascii_uppercase, *map("".join, product(ascii_uppercase, repeat=2)))


def make_legend(uses: Mapping[str, int], share: float, count: Callable[[str], int]) -> dict[str, str]:
    """Return the texts that a code makes cheaper, by code: what saves most has the cheapest. A batch has a `share` of the `uses` of a text."""
    codes = deque(sorted(CODES, key=lambda code: (count(f" {code}"), len(code))))

    def saved(text: str) -> float:
        code = codes[0]
        gain = (count(f" {text}") - count(f" {code}")) * uses[text] * share
        return gain - count(f"{code}={text}\n")

    legend = {}
    for text in sorted(filter(lambda text: saved(text) > 0, uses), key=lambda text: (-saved(text), text)):
        if codes and saved(text) > 0:  # the remaining codes may cost more than the first
            legend[codes.popleft()] = text
    return legend


SELF_EXPLAINING = frozenset({"gender", "occupation", "city"})  # columns whose values need no label
NOTE = "·"
WITHOUT_VERB = frozenset({"visit", THING})

_MINUTE = 60
_CACHED_BODIES = 1 << 15
_BARE_WORD = re.compile(r'[^":·][^":]*')
_OWN_WORD = re.compile(_BARE_WORD.pattern + r":(?: |$)")

_ACTION, _ITEM, _PLACE = attrgetter("action"), attrgetter("item"), attrgetter("place")
Body = tuple[str, str]  # (within a line, at its end)
# what masks the user's id, and names that keep their marks
_Treatment = tuple[re.Pattern[str] | None, frozenset[str]]
_NO_TREATMENT: _Treatment = (None, frozenset())


class Compactor:
    """Writes logs at a level, without the marks of `strip` where names stay different, and with a `legend` of texts by code."""

    def __init__(
        self,
        language: Language,
        strip: Sequence[str] = (),
        *,
        level: Compaction = "line",
        legend: Mapping[str, str] | None = None,
    ) -> None:
        self.is_dense = is_dense = level == "dense"
        clock = " {}{:02}" if is_dense else " {:02}:{:02}"  # the space in front follows the row number
        self.clocks = tuple(clock.format(*divmod(minute, 60)) for minute in range(24 * 60))
        self._duration_ends = (*digits, "s") if is_dense else ("h", "m", "s")
        duration = r"\d+s?" if is_dense else r"\d+h(?:\d+m)?|\d+m|\d+s"
        self._looks_like_duration = re.compile(rf"(?:^| )(?:{duration})$", re.ASCII)
        self._legend = dict(legend or {})
        self._codes = {text: code for code, text in self._legend.items()}
        self._words = WORDS[language]
        self._verbs: dict[str, str] = self._words["verbs"]
        self._verb_words = frozenset(self._verbs.values())
        self._marks = tuple(strip)
        self.body = lru_cache(_CACHED_BODIES)(partial(self._body, _NO_TREATMENT))  # most names need no change
        self._bare = lru_cache(_CACHED_BODIES)(lambda name: (clean(name), without_marks(clean(name), strip)))
        self.day = lru_cache(_CACHED_BODIES)(self._day)
        self.duration = lru_cache(_CACHED_BODIES)(self._duration)

    def legend(self) -> str:
        """Return the legend as text above the blocks, "" if there is none."""
        return "".join(f"{code}={text}\n" for code, text in self._legend.items())

    def texts(self, logs: Iterable[UserLog]) -> Counter[str]:
        """Count the texts of logs that a legend could have: heads and tails of behaviors."""
        texts: Counter[str] = Counter()
        written = defaultdict[_Treatment, Counter[tuple[str, str, str]]](Counter)
        for log in logs:
            written[self._treatment(log)].update(map(_written, log.behaviors))
        for treatment, behaviors in written.items():
            for (action, item, place), count in behaviors.items():
                for text in filter(None, self._phrase(treatment, action, item, place)):
                    texts[text] += count
        return texts

    def block(self, alias: str, log: UserLog, first: int = 0) -> list[str]:
        """Return a user's header, days and behaviors in pieces for TokenCounter.total, the rows numbered from `first`; 0: without numbers."""
        pieces = self.header(alias, log)
        # a line a journey: `> kind name`, or with its rows, and `>: 4` of single rows
        for kind, name, rows in log.known:
            told = " ".join(filter(None, (">", kind, name)))
            # where numbers are left out, the dearest one stands for each: no call has more rows
            numbers = ",".join(str(first + row if first else 9999) for row in rows)
            pieces += (f"{told}:", f" {numbers}\n") if rows else (f"{told}\n",)
        return pieces + self._days(log, first)

    def lines(self, log: UserLog) -> list[str]:
        """Return the line of each behavior, without its number."""
        lines = "".join(self._days(log)).splitlines()
        return [line.removeprefix(" ") for line in lines if not line.startswith("# ")]

    def phrases(self, log: UserLog) -> list[str]:
        """Return each behavior without its times: what was done, and where."""
        body = self._body_of(log)
        return [body(*_written(b))[0][1:] for b in log.behaviors]

    def header(self, alias: str, log: UserLog | GroupUser) -> list[str]:
        """Return a user's header in pieces: the alias, and the profile with a space before each value, ` 35岁 上海 income:22351`."""
        if not log.profile:
            return [f"## {alias}", "\n"]
        masked = id_pattern(log.user_id, "|".join(value for _column, value in log.profile))
        profile = ""
        for column, raw in log.profile:
            if text := shown(raw, masked):
                value = text if column in SELF_EXPLAINING else f"{clean(column)}:{text}"
                if column == "age":
                    value = text + self._words["years"] if text[-1:].isdecimal() else text
                profile += " " + (quoted(value) if " " in value or value.startswith('"') else value)
        return [f"## {alias}", f"{profile}\n"]

    def _duration(self, seconds: int) -> str:
        """Write a duration: minutes, floored, from 60 s, seconds below."""
        if seconds < _MINUTE:
            return f" {seconds}s\n"
        if self.is_dense:
            return f" {seconds // _MINUTE}\n"
        hours, minutes = divmod(seconds // _MINUTE, 60)
        return " " + (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes else "") + "\n"

    def _days(self, log: UserLog, first: int = 0) -> list[str]:
        body = self._body_of(log)
        pieces: list[str] = []
        day = year = 0
        for number, (start, action, item, place, duration, _file, _line, text) in enumerate(
            log.behaviors, first
        ):
            if (today := start.toordinal()) != day:
                pieces.append(self.day(today, start.year != year))
                day, year = today, start.year
            if first:
                pieces.append(str(number))
            clock = self.clocks[start.hour * 60 + start.minute]
            within, end = body(THING if text and action and text == item else action, item, place)
            pieces += (clock, end) if duration is None else (clock, within, self.duration(duration))
        return pieces

    def _body_of(self, log: UserLog) -> Callable[[str, str, str], Body]:
        """Return the writer of the bodies of a log's behaviors."""
        if (treatment := self._treatment(log)) == _NO_TREATMENT:
            return self.body
        return lru_cache(_CACHED_BODIES)(partial(self._body, treatment))

    def _treatment(self, log: UserLog) -> _Treatment:
        names = {*map(_ITEM, log.behaviors), *map(_PLACE, log.behaviors)}
        joined = "|".join(names.union(map(_ACTION, log.behaviors)))
        kept: frozenset[str] = frozenset()
        if any(mark in joined for mark in self._marks):
            bare = dict(map(self._bare, names))
            if len({*bare.values()}) < len(bare):
                uses = Counter(bare.values())
                kept = frozenset(name for name, left in bare.items() if uses[left] > 1)
        return id_pattern(log.user_id, joined), kept

    def _body(self, treatment: _Treatment, action: str, item: str, place: str) -> Body:
        phrase = self._phrase(treatment, action, item, place)
        body = "".join(f" {self._codes.get(text, text)}" for text in phrase if text)
        return body, body + "\n"

    def _phrase(self, treatment: _Treatment, action: str, item: str, place: str) -> tuple[str, str]:
        """Return a behavior without its times: what is done (head), and where, unless the head has it (tail)."""
        masked, kept = treatment
        marks = self._marks if action else ()
        item, place = (shown(name, masked, () if clean(name) in kept else marks) for name in (item, place))
        bare = f"{item} {place}".strip()
        if action in WITHOUT_VERB:
            reads_as_action = bare.startswith(NOTE) or self._starts_with_verb(bare) or _OWN_WORD.match(bare)
            is_bare = bool(item) and not reads_as_action
        elif action in ("use", ""):  # whose object is only an item
            is_bare = not place
        elif place:
            is_bare = bool(item) and " " not in place
        else:
            is_bare = " " not in item
        is_duration = bare.endswith(self._duration_ends) and self._looks_like_duration.search(bare)
        is_bare = is_bare and not (item.startswith('"') or is_duration or self._reads_as_code(bare))
        what, where = (item, place) if is_bare else (quoted(item), place and quoted(place))
        if action in WITHOUT_VERB:
            return what, where
        if not action:
            return NOTE + what, where
        if verb := self._verbs.get(action):
            has_verb = is_bare and item.startswith(f"{verb}_")
            return what if has_verb else f"{verb} {what}".rstrip(), where
        word = shown(action, masked)
        is_plain = (
            _BARE_WORD.fullmatch(word) and not self._starts_with_verb(word) and not self._reads_as_code(word)
        )
        return f"{word if is_plain else quoted(word)}: {what}".rstrip(), where

    def _reads_as_code(self, text: str) -> bool:
        return text.partition(" ")[0] in self._legend or text.rpartition(" ")[2] in self._legend

    def _starts_with_verb(self, text: str) -> bool:
        return text.partition(" ")[0].partition("_")[0] in self._verb_words

    def _day(self, ordinal: int, starts_year: bool) -> str:
        day = date.fromordinal(ordinal)
        weekday = self._words["weekdays"][day.weekday()]
        return f"# {day.isoformat()} {weekday}\n" if starts_year else f"# {day:%m-%d}\n"


class JourneyLines(Compactor):
    """Writes logs that have journeys in place of behaviors: `3 购买 帐篷：搜索/浏览/加购 2087-03-03–03-05`."""

    def _days(self, log: UserLog, first: int = 0) -> list[str]:
        pieces: list[str] = []
        for number, (start, kind, name, types, seconds, *_rest) in enumerate(log.behaviors, first):
            end = start + timedelta(seconds=seconds or 0)
            last = f"{end:%m-%d}" if end.year == start.year else f"{end:%Y-%m-%d}"
            days = f"{start:%Y-%m-%d}" + (f"–{last}" if end.date() > start.date() else "")
            pieces += [str(number)] if first else []
            pieces.append(f" {kind} {name}: {types} {days}\n" if kind else f" {name}: {types} {days}\n")
        return pieces


def _written(behavior: Behavior) -> tuple[str, str, str]:
    """Return action, item and place as a line has them."""
    action = THING if behavior.action and behavior.in_own_words else behavior.action
    return action, behavior.item, behavior.place


def shown(name: str, masked: re.Pattern[str] | None = None, marks: Sequence[str] = ()) -> str:
    """Return a name as a line has it: clean, the id masked, without marks, cut to 200 characters; the last is then an ellipsis."""
    text = clean(name)
    if masked is not None:
        text = masked.sub(MASK, text)
    text = without_marks(text, marks)
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + "…"


def quoted(text: str) -> str:
    """Return a text in quotes, which are escaped inside, as a line and a grammar have it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
