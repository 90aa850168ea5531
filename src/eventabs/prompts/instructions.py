"""The system message: rules, vocabulary, the form of the answer, and a worked example in the vocabulary in force."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from importlib import resources
from string import Template
from typing import Any, Final, NamedTuple

from eventabs.choices import AnswerForm, Compaction, Detail
from eventabs.errors import ConfigError
from eventabs.language import Language, gettext as _
from eventabs.prompts.compaction import CODES, Compactor
from eventabs.prompts.expected_output import AnsweredEvent, written
from eventabs.records import Behavior, Category, EventType, UserLog, Vocabulary

VERSION: Final = "2"  # version of the shipped rules; it binds runs with a model
REQUIRED: Final = ("types", "categories", "detail", "format")
PLACEHOLDERS: Final = (*REQUIRED, "input", "example", "summary", "guidance")
_DAY: Final = re.compile(r"#\s*(?:(\d{4})-)?(\d{2})-(\d{2})\b")
_CLOCK: Final = re.compile(r"(\d{2}):(\d{2})\b(?:-(?:(\d{2})-(\d{2}) )?(\d{2}):(\d{2}))? ?(.*)")


class Example(NamedTuple):
    """A user's own example: lines of a log and the wanted events, both as in a prompt, under `# date`."""

    log: str
    events: str


@dataclass(frozen=True, kw_only=True)
class Instructions:
    """The parts of the system message. `template` None: the shipped one; `pause`: minutes, 0 for none.

    `text` raises ConfigError if a placeholder or an example is wrong.
    """

    language: Language
    vocabulary: Vocabulary
    answer: AnswerForm = "lines"
    detail: Detail = "day"
    level: Compaction = "line"
    template: str | None = None
    pause: int = 30
    with_summaries: bool = True
    guidance: str = ""
    examples: tuple[Example, ...] = ()

    def text(self) -> str:
        """Return the system message."""
        required = REQUIRED if self.level == "line" else (*REQUIRED, "input")
        if self.guidance:
            required = (*required, "guidance")
        template = _packaged(f"{self.language}.txt") if self.template is None else self.template
        filled = _checked(template, required).substitute(
            input=self._texts["input"][self.level].strip(),
            types=self._types(),
            categories=self._categories(),
            detail=self._detail(),
            format=self._format(),
            summary=self._texts["summary"]["short" if self.with_summaries else "none"],
            guidance=self._texts["guidance"]["text"].format(guidance=self.guidance) if self.guidance else "",
            example=self._example(),
        )
        return filled.strip()

    @cached_property
    def _texts(self) -> dict[str, Any]:
        return tomllib.loads(_packaged(f"{self.language}.toml"))

    def _detail(self) -> str:
        name = "fine_without_pause" if self.detail == "fine" and not self.pause else self.detail
        return str(self._texts["detail"][name]).format(pause=self.pause)

    def _format(self) -> str:
        texts = self._texts["format"]
        summary = texts["summary_in_lines" if self.answer == "lines" else "summary_in_json"]
        return str(texts[self.answer]).strip().replace("{summary}", summary if self.with_summaries else "")

    def _types(self) -> str:
        """List the types, each with its category as the answer form writes it."""
        texts = self._texts["vocabulary"]
        marked = [category for category in self.vocabulary.categories if category.mark]
        shown = {
            category.name: category.mark if self.answer == "lines" else f"({category.name})"
            for category in marked
        }
        names = [kind.name + shown.get(kind.category, "") for kind in self.vocabulary.types]
        form = str(texts["open" if self.vocabulary.open else "closed"])
        return form.format(types=texts["separator"].join(names))

    def _categories(self) -> str:
        """Describe how the answer form writes each category, and its meaning."""
        texts = self._texts["vocabulary"]
        descriptions = []
        for category in self.vocabulary.categories:
            name = category.name
            if meaning := category.meaning or texts["meanings"].get(name):
                name = texts["meaning"].format(category=name, meaning=meaning)
            form = "named" if self.answer != "lines" else "mark" if category.mark else "unmarked"
            descriptions.append(texts[form].format(category=name, mark=category.mark))
        return str(texts["between"]).join(descriptions)

    def _example(self) -> str:
        """Write the user's examples, else the shipped one if all its types are known, else only the form."""
        shipped = self._texts["example"]["users"]
        known = {kind.name for kind in self.vocabulary.types}
        if self.examples:
            return self._own_example()
        if not known or all(
            name in known for user in shipped for _start, _end, name, _summary in user["events"]
        ):
            return self._shipped_example(shipped)
        return self._form_example()

    def _own_example(self) -> str:
        texts = self._texts["example"]
        logs, answers = [], []
        for number, example in enumerate(self.examples, 1):
            log = example.log.strip("\n")
            logs.append(f"## U{number}\n{_one_line_a_day(log) if self.level == 'day' else log}\n")
            answers.append((f"U{number}", example_events(example, self.vocabulary, number)))
        answer = written(answers, self.answer, with_summaries=self.with_summaries)
        return "\n".join((texts["input"], "".join(logs) + texts["output"], answer))

    def _shipped_example(self, users: Sequence[Mapping[str, Any]]) -> str:
        """Write a few users as in a request, with recurring texts as a legend, and their answer."""
        texts = self._texts["example"]
        logs = [_log(user) for user in users]
        uses = Compactor(self.language).texts(logs).most_common()
        repeated = [text for text, count in uses if count > 1 and self.level != "line"]
        legend = dict(zip(CODES, repeated, strict=False))
        compactor = Compactor(self.language, level=self.level, legend=legend)
        sent = [compactor.legend()]
        answers = []
        for number, (log, user) in enumerate(zip(logs, users, strict=True), 1):
            sent += compactor.block(f"U{number}", log)
            events = [
                self._answered(datetime.fromisoformat(start), datetime.fromisoformat(end), name, summary)
                for start, end, name, summary in user["events"]
            ]
            answers.append((f"U{number}", events))
        answer = written(answers, self.answer, with_summaries=self.with_summaries)
        return "\n".join((texts["input"], "".join(sent) + texts["output"], answer))

    def _form_example(self) -> str:
        """Write an answer of placeholders: labels of another vocabulary would mislead."""
        texts = self._texts["example"]
        first = datetime.fromisoformat(self._texts["example"]["users"][0]["events"][0][0])
        times = (first, first), (first + timedelta(hours=4), first + timedelta(hours=5))
        events = [self._answered(*each, texts["type"], texts["summary"]) for each in times]
        answer = written([("U1", events)], self.answer, with_summaries=self.with_summaries)
        return f"{texts['form']}\n{answer}"

    def _answered(self, start: datetime, end: datetime, name: str, summary: str) -> AnsweredEvent:
        known = {kind.name: kind for kind in self.vocabulary.types}
        category = known.get(name, EventType(name)).category or self.vocabulary.default_category
        marks = {each.name: each.mark for each in self.vocabulary.categories}
        return AnsweredEvent(start, end, name, category, marks[category], summary)


def example_log(example: Example, number: int) -> UserLog:
    """Return the log of an example, each line as free text. Raises ConfigError for a line that is not a behavior."""
    behaviors = tuple(
        Behavior(start, "", rest) for start, _end, rest in _timed_lines(example.log, "log", number)
    )
    return UserLog("", behaviors)


def example_events(example: Example, vocabulary: Vocabulary, number: int) -> list[AnsweredEvent]:
    """Return the events of an example. Raises ConfigError for a line that is not an event, or an unknown type."""
    marks = {category.mark: category for category in vocabulary.categories if category.mark}
    known = {kind.name: kind for kind in vocabulary.types}
    events = []
    for start, end, rest in _timed_lines(example.events, "events", number):
        name, _bar, summary = (part.strip() for part in rest.partition("|"))
        marked: Category | None = None if name in known else marks.get(name[-1:])
        name = name[:-1].rstrip() if marked else name
        if not name or (known and not vocabulary.open and name not in known):
            message = _("prompt.examples, number {number}: {type} is no type of the vocabulary")
            raise ConfigError(message.format(number=number, type=name or rest))
        category = marked.name if marked else known.get(name, EventType(name)).category
        category = category or vocabulary.default_category
        mark = next(each.mark for each in vocabulary.categories if each.name == category)
        events.append(AnsweredEvent(start, end, name, category, mark, summary))
    return events


def _timed_lines(text: str, key: str, number: int) -> list[tuple[datetime, datetime, str]]:
    """Return start, end and text of each line under the days of an example."""
    lines = []
    day: date | None = None
    for line in filter(str.strip, text.splitlines()):
        try:
            if found := _DAY.match(line):
                year = int(found[1]) if found[1] else day.year if day else 0
                day = date(year, int(found[2]), int(found[3]))
            elif day and (found := _CLOCK.fullmatch(line.strip())) and found[7]:
                start = datetime.combine(day, time(int(found[1]), int(found[2])))
                lines.append((start, _end(start, found), found[7]))
            elif not line.startswith("##"):
                raise ValueError(line)  # noqa: TRY301  like a date that does not exist
        except ValueError:
            message = _(
                "prompt.examples, number {number}: {key} has the line {line}; write # 2087-03-03, then 08:05 ..."
            )
            raise ConfigError(message.format(number=number, key=key, line=line.strip())) from None
    if not lines:
        message = _(
            "prompt.examples, number {number}: {key} has no lines; write # 2087-03-03, then 08:05 ..."
        )
        raise ConfigError(message.format(number=number, key=key))
    return lines


def _end(start: datetime, found: re.Match[str]) -> datetime:
    if found[5] is None:
        return start
    end = datetime.combine(start.date(), time(int(found[5]), int(found[6])))
    if found[3] is not None:
        return end.replace(month=int(found[3]), day=int(found[4]))
    return end if end >= start else end + timedelta(days=1)


def _one_line_a_day(log: str) -> str:
    """Write the lines of a log as at level `day`."""
    return re.sub(r"\n(?!#)", " ", log)


def _log(user: Mapping[str, Any]) -> UserLog:
    behaviors = [Behavior(datetime.fromisoformat(start), *fields) for start, *fields in user["behaviors"]]
    return UserLog("", tuple(behaviors), tuple((column, value) for column, value in user["profile"]))


def _checked(text: str, required: Sequence[str]) -> Template:
    template = Template(text)
    if not template.is_valid():
        line = next(
            number for number, line in enumerate(text.split("\n"), 1) if not Template(line).is_valid()
        )
        message = _("prompt template, line {line}: $ starts no placeholder; write $$ for a dollar sign")
        raise ConfigError(message.format(line=line))
    named = template.get_identifiers()
    known = ", ".join(f"${name}" for name in PLACEHOLDERS)
    if unknown := [name for name in named if name not in PLACEHOLDERS]:
        message = _("prompt template: ${name} is no placeholder; there are {known}")
        raise ConfigError(message.format(name=unknown[0], known=known))
    if missing := [name for name in required if name not in named]:
        message = _("prompt template: ${name} is missing; put it where that text belongs")
        raise ConfigError(message.format(name=missing[0]))
    return template


def _packaged(name: str) -> str:
    return resources.files("eventabs.prompts").joinpath("templates", name).read_text("utf-8")
