"""What the simulated model says: good answers from the users' blocks alone, and the ways in which replies go bad.

An answer is a list of segments, each the text about one user ("" for what is about nobody), so that every
token can be counted for the user whom it serves.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from random import Random
from typing import NamedTuple, Self
from zlib import crc32

from eventabs.prompts.compact_lines import WORDS
from eventabs.prompts.tokens import TokenCounter
from eventabs.setting_choices import AnswerForm
from eventabs.shared_records import FinishReason, row_ranges

_CODE = re.compile(r"([A-Z]{1,2})=(.+)")
_DAY = re.compile(r"# (?:(?:(\d{4})-)?(\d{2})-)?(\d{2})")
# number, time as 07:43 or 743, what was done, how long as 1h14m or 74
_ROW = re.compile(r"(\d+) (\d{2}:\d{2}|\d{1,4}) (.+?)(?: \d+(?:h(?:\d+m)?|[ms])?)?")
_NIGHT = 5  # o'clock, when a day begins
_LONGEST_NAME = 10  # characters
_MOST_IDLE = 0.5  # of a user's rows
_DOUBTFUL = 16  # one in N names

# Words in a line, the type in Chinese and in English, its mark, and whether it is a step towards a purchase.
_TYPES = (
    (("购买 ", "买 ", "bought", "buy "), "购买", "purchase", "!", True),
    (("加购", "cart "), "加购", "add to cart", "!", True),
    (("4S店", "经销商", "dealer"), "到店", "store visit", "!", True),
    (("餐", "海底捞", "小馆", "dinner", "restaurant"), "用餐", "dining", "", False),
    (("健身", "高尔夫", "gym"), "运动", "exercise", "", False),
    (("酒店", "民宿", "hotel"), "住宿", "lodging", "", False),
    (("对比", "compar"), "对比", "comparing", "", True),
    (("搜", "search"), "搜索", "searching", "", True),
    (("看 ", "点 ", "收藏 ", "view ", "browse ", "click ", "save "), "浏览", "browsing", "", True),
    (("公司", "办公", "office"), "工作", "work", "", False),
    (("地铁", "公交", "微信", "抖音", "今日头条", "metro", "WeChat", "TikTok"), "出行", "travel", "", False),
)
_IDLE = _TYPES[-1][1:3]
_OTHERWISE = ((), "日常", "daily life", "", False)
_VERB_WORDS = {word for words in WORDS.values() for word in words["verbs"].values()}


class Segment(NamedTuple):
    """A piece of a reply, and the alias of the user whom it is about, "" if nobody."""

    alias: str
    text: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply as it will be sent."""

    segments: tuple[Segment, ...]
    finish_reason: FinishReason = "stop"
    reasoning: str = ""  # in a field of its own

    @property
    def text(self) -> str:
        """The content of the reply."""
        return "".join(segment.text for segment in self.segments)

    def first(self, characters: int) -> "Answered":
        """Return as much of the reply as so many characters of its content hold."""
        kept = []
        for alias, text in self.segments:
            kept.append(Segment(alias, text[:characters]))
            characters = max(0, characters - len(text))
        return replace(self, segments=tuple(kept))


class Block(NamedTuple):
    """A user in a prompt: the number of the first row, and the text without the numbers, the profile above it."""

    first: int
    text: str


class Wanted(NamedTuple):
    """What an answer has to be like. `minor_word`: for minor rows, "" where none are wanted."""

    form: AnswerForm = "lines"
    minor_word: str = "零碎"


class Event(NamedTuple):
    """An event of an answer, or a step of a journey: its type with the mark, its rows, whether a ? stands behind them."""

    type: str
    rows: tuple[int, ...]
    sure: bool = True

    @property
    def group(self) -> str:
        """The rows as an answer names them."""
        return row_ranges(self.rows).replace(" ", ",") + ("" if self.sure else "?")


class Journey(NamedTuple):
    """A journey of an answer."""

    kind: str
    name: str
    steps: tuple[Event, ...]


class Told(NamedTuple):
    """An answer about a user, whose rows count from `first`. `minor_word`: "" where the prompt asks for no minor rows."""

    first: int
    minor_word: str
    journeys: tuple[Journey, ...] = ()
    events: tuple[Event, ...] = ()
    minor: tuple[int, ...] = ()

    def with_rows(self, change: Callable[[int], Iterable[int]]) -> Self:
        """Return the answer with other rows in the place of each; what has none left goes."""

        def changed(events: Iterable[Event]) -> tuple[Event, ...]:
            found = (e._replace(rows=tuple(row for old in e.rows for row in change(old))) for e in events)
            return tuple(event for event in found if event.rows)

        journeys = (journey._replace(steps=changed(journey.steps)) for journey in self.journeys)
        return self._replace(
            journeys=tuple(journey for journey in journeys if journey.steps),
            events=changed(self.events),
            minor=tuple(row for old in self.minor for row in change(old)),
        )

    def starting_at(self, first: int) -> Self:
        """Return the answer as it is where the user's rows begin at another number."""
        return self.with_rows(lambda row: [row + first - self.first])._replace(first=first)

    def without(self, is_left_out: Callable[[Event], bool]) -> Self:
        """Return the answer without some events; their rows are minor, or nowhere where there are no minor rows."""
        every = [*self.events, *(step for journey in self.journeys for step in journey.steps)]
        gone = {row for event in filter(is_left_out, every) for row in event.rows}
        left = self.with_rows(lambda row: () if row in gone else (row,))
        return left._replace(minor=tuple(sorted({*left.minor, *gone}))) if self.minor_word else left


Answers = Mapping[str, Told]  # by alias
Malforming = Callable[[Answers, AnswerForm, Random], Iterable[Segment]]


def read_blocks(user_message: str) -> dict[str, Block]:
    """Cut a user message into the users' blocks by alias; codes of a legend are replaced by what they stand for."""
    legend: dict[str, str] = {}
    blocks: dict[str, Block] = {}
    lines: dict[str, list[str]] = {}
    alias, number = "", 1
    for line in user_message.splitlines():
        if line.startswith("## "):
            alias, _, profile = line[3:].partition(" ")
            blocks[alias] = Block(number, "")
            lines[alias] = [profile]
        elif not blocks:
            if code := _CODE.fullmatch(line):
                legend[code[1]] = code[2]
        elif row := _ROW.fullmatch(line):
            number = int(row[1]) + 1
            clock = row[2].replace(":", "").zfill(4)
            lines[alias].append(f"{clock} {' '.join(legend.get(word, word) for word in row[3].split(' '))}")
        elif line and not line.startswith(">"):  # journeys that are known
            lines[alias].append(line)
    return {alias: block._replace(text="\n".join(lines[alias])) for alias, block in blocks.items()}


def told_of(block: Block, minor_word: str) -> Told:
    """Return the answer about a block: every row once."""
    return _told_of(block.text, minor_word).starting_at(block.first)


@lru_cache(8192)
def _told_of(text: str, minor_word: str) -> Told:
    rows: dict[int, tuple[int, str]] = {}  # by number, the day and what was done
    day, year, month = 0, "", ""
    for line in text.splitlines()[1:]:
        if header := _DAY.match(line):
            year, month = header[1] or year, header[2] or month
            day = date.fromisoformat(f"{year}-{month}-{header[3]}").toordinal()
        else:
            rows[len(rows) + 1] = day - (int(line[:2]) < _NIGHT), line[5:]
    idle = [row for row, (_day, what) in rows.items() if _kind(what)[0] in _IDLE]
    if not minor_word or len(idle) > _MOST_IDLE * len(rows):
        idle = []
    wanted = defaultdict[str, list[int]](list)
    for row, (_day, what) in rows.items():
        *_type, is_step = _kind(what)
        if is_step and (name := _name(what)):
            wanted[name].append(row)
    journeys = {name: theirs for name, theirs in wanted.items() if len(theirs) > 1}
    placed = {*idle, *(row for theirs in journeys.values() for row in theirs)}
    return Told(
        1,
        minor_word,
        tuple(
            Journey(
                "purchase" if name.isascii() else "购买", name, _events({row: rows[row] for row in theirs})
            )
            for name, theirs in journeys.items()
        ),
        _events({row: told for row, told in rows.items() if row not in placed}),
        tuple(idle),
    )


def _events(rows: Mapping[int, tuple[int, str]]) -> tuple[Event, ...]:
    """Return an event for what is done with one thing on a day, and one for every conversion."""
    found = defaultdict[tuple[str, int, str], list[int]](list)
    for row, (day, what) in rows.items():
        kind, mark, _is_step = _kind(what)
        found[kind + mark, day, f"{row}" if mark else _name(what)].append(row)
    return tuple(
        Event(kind, tuple(theirs), crc32(rows[theirs[0]][1].encode()) % _DOUBTFUL > 0)
        for (kind, _day, _name), theirs in found.items()
    )


def _kind(what: str) -> tuple[str, str, bool]:
    """Return the type of what was done, its mark, and whether it is a step towards a purchase."""
    found = next((kind for kind in _TYPES if any(word in what for word in kind[0])), _OTHERWISE)
    return found[2] if what.isascii() else found[1], found[3], found[4]


def _name(what: str) -> str:
    """Return the name of what somebody deals with."""
    words = what.split(" ")
    named = words[1] if words[0] in _VERB_WORDS and len(words) > 1 else words[0]
    return " ".join(re.sub(r"\W", " ", named.partition(",")[0]).split())[:_LONGEST_NAME].strip()


def segments(answers: Answers, form: AnswerForm) -> list[Segment]:
    """Write an answer in the asked form."""
    if form == "lines":
        return [
            *(Segment(alias, _lines(alias, told)) for alias, told in answers.items()),
            Segment("", "##\n"),
        ]
    objects = [Segment(alias, _json({"user": alias, **_object(told)})) for alias, told in answers.items()]
    between = [segment._replace(text=segment.text + ",") for segment in objects[:-1]]
    return [Segment("", '{"users":['), *between, *objects[-1:], Segment("", "]}")]


def _lines(alias: str, told: Told) -> str:
    lines = [f"## {alias}"]
    for journey in told.journeys:
        colon, semicolon = (": ", "; ") if journey.name.isascii() else ("：", "；")
        lines.append(f"> {journey.kind} {journey.name}{colon}{semicolon.join(_by_type(journey.steps))}")
    lines += _by_type(told.events)
    if told.minor:
        lines.append(f"{told.minor_word} {row_ranges(told.minor)}")
    return "\n".join([*lines, ""])


def _by_type(events: Iterable[Event]) -> list[str]:
    found = defaultdict[str, list[str]](list)
    for event in events:
        found[event.type].append(event.group)
    return [f"{kind} {' '.join(groups)}" for kind, groups in found.items()]


def _object(told: Told) -> dict[str, object]:
    journeys = [
        {"kind": kind, "name": name, "steps": _with_rows(steps)} for kind, name, steps in told.journeys
    ]
    return {"journeys": journeys, "events": _with_rows(told.events), "minor": row_ranges(told.minor)}


def _with_rows(events: Iterable[Event]) -> list[dict[str, str]]:
    return [{"type": event.type, "rows": event.group} for event in events]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def malformed(kind: str, answers: Answers, form: AnswerForm, rng: Random) -> list[Segment]:
    """Write an answer that is wrong in the way that `kind` (of MALFORMED) names."""
    return list(MALFORMED[kind](answers, form, rng))


def thinking(answers: Answers, rng: Random) -> str:
    """Return what a model thinks aloud; sometimes with drafts of events in it."""
    thoughts = [
        f"用户{alias}从第{told.first}行开始，有{len(told.journeys)}个历程。"
        for alias, told in answers.items()
    ]
    drafts = segments(answers, "lines")[:1] if rng.random() < 0.3 else []
    kept = rng.sample(thoughts, min(len(thoughts), 3))
    return "\n".join(["好的，我先梳理日志。", *kept, *(draft.text for draft in drafts), "现在写出结果。"])


def with_thinking(answered: Answered, thoughts: str, rng: Random) -> Answered:
    """Put thoughts before an answer: between tags, before the closing tag alone, or in a field of their own."""
    share = rng.random()
    if share < 0.2:
        return replace(answered, reasoning=thoughts)
    opening = "<think>\n" if share < 0.8 else ""
    before = Segment("", f"{opening}{thoughts}\n</think>\n\n")
    return replace(answered, segments=(before, *answered.segments))


def cut(
    answered: Answered, counter: TokenCounter, *, tokens: int, finish_reason: FinishReason = "length"
) -> Answered:
    """Keep the first `tokens` tokens, to within a few characters; the answer as it is if it has no more."""
    left = tokens - count(counter, answered.reasoning)
    if left < 0:
        return Answered((), finish_reason, answered.reasoning[: _share(answered.reasoning, counter, tokens)])
    kept = []
    for segment in answered.segments:
        cost = count(counter, segment.text)
        if cost > left:
            kept.append(segment._replace(text=segment.text[: _share(segment.text, counter, left)]))
            return replace(answered, segments=tuple(kept), finish_reason=finish_reason)
        kept.append(segment)
        left -= cost
    return answered


def count(counter: TokenCounter, text: str) -> int:
    """Count tokens line by line: fast where lines come again, and exact but for empty lines."""
    return counter.total(text.splitlines(keepends=True))


def _share(text: str, counter: TokenCounter, tokens: int) -> int:
    return len(text) * tokens // max(1, count(counter, text))


def _single_quotes(answers: Answers, _form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    return [s._replace(text=s.text.replace('"', "'")) for s in segments(answers, "schema")]


def _trailing_commas(answers: Answers, _form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    return [
        s._replace(text=s.text.replace('"}', '",}').replace("}]", "},]")) for s in segments(answers, "schema")
    ]


def _raw_newlines(answers: Answers, _form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    return [s._replace(text=s.text.replace('"}', '\n"}')) for s in segments(answers, "schema")]


def _prose(answers: Answers, form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    before, after = "好的，以下是归并后的高层事件：\n\n", "\n以上为全部用户，如需调整请告诉我。"
    return [Segment("", before), *segments(answers, form), Segment("", after)]


def _fences(answers: Answers, form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    opening = Segment("", f"```{'text' if form == 'lines' else 'json'}\n")
    return [opening, *segments(answers, form), Segment("", "\n```")]


def _missing_users(answers: Answers, form: AnswerForm, rng: Random) -> Iterable[Segment]:
    missing = rng.sample(sorted(answers), max(1, len(answers) // 4))
    return segments({alias: told for alias, told in answers.items() if alias not in missing}, form)


def _unknown_alias(answers: Answers, form: AnswerForm, rng: Random) -> Iterable[Segment]:
    renamed, stranger = rng.choice(sorted(answers)), f"U{len(answers) + 7}"
    told = segments({stranger if a == renamed else a: theirs for a, theirs in answers.items()}, form)
    return [segment._replace(alias="") if segment.alias == stranger else segment for segment in told]


def _swapped_users(answers: Answers, form: AnswerForm, rng: Random) -> Iterable[Segment]:
    if len(answers) == 1:
        return _shifted(answers, form, rng)
    one, other = rng.sample(sorted(answers), 2)
    return segments({**answers, one: answers[other], other: answers[one]}, form)


def _repeated_user(answers: Answers, form: AnswerForm, rng: Random) -> Iterable[Segment]:
    told = segments(answers, form)
    again = rng.choice([segment for segment in told if segment.alias])
    return [*told[:-1], again, told[-1]] if form == "lines" else [again, *told]


def _other_form(answers: Answers, form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    return segments(answers, "schema" if form == "lines" else "lines")


def _keyed_objects(answers: Answers, _form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    yield Segment("", '{"result": {')
    for number, (alias, told) in enumerate(answers.items()):
        yield Segment(alias, f'{", " if number else ""}"{alias}": {_json(_object(told))}')
    yield Segment("", "}}")


def _edited(answers: Answers, edit: Callable[[str], str]) -> Iterator[Segment]:
    """Yield an answer as lines, each changed but for the headers."""
    for segment in segments(answers, "lines"):
        lines = segment.text.splitlines(keepends=True)
        yield segment._replace(text="".join(line if line.startswith("#") else edit(line) for line in lines))


def _full_width(answers: Answers, _form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    wide = str.maketrans(",-:;!?>0123456789", "，－：；！？＞０１２３４５６７８９")
    outside_names = r"[,:;!?>-]|(?<![^\W\d_])\d+(?![^\W\d_])"
    return _edited(answers, lambda line: re.sub(outside_names, lambda found: found[0].translate(wide), line))


def _bullets(answers: Answers, _form: AnswerForm, rng: Random) -> Iterable[Segment]:
    bullet = rng.choice(["- ", "● ", "・", "* "])
    return _edited(answers, lambda line: bullet + line)


def _dashes(answers: Answers, _form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    return _edited(answers, lambda line: re.sub(r"(\d)-(\d)", r"\1–\2", line))


def _event_lines(answers: Answers, _form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    """Write every event outside journeys on a line of its own."""
    for segment in segments(answers, "lines"):
        if segment.alias:
            told = answers[segment.alias]
            events = "".join(f"{event.type} {event.group}\n" for event in told.events)
            segment = segment._replace(text=_lines(segment.alias, told._replace(events=())) + events)  # noqa: PLW2901
        yield segment


def _alias_noise(answers: Answers, _form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    for segment in segments(answers, "lines"):
        yield segment._replace(text=re.sub(r"^## (U\d+)", r"**用户\1：**", segment.text))


def _endless(answers: Answers, _form: AnswerForm, rng: Random) -> Iterable[Segment]:
    return [Segment("", "<think>\n" + "\n".join(thinking(answers, rng) for _again in range(20)))]


def _unended(answers: Answers, _form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    return segments(answers, "lines")[:-1]


def _truncated(answers: Answers, form: AnswerForm, rng: Random) -> Iterable[Segment]:
    told = segments(answers, form)
    left = int(sum(len(segment.text) for segment in told) * rng.uniform(0.2, 0.8))
    for segment in told:
        yield segment._replace(text=segment.text[: max(0, left)])
        left -= len(segment.text)


def _lost(answers: Answers, form: AnswerForm, rng: Random) -> Iterable[Segment]:
    return segments({alias: losing(told, 0.3, rng) for alias, told in answers.items()}, form)


def losing(told: Told, share: float, rng: Random) -> Told:
    """Return an answer without a share of its rows."""
    return told.with_rows(lambda row: () if rng.random() < share else (row,))


def _doubled(answers: Answers, form: AnswerForm, rng: Random) -> Iterable[Segment]:
    """Say a tenth of the rows once more, as an event of its own."""
    for_each = {}
    for alias, told in answers.items():
        rows = [row for event in told.events for row in event.rows]
        again = [Event("复述", (row,)) for row in rng.sample(rows, -(-len(rows) // 10))]
        for_each[alias] = told._replace(events=(*told.events, *again))
    return segments(for_each, form)


def _shifted(answers: Answers, form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    return segments({alias: told.starting_at(told.first + 1) for alias, told in answers.items()}, form)


def _renumbered(answers: Answers, form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    return segments({alias: told.starting_at(1) for alias, told in answers.items()}, form)


def _unreadable(_answers: Answers, _form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    return [Segment("", "这些用户大多在看车，也常去餐厅和健身房，其中几位近期可能购车。")]


def _refusal(_answers: Answers, _form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    return [Segment("", "抱歉，我无法处理这一请求，其中涉及个人隐私。")]


MALFORMED: dict[str, Malforming] = {
    "single_quotes": _single_quotes,
    "trailing_commas": _trailing_commas,
    "raw_newlines": _raw_newlines,
    "prose": _prose,
    "fences": _fences,
    "missing_users": _missing_users,
    "unknown_alias": _unknown_alias,
    "swapped_users": _swapped_users,
    "repeated_user": _repeated_user,
    "other_form": _other_form,
    "keyed_objects": _keyed_objects,
    "full_width": _full_width,
    "bullets": _bullets,
    "dashes": _dashes,
    "event_lines": _event_lines,
    "alias_noise": _alias_noise,
    "endless": _endless,
    "unended": _unended,
    "truncated": _truncated,
    "lost": _lost,
    "doubled": _doubled,
    "shifted": _shifted,
    "renumbered": _renumbered,
    "unreadable": _unreadable,
    "refusal": _refusal,
}
