r"""Behaviors as short lines under day headers: the levels `line`, `legend` and `day`.

Level `line`:

    block    = user { day { line } }
    day      = "# " ( YYYY-MM-DD " " weekday | MM-DD ) "\n"       full first, and at a new year
    line     = behavior "\n"
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

Level `legend`: a code replaces a head or tail that the legend has, so the first and the last word
of a behavior may be codes. Names that look like a code are quoted.

Level `day`: as `legend`, with one line for each day:

    day      = ( YYYY-MM-DD " " weekday | MM-DD | DD ) { " " behavior } "\n"     DD: month as before

A name with a word like `10:00` is quoted, with a `\` before that word.
"""

import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache, partial
from itertools import product
from operator import add
from string import ascii_uppercase

from eventabs.choices import Compaction
from eventabs.language import Language
from eventabs.prompts.fields import MASK, clean, colliding, id_pattern, shorten, without_marks
from eventabs.prompts.vocabulary import VERBS, WEEKDAYS, YEARS
from eventabs.records import THING, Behavior, UserLog

CODES = (*ascii_uppercase, *map("".join, product(ascii_uppercase, repeat=2)))


def make_legend(uses: Mapping[str, int], share: float, count: Callable[[str], int]) -> dict[str, str]:
    """Give codes to the texts that cost fewer tokens with one; return the texts by code.

    `uses` counts how often each text occurs, `share` is the share of it in a batch. Texts
    that save most get the cheapest codes.
    """
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
WITHOUT_PLACE = frozenset({"use", ""})  # actions whose object is only an item

_CLOCKS = tuple(f"{minute // 60:02d}:{minute % 60:02d}" for minute in range(24 * 60))
_CLOCKS_BEHIND = tuple(f" {clock}" for clock in _CLOCKS)
_MINUTE = 60
_CACHED_BODIES = 1 << 15
_LOOKS_LIKE_DURATION = re.compile(r"(?:^| )(?:\d+h(?:\d+m)?|\d+m|\d+s)$", re.ASCII)
_DURATION_ENDS = ("h", "m", "s")
_BARE_WORD = re.compile(r'[^":·][^":]*')
_OWN_WORD = re.compile(_BARE_WORD.pattern + r":(?: |$)")
_CLOCK_WORD = re.compile(r"(?<![^ ])\d\d:\d\d(?![^ ])", re.ASCII)

Body = tuple[str, str]  # (within a line, at its end)
_Phrase = tuple[
    str, str
]  # a behavior without its times: what is done (head), and where, unless the head has it (tail)
# what masks the user's id, and names that keep their marks
_Treatment = tuple[re.Pattern[str] | None, frozenset[str]]
_NO_TREATMENT: _Treatment = (None, frozenset())


class Compactor:
    """Writes logs at a level. `strip`: filler marks to remove from names; `legend`: texts by code.

    A mark stays in names of a log that would become equal without it.
    """

    def __init__(
        self,
        language: Language,
        strip: Sequence[str] = (),
        *,
        level: Compaction = "line",
        legend: Mapping[str, str] | None = None,
    ) -> None:
        self.lines_are_days = level == "day"
        self.clocks = _CLOCKS_BEHIND if self.lines_are_days else _CLOCKS
        self._legend = dict(legend or {})
        self._codes = {text: code for code, text in self._legend.items()}
        self._verbs = VERBS[language]
        self._verb_words = frozenset(self._verbs.values())
        self._weekdays = WEEKDAYS[language]
        self._years = YEARS[language]
        self._marks = tuple(strip)
        self.body = lru_cache(_CACHED_BODIES)(partial(self._body, _NO_TREATMENT))  # most names need no change
        self.day = lru_cache(_CACHED_BODIES)(self._day)

    def legend(self) -> str:
        """Return the legend as text above the blocks, "" if there is none."""
        return "".join(f"{code}={text}\n" for code, text in self._legend.items())

    def texts(self, logs: Iterable[UserLog]) -> Counter[str]:
        """Count the texts of logs that a legend could have: heads and tails of behaviors."""
        texts: Counter[str] = Counter()
        for log in logs:
            treatment = self._treatment(log)
            for (action, item, place), count in Counter(map(_written, log.behaviors)).items():
                for text in filter(None, self._phrase(treatment, action, item, place)):
                    texts[text] += count
        return texts

    def block(self, alias: str, log: UserLog) -> list[str]:
        """Return a user's header, days and behaviors, in pieces for TokenCounter.total."""
        return [*self.header(alias, log), *self._days(log)]

    def lines(self, log: UserLog) -> list[str]:
        """Return the line of each behavior, at a level with one line for each."""
        return [line for line in "".join(self._days(log)).splitlines() if not line.startswith("# ")]

    def contents(self, log: UserLog) -> list[str]:
        """Return the text behind the time of each behavior, with the duration."""
        lengths = ("" if b.duration is None else self.duration(b.duration)[0] for b in log.behaviors)
        return list(map(add, self.phrases(log), lengths))

    def phrases(self, log: UserLog) -> list[str]:
        """Return each behavior without its times: what was done, and where."""
        body = self._body_of(log)
        return [body(*_written(b))[0][1:] for b in log.behaviors]

    def header(self, alias: str, log: UserLog) -> list[str]:
        """Return a user's header in pieces."""
        return [f"## {alias}", f"{self._profile(log)}\n"]

    @staticmethod
    @lru_cache(_CACHED_BODIES)
    def duration(seconds: int) -> Body:
        """Return a behavior's duration as text within a line, and at its end."""
        text = f" {duration_text(seconds)}"
        return text, f"{text}\n"

    def _days(self, log: UserLog) -> list[str]:
        body = self._body_of(log)
        pieces: list[str] = []
        day = year = month = 0
        for start, action, item, place, duration, _file, _line, text in log.behaviors:
            if (today := start.toordinal()) != day:
                if pieces and self.lines_are_days:
                    pieces[-1] += "\n"
                pieces.append(self.day(today, start.year != year, start.month != month))
                day, year, month = today, start.year, start.month
            pieces.append(self.clocks[start.hour * 60 + start.minute])
            within, end = body(THING if action and text and text == item else action, item, place)
            if duration is not None:
                pieces.append(within)
                within, end = self.duration(duration)
            pieces.append(within if self.lines_are_days else end)
        if pieces and self.lines_are_days:
            pieces[-1] += "\n"
        return pieces

    def _body_of(self, log: UserLog) -> Callable[[str, str, str], Body]:
        """Return the writer of the bodies of a log's behaviors."""
        if (treatment := self._treatment(log)) == _NO_TREATMENT:
            return self.body
        return lru_cache(_CACHED_BODIES)(partial(self._body, treatment))

    def _profile(self, log: UserLog) -> str:
        """Return the profile with a space before each value, such as ` 35岁 上海 income:22351`."""
        masked = _mask(log.user_id, "|".join(value for _column, value in log.profile))
        text = ""
        for column, raw in log.profile:
            if shown := _shown(raw, masked):
                value = self._profile_value(column, shown)
                text += " " + (_quoted(value) if " " in value or value.startswith('"') else value)
        return text

    def _treatment(self, log: UserLog) -> _Treatment:
        names = {b.item for b in log.behaviors} | {b.place for b in log.behaviors}
        joined = "|".join(names | {b.action for b in log.behaviors})
        kept: frozenset[str] = frozenset()
        if any(mark in joined for mark in self._marks):
            kept = colliding(map(clean, names), self._marks)
        return _mask(log.user_id, joined), kept

    def _body(self, treatment: _Treatment, action: str, item: str, place: str) -> Body:
        phrase = self._phrase(treatment, action, item, place)
        body = "".join(f" {self._codes.get(text, text)}" for text in phrase if text)
        return body, body + "\n"

    def _phrase(self, treatment: _Treatment, action: str, item: str, place: str) -> _Phrase:
        masked, kept = treatment
        marks = self._marks if action else ()
        item, place = (_shown(name, masked, () if clean(name) in kept else marks) for name in (item, place))
        return self._composed(action, item, place, _shown(action, masked))

    def _composed(self, action: str, item: str, place: str, word: str) -> _Phrase:
        is_bare = self._can_stand_bare(action, item, place)
        what, where = (item, place) if is_bare else (self._quoted(item), place and self._quoted(place))
        if action in WITHOUT_VERB:
            return what, where
        if not action:
            return NOTE + what, where
        if verb := self._verbs.get(action):
            has_verb = is_bare and item.startswith(f"{verb}_")
            return what if has_verb else f"{verb} {what}".rstrip(), where
        return f"{self._own_word(word)}: {what}".rstrip(), where

    def _can_stand_bare(self, action: str, item: str, place: str) -> bool:
        bare = f"{item} {place}".strip()
        if action in WITHOUT_VERB:
            is_bare = bool(item) and not self._reads_as_action(bare)
        elif action in WITHOUT_PLACE:
            is_bare = not place
        elif place:
            is_bare = bool(item) and " " not in place
        else:
            is_bare = " " not in item
        return (
            is_bare
            and not item.startswith('"')
            and not (bare.endswith(_DURATION_ENDS) and _LOOKS_LIKE_DURATION.search(bare))
            and not self._reads_as_code(bare)
            and not (self.lines_are_days and _CLOCK_WORD.search(bare))
        )

    def _own_word(self, word: str) -> str:
        is_bare = _BARE_WORD.fullmatch(word) and not self._starts_with_verb(word)
        return word if is_bare and not self._reads_as_code(word) else self._quoted(word)

    def _reads_as_code(self, text: str) -> bool:
        if not self._legend:
            return False
        return text.partition(" ")[0] in self._legend or text.rpartition(" ")[2] in self._legend

    def _quoted(self, text: str) -> str:
        quoted = _quoted(text)
        return _CLOCK_WORD.sub(r"\\\g<0>", quoted) if self.lines_are_days else quoted

    def _reads_as_action(self, text: str) -> bool:
        return text.startswith(NOTE) or self._starts_with_verb(text) or _OWN_WORD.match(text) is not None

    def _starts_with_verb(self, text: str) -> bool:
        return text.partition(" ")[0].partition("_")[0] in self._verb_words

    def _day(self, ordinal: int, starts_year: bool, starts_month: bool) -> str:
        day = date.fromordinal(ordinal)
        if starts_year:
            text = f"{day.isoformat()} {self._weekdays[day.weekday()]}"
        elif starts_month or not self.lines_are_days:
            text = f"{day:%m-%d}"
        else:
            text = f"{day:%d}"
        return text if self.lines_are_days else f"# {text}\n"

    def _profile_value(self, column: str, value: str) -> str:
        if column == "age":
            return value + self._years if value[-1:].isdecimal() else value
        return value if column in SELF_EXPLAINING else f"{clean(column)}:{value}"


def _written(behavior: Behavior) -> tuple[str, str, str]:
    """Return action, item and place as a line has them."""
    action = THING if behavior.action and behavior.in_own_words else behavior.action
    return action, behavior.item, behavior.place


def duration_text(seconds: int) -> str:
    """Write a duration: minutes, floored, from 60 s, seconds below."""
    if seconds < _MINUTE:
        return f"{seconds}s"
    hours, minutes = divmod(seconds // _MINUTE, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes else "")


def _mask(user_id: str, joined: str) -> re.Pattern[str] | None:
    """Return what masks the user's id, None if the joined texts lack it, which is far cheaper to check."""
    if clean(user_id).casefold() in joined.casefold() or "  " in joined or not joined.isprintable():
        return id_pattern(user_id)
    return None


def _shown(name: str, masked: re.Pattern[str] | None, marks: Sequence[str] = ()) -> str:
    if not name:
        return ""
    text = clean(name)
    if masked is not None:
        text = masked.sub(MASK, text)
    return shorten(without_marks(text, marks))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
