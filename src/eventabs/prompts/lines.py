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
import unicodedata
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache, partial
from itertools import accumulate, product
from operator import add
from string import ascii_uppercase
from typing import NamedTuple

import orjson
from pydantic import BaseModel, Field

from eventabs.choices import AnswerForm, Compaction, Detail
from eventabs.language import Language
from eventabs.records import (
    MAX_CHARACTERS,
    THING,
    Behavior,
    Category,
    EventType,
    JsonSchemaFormat,
    UserLog,
    Vocabulary,
)

MASK = "[id]"

_CUT = "…"
_JOINER = "\u200d"  # joins compound emoji
_SHORTEST_NUMBER = 5  # shorter numbers identify nobody and are in texts for other reasons


def clean(text: str) -> str:
    """Return `text` as one line: white space as single spaces, no control, bidi and other invisible characters.

    Lone surrogates become U+FFFD.
    """
    if text.isprintable() and "  " not in text and text[:1] != " " and text[-1:] != " ":
        return text
    return " ".join("".join(map(_visible, " ".join(text.split()))).split())


def shorten(text: str) -> str:
    """Cut `text` to 200 characters; the last is then an ellipsis."""
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + _CUT


def without_marks(name: str, marks: Sequence[str]) -> str:
    """Return a clean `name` without filler marks; never empty.

    A mark stays if it is part of a Latin word or number: `XX` in `XXL`.
    """
    for mark in marks:
        if mark and mark in name:
            name = clean(_whole(mark).sub("", name)) or name
    return name


def colliding(names: Iterable[str], marks: Sequence[str]) -> frozenset[str]:
    """Return the clean names that would equal another name without their marks."""
    origins: dict[str, set[str]] = {}
    for name in names:
        origins.setdefault(without_marks(name, marks), set()).add(name)
    return frozenset(name for same in origins.values() if len(same) > 1 for name in same)


def id_pattern(user_id: str) -> re.Pattern[str] | None:
    """Return the pattern of the user's id as a whole word in clean text, in any case; None if it identifies nobody."""
    name = clean(user_id)
    return _whole(name, re.IGNORECASE) if identifies(name) else None


def identifies(name: str) -> bool:
    """Whether a clean user id identifies a user: single characters and numbers of fewer than five digits do not."""
    return len(name) >= (_SHORTEST_NUMBER if name.isdecimal() else 2)


def _whole(text: str, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    """Match `text` if neither end continues a Latin word or a number."""
    before = r"(?<![0-9A-Za-z])" if _is_latin(text[0]) else ""
    after = r"(?![0-9A-Za-z])" if _is_latin(text[-1]) else ""
    return re.compile(before + re.escape(text) + after, flags)


def _is_latin(character: str) -> bool:
    return character.isascii() and character.isalnum()


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cs":
        return "\ufffd"
    return "" if category in {"Cc", "Cf"} and character != _JOINER else character


ACTIONS = ("use", "browse", "click", "search", "compare", "cart", "favorite", "purchase")
# Chosen by their number of tokens behind a space in cl100k_base: 用 点 搜 对比 加购 take 2 (比 would take 3), 看 收藏 买
# take 3 (购买 5); every English verb takes 1. In o200k_base all take 1 but for 对比 and 加购, which take 2.
VERBS: dict[Language, dict[str, str]] = {
    "zh": dict(zip(ACTIONS, ["用", "看", "点", "搜", "对比", "加购", "收藏", "买"], strict=True)),
    "en": dict(
        zip(ACTIONS, ["use", "view", "click", "search", "compare", "cart", "save", "buy"], strict=True)
    ),
}
WEEKDAYS: dict[Language, tuple[str, ...]] = {
    "zh": ("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
}
YEARS: dict[Language, str] = {"zh": "岁", "en": "y"}

CONVERSION = "conversion"
ENGAGEMENT = "engagement"

DEFAULT_CATEGORIES: tuple[Category, ...] = (Category(CONVERSION, "!"), Category(ENGAGEMENT))


def _types(engagements: str, conversions: str) -> tuple[EventType, ...]:
    return (
        *map(EventType, engagements.split(", ")),
        *(EventType(name, CONVERSION) for name in conversions.split(", ")),
    )


DEFAULT_TYPES: dict[Language, tuple[EventType, ...]] = {
    "zh": _types(
        "浏览, 搜索, 对比, 收藏, 看车, 看房, 使用应用, 用餐, 点外卖, 工作, 学习, 阅读, 居家, 休息, 运动, 娱乐, 社交, "
        "购物, 买菜, 出行, 旅行, 住宿, 就医, 育儿, 理财, 生活服务",
        "到店, 加购, 购买",
    ),
    "en": _types(
        "browsing, searching, comparing, saving, car viewing, house hunting, app use, dining, food delivery, work, study, "
        "reading, at home, rest, exercise, entertainment, socializing, shopping, groceries, travel, trip, lodging, "
        "health care, parenting, finance, services",
        "store visit, add to cart, purchase",
    ),
}


def default_vocabulary(
    language: Language, categories: Sequence[Category] = DEFAULT_CATEGORIES, *, open_types: bool = True
) -> Vocabulary:
    """Return the shipped types of `language`; they keep only the given categories."""
    known = {category.name for category in categories}
    types = tuple(
        kind if kind.category in known else EventType(kind.name) for kind in DEFAULT_TYPES[language]
    )
    return Vocabulary(types, tuple(categories), open_types)


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


MOST_BRIEF = 12  # events a user
BEHAVIORS_AN_EVENT = 4  # detail `day`: one event for each four behaviors of a day (or part of four), at most
MOST_A_DAY = 8
USUAL_PAUSE = 30  # minutes
TOKENS_A_USER = 8
# a large model takes 17 to 18 as lines and 30 as JSON (docs/prompts.md); others take more
_TOKENS_AN_EVENT: dict[AnswerForm, int] = {"lines": 22, "json": 36, "schema": 36}
_TOKENS_A_SUMMARY = 8


@dataclass(frozen=True, slots=True)
class Expectation:
    """The expected length of answers. `pause`: minutes between sessions, 0 for the default."""

    answer: AnswerForm
    pause: int = USUAL_PAUSE
    with_summaries: bool = True

    @property
    def session_gap(self) -> timedelta:
        """Time between sessions, from the end of a behavior to the next start."""
        return timedelta(minutes=self.pause or USUAL_PAUSE)

    @property
    def tokens_an_event(self) -> int:
        """Tokens of an event."""
        return _TOKENS_AN_EVENT[self.answer] - (0 if self.with_summaries else _TOKENS_A_SUMMARY)

    def events(self, behaviors: Sequence[Behavior], detail: Detail) -> int:
        """Return the expected number of events of behaviors in time order; further behaviors never lower it."""
        if detail == "fine":
            return _sessions(behaviors, self.session_gap)
        days = Counter(behavior.start.toordinal() for behavior in behaviors)
        if detail == "brief":
            return min(MOST_BRIEF, len(days))
        return sum(min(MOST_A_DAY, -(-count // BEHAVIORS_AN_EVENT)) for count in days.values())

    def tokens(self, behaviors: Sequence[Behavior], detail: Detail) -> int:
        """Return the expected tokens of the answer about behaviors in time order."""
        return self.tokens_for(self.events(behaviors, detail))

    def tokens_for(self, events: int) -> int:
        """Return the expected tokens of an answer with N events."""
        return TOKENS_A_USER + self.tokens_an_event * events


def _sessions(behaviors: Sequence[Behavior], gap: timedelta) -> int:
    done = (behavior.start + timedelta(seconds=behavior.duration or 0) for behavior in behaviors)
    gaps = (later.start - end for later, end in zip(behaviors[1:], accumulate(done, max), strict=False))
    return min(1, len(behaviors)) + sum(each > gap for each in gaps)


class AnsweredEvent(NamedTuple):
    """An event of a model answer, as in the worked example. `mark` is the mark of its category."""

    start: datetime
    end: datetime
    type: str
    category: str
    mark: str
    summary: str


class _User(BaseModel, extra="forbid"):
    u: str = Field(description="alias, such as U1")
    events: list[list[str]] = Field(description="[first time, last time, type, category, summary] each")


class _UserWithoutSummaries(_User):
    events: list[list[str]] = Field(description="[first time, last time, type, category] each")


class _Answer(BaseModel, extra="forbid"):
    users: list[_User]


class _AnswerWithoutSummaries(BaseModel, extra="forbid"):
    users: list[_UserWithoutSummaries]


def response_format(answer: AnswerForm, with_summaries: bool = True) -> JsonSchemaFormat | None:
    """Return the `response_format` of the form, None if it has none."""
    if answer != "schema":
        return None
    model = _Answer if with_summaries else _AnswerWithoutSummaries
    schema = {"name": "events", "strict": True, "schema": model.model_json_schema()}
    return {"type": "json_schema", "json_schema": schema}


def written(
    users: Sequence[tuple[str, Sequence[AnsweredEvent]]], answer: AnswerForm, *, with_summaries: bool = True
) -> str:
    """Write the answer about (alias, events) pairs in the form."""
    if not with_summaries:
        users = [(alias, [event._replace(summary="") for event in events]) for alias, events in users]
    if answer == "lines":
        return "\n".join([line for alias, events in users for line in _lines(alias, events)] + ["##"])
    objects = [
        orjson.dumps({"u": alias, "events": [_row(event, with_summaries) for event in events]}).decode()
        for alias, events in users
    ]
    if answer == "json":
        return "\n".join(objects)
    return '{"users":[' + ",".join(objects) + "]}"


def _lines(alias: str, events: Sequence[AnsweredEvent]) -> list[str]:
    lines = [f"## {alias}"]
    day = None
    for event in events:
        today = event.start.date()
        if today != day:
            is_first_of_year = day is None or day.year != today.year
            lines.append(f"# {today:%Y-%m-%d}" if is_first_of_year else f"# {today:%m-%d}")
            day = today
        summary = f" | {event.summary}" if event.summary else ""
        lines.append(f"{_span(event)} {event.type}{event.mark}{summary}")
    return lines


def _span(event: AnsweredEvent) -> str:
    """Write start and end, with the end's day if it is not the next such time after the start."""
    start = f"{event.start:%H:%M}"
    if event.end == event.start:
        return start
    if event.end - event.start < timedelta(days=1):
        return f"{start}-{event.end:%H:%M}"
    return f"{start}-{event.end:%m-%d %H:%M}"


def _row(event: AnsweredEvent, with_summaries: bool) -> list[str]:
    start, end = (f"{time:%m-%d %H:%M}" for time in event[:2])
    row = [start, end, event.type, event.category]
    return [*row, event.summary] if with_summaries else row
