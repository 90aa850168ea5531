"""Well-formed answers about made-up users, in every form that is asked for or often sent, and the events in them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Literal, NamedTuple

from eventabs.prompts.lines import AnsweredEvent, written
from eventabs.records import Behavior, Category, EventType, Part, UserLog, Vocabulary

Form = Literal["lines", "json", "schema", "pipes"]
FORMS: tuple[Form, ...] = ("lines", "json", "schema", "pipes")
VOCABULARY = Vocabulary(
    (EventType("用餐"), EventType("看车"), EventType("到店", "conversion"), EventType("dining out")),
    (Category("conversion", "!"), Category("engagement")),
)
_TYPES = ("用餐", "看车", "到店", "dining out", "聚会", "夜跑", "family time", "3D打印")
REPLACEABLE = "西餐厅用餐"
_SUMMARIES = (
    "",
    REPLACEABLE,
    REPLACEABLE,
    "在宝马4S店看车2小时",
    "挑选帐篷，对比3款",
    "it's a gift for U2",
    "Dinner with friends, then home",
    "看了《三体》(上)",
    "搜索：露营装备、睡袋",
    "3:1 的比分",
    "约 50% 折扣 - 下单",
    "#1 推荐",
)


class Truth(NamedTuple):
    """An event of an answer: what has to come out of it."""

    behaviors: tuple[int, ...]
    type: str
    category: str
    summary: str


@dataclass(frozen=True, slots=True)
class Sample:
    """An answer in one form: the users it is about, and by alias its events as they were written and are to be read."""

    form: Form
    users: dict[str, UserLog]
    events: dict[str, list[AnsweredEvent]]
    truths: dict[str, list[Truth]]

    def saying(self, summary: str) -> "Sample":
        """Return the same answer with another summary in the place of one of them."""
        one_line = " ".join(summary.split())
        return replace(
            self,
            events={
                alias: [e._replace(summary=summary) if e.summary == REPLACEABLE else e for e in events]
                for alias, events in self.events.items()
            },
            truths={
                alias: [t._replace(summary=one_line) if t.summary == REPLACEABLE else t for t in truths]
                for alias, truths in self.truths.items()
            },
        )

    @property
    def parts(self) -> dict[str, Part]:
        """Each user's log as the part that was asked about."""
        return {alias: Part(log.user_id, 0, len(log.behaviors) - 1) for alias, log in self.users.items()}

    @property
    def text(self) -> str:
        """The answer as it was asked for."""
        if self.form == "pipes":
            rows = ["|".join([alias, *row]) for alias, rows in self.rows.items() for row in rows]
            return "\n".join([*rows, "##\n"])
        return written(list(self.events.items()), self.form) + "\n"

    @property
    def rows(self) -> dict[str, list[list[str]]]:
        """The events as [start, end, type, category, summary]."""
        objects = written(list(self.events.items()), "json").splitlines()
        return {user["u"]: user["events"] for user in map(json.loads, objects)}


def samples(count: int, seed: int) -> list[Sample]:
    """Return answers about one to four users each, as many of each form."""
    random = Random(seed)
    return [_sample(FORMS[number % len(FORMS)], random) for number in range(count)]


def _sample(form: Form, random: Random) -> Sample:
    users: dict[str, UserLog] = {}
    events: dict[str, list[AnsweredEvent]] = {}
    truths: dict[str, list[Truth]] = {}
    for number in range(1, random.randint(1, 4) + 1):
        alias = f"U{number}"
        behaviors: list[Behavior] = []
        events[alias], truths[alias] = [], []
        for first, last in _stretches(random, behaviors):
            event = _event(random, behaviors[first].start, behaviors[last].start)
            events[alias].append(event)
            truths[alias].append(
                Truth(tuple(range(first, last + 1)), event.type, event.category, event.summary)
            )
        users[alias] = UserLog(f"user-{number}", tuple(behaviors))
    return Sample(form, users, events, truths)


def _stretches(random: Random, behaviors: list[Behavior]) -> Iterator[tuple[int, int]]:
    """Append some behaviors, often several in one minute and one second, and yield what each event covers."""
    now = datetime(2026, random.choice((1, 6, 12)), random.randint(1, 28), random.randint(6, 12))  # noqa: DTZ001  wall time
    for _ in range(random.randint(1, 6)):
        first = len(behaviors)
        for _ in range(random.choice((1, 1, 2, 4))):
            behaviors.append(Behavior(now, "visit", "某地", "", random.choice((None, 90, 3600))))
            now += timedelta(seconds=random.choice((0, 0, 20, 900)))
        yield first, len(behaviors) - 1
        now = now.replace(second=0) + timedelta(minutes=random.randint(2, 1500))


def _event(random: Random, start: datetime, end: datetime) -> AnsweredEvent:
    kind = random.choice(_TYPES)
    is_conversion = kind == "到店"
    start, end = start.replace(second=0), end.replace(second=0)
    category, mark = ("conversion", "!") if is_conversion else ("engagement", "")
    return AnsweredEvent(start, end, kind, category, mark, random.choice(_SUMMARIES))
