"""What the simulated model says: good answers from the users' blocks alone, and the ways in which replies go bad.

An answer is a list of segments, each the text about one user ("" for what is about nobody), so that every
token can be counted for the user whom it serves.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from random import Random
from typing import NamedTuple

from eventabs.choices import AnswerForm
from eventabs.prompts.lines import AnsweredEvent, written
from eventabs.prompts.tokens import TokenCounter
from eventabs.records import FinishReason

_DAY = re.compile(r"# (?:(?:(\d{4})-)?(\d{2})-)?(\d{2})")
_LINE = re.compile(r"(\d{2}):(\d{2}) (.+)")
# level `day`: the date, then all behaviors of the day
_DAY_LINE = re.compile(r"(?:(?:(\d{4})-)?(\d{2})-)?(\d{2})(?: [^\d\s]\S*)? (\d{2}:\d{2} .+)")
_BEHAVIOR_BEGINS = re.compile(r" (?=\d{2}:\d{2} )")
_LONGEST_SUMMARY = 12  # characters
_FEW, _MANY = 3, 8  # behaviors on a day, up to which there are one and two events; three beyond

# Words in a line, the type in Chinese and in English, and whether it is a conversion.
_TYPES = (
    (("购买 ", "买 ", "bought", "buy"), "购买", "purchase", True),
    (("加购", "cart"), "加购", "add to cart", True),
    (("4S店", "经销商", "dealer"), "到店", "dealer visit", True),
    (("餐", "海底捞", "小馆", "dinner", "restaurant"), "用餐", "dining", False),
    (("健身", "高尔夫", "gym"), "运动", "exercise", False),
    (("酒店", "民宿", "hotel"), "出行", "travel", False),
    (("对比", "compar"), "对比", "comparison", False),
    (("搜", "search"), "搜索", "search", False),
)


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


Events = Mapping[str, Sequence[AnsweredEvent]]  # by alias
Malforming = Callable[[Events, AnswerForm, Random], Iterable[Segment]]


def read_blocks(user_message: str) -> dict[str, str]:
    """Cut a user message into the users' blocks by alias, each with what its header says beside the alias."""
    blocks: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in user_message.splitlines():
        if line.startswith("## "):
            alias, _, profile = line[3:].partition(" ")
            lines = blocks.setdefault(alias, [profile])
        elif line:
            lines.append(line)
    return {alias: "\n".join(found) for alias, found in blocks.items()}


@lru_cache(8192)
def events_of(block: str) -> tuple[AnsweredEvent, ...]:
    """Return one to three events for every active day of a block, in order of time, without overlaps."""
    days: list[list[tuple[datetime, str]]] = []
    day = ""
    year = month = ""
    for line in _lines_of_days(block):
        if header := _DAY.match(line):
            year, month = header[1] or year, header[2] or month
            day = f"{year}-{month}-{header[3]}"
            days.append([])
        elif day and (told := _LINE.match(line)):
            days[-1].append((datetime.fromisoformat(f"{day}T{told[1]}:{told[2]}"), told[3]))
    return tuple(_event(stretch) for lines in days for stretch in _stretches(lines))


def _lines_of_days(block: str) -> Iterator[str]:
    """Yield the lines below a user's header, those of level `day` as if they were of level `line`."""
    for line in block.splitlines()[1:]:
        if whole := _DAY_LINE.match(line):
            yield f"# {line[: whole.start(4)]}"
            yield from _BEHAVIOR_BEGINS.split(whole[4])
        else:
            yield line


def segments(events: Events, form: AnswerForm) -> list[Segment]:
    """Write a good answer in the asked form."""
    if form == "lines":
        told = [Segment(alias, written([(alias, theirs)], form)[:-2]) for alias, theirs in events.items()]
        return [*told, Segment("", "##\n")]
    told = [Segment(alias, written([(alias, theirs)], "json")) for alias, theirs in events.items()]
    if form == "json":
        return [segment._replace(text=segment.text + "\n") for segment in told]
    between = [segment._replace(text=segment.text + ",") for segment in told[:-1]]
    return [Segment("", '{"users":['), *between, *told[-1:], Segment("", "]}")]


def malformed(kind: str, events: Events, form: AnswerForm, rng: Random) -> list[Segment]:
    """Write an answer that is wrong in the way that `kind` (of MALFORMED) names."""
    return list(MALFORMED[kind](events, form, rng))


def thinking(events: Events, rng: Random) -> str:
    """Return what a model thinks aloud; sometimes with drafts of events in it."""
    thoughts = [
        f"用户{alias}的行为集中在{len(theirs)}段，先看时间再合并。" for alias, theirs in events.items()
    ]
    drafts = segments(events, "lines")[:1] if rng.random() < 0.3 else []
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


def _stretches(lines: list[tuple[datetime, str]]) -> list[list[tuple[datetime, str]]]:
    parts = 1 if len(lines) <= _FEW else 2 if len(lines) <= _MANY else 3
    bounds = [len(lines) * part // parts for part in range(parts + 1)]
    return [lines[low:high] for low, high in pairwise(bounds) if low < high]


def _event(stretch: list[tuple[datetime, str]]) -> AnsweredEvent:
    kinds = [(_type(what), what) for _, what in stretch]
    (kind, converts), what = next((told for told in kinds if told[0][1]), kinds[0])
    summary = " ".join(what.replace("|", " ").split())[:_LONGEST_SUMMARY].strip()
    category, mark = ("conversion", "!") if converts else ("engagement", "")
    return AnsweredEvent(stretch[0][0], stretch[-1][0], kind, category, mark, summary)


def _type(what: str) -> tuple[str, bool]:
    chinese = not what.isascii()
    for words, in_chinese, in_english, converts in _TYPES:
        if any(word in what for word in words):
            return (in_chinese if chinese else in_english), converts
    return ("浏览" if chinese else "browsing"), False


def _single_quotes(events: Events, _form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    return [s._replace(text=s.text.replace('"', "'")) for s in segments(events, "schema")]


def _trailing_commas(events: Events, _form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    return [
        s._replace(text=s.text.replace('"]', '",]').replace("]]", "],]")) for s in segments(events, "schema")
    ]


def _raw_newlines(events: Events, _form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    return [s._replace(text=s.text.replace('"]', '\n"]')) for s in segments(events, "json")]


def _prose(events: Events, form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    before, after = "好的，以下是归并后的高层事件：\n\n", f"\n以上共 {len(events)} 位用户，如需调整请告诉我。"
    return [Segment("", before), *segments(events, form), Segment("", after)]


def _fences(events: Events, form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    return [
        Segment("", f"```{'text' if form == 'lines' else 'json'}\n"),
        *segments(events, form),
        Segment("", "\n```"),
    ]


def _missing_users(events: Events, form: AnswerForm, rng: Random) -> Iterable[Segment]:
    missing = rng.sample(sorted(events), max(1, len(events) // 4))
    return segments({alias: theirs for alias, theirs in events.items() if alias not in missing}, form)


def _unknown_alias(events: Events, form: AnswerForm, rng: Random) -> Iterable[Segment]:
    renamed, stranger = rng.choice(sorted(events)), f"U{len(events) + 7}"
    told = segments({stranger if a == renamed else a: theirs for a, theirs in events.items()}, form)
    return [segment._replace(alias="") if segment.alias == stranger else segment for segment in told]


def _swapped_users(events: Events, form: AnswerForm, rng: Random) -> Iterable[Segment]:
    if len(events) == 1:
        return _wrong_dates(events, form, rng)
    one, other = rng.sample(sorted(events), 2)
    return segments({**events, one: events[other], other: events[one]}, form)


def _repeated_user(events: Events, form: AnswerForm, rng: Random) -> Iterable[Segment]:
    told = segments(events, form)
    again = rng.choice([segment for segment in told if segment.alias])
    return [*told[:-1], again, told[-1]] if form == "lines" else [again, *told]


def _other_form(events: Events, form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    return segments(events, "json" if form == "lines" else "lines")


def _keyed_objects(events: Events, _form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    yield Segment("", '{"result": {')
    for number, (alias, theirs) in enumerate(events.items()):
        objects = ", ".join(
            f'{{"开始时间": "{e.start:%Y-%m-%d %H:%M}", "结束时间": "{e.end:%Y-%m-%d %H:%M}", "事件类型": "{e.type}", '
            f'"类别": "{e.category}", "摘要": {json.dumps(e.summary, ensure_ascii=False)}}}'
            for e in theirs
        )
        yield Segment(alias, f'{", " if number else ""}"{alias}": [{objects}]')
    yield Segment("", "}}")


def _full_width(events: Events, _form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    wide = str.maketrans({":": "：", "|": "｜", "!": "！", "-": "－"})
    for segment in segments(events, "lines"):
        lines = (line.partition("| ") for line in segment.text.splitlines(keepends=True))
        told = (
            head if head.startswith("#") else head.translate(wide) + bar.translate(wide) + tail
            for head, bar, tail in lines
        )
        yield segment._replace(text="".join(told))


def _alias_noise(events: Events, _form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    for segment in segments(events, "lines"):
        yield segment._replace(text=re.sub(r"^## (U\d+)", r"**用户\1：**", segment.text))


def _truncated(events: Events, form: AnswerForm, rng: Random) -> Iterable[Segment]:
    told = segments(events, form)
    left = int(sum(len(segment.text) for segment in told) * rng.uniform(0.2, 0.8))
    for segment in told:
        yield segment._replace(text=segment.text[: max(0, left)])
        left -= len(segment.text)


def _wrong_dates(events: Events, form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    later = timedelta(days=400)
    return segments(
        {alias: [_moved(event, later) for event in theirs] for alias, theirs in events.items()}, form
    )


def _moved(event: AnsweredEvent, later: timedelta) -> AnsweredEvent:
    return event._replace(start=event.start + later, end=event.end + later)


def _unreadable(_events: Events, _form: AnswerForm, _rng: Random) -> Iterable[Segment]:
    return [Segment("", "这些用户大多在看车，也常去餐厅和健身房，其中几位近期可能购车。")]


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
    "alias_noise": _alias_noise,
    "truncated": _truncated,
    "wrong_dates": _wrong_dates,
    "unreadable": _unreadable,
}
