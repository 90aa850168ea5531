"""The request for a batch: the instructions with a worked example, the users' blocks, and the grammar of an answer."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import cached_property
from importlib import resources
from itertools import islice
from string import Template
from typing import Any, Final, NamedTuple

from eventabs.choices import AnswerForm, Compaction, Detail
from eventabs.errors import ConfigError
from eventabs.language import Language, gettext as _
from eventabs.prompts.lines import (
    CODES,
    AnsweredEvent,
    Compactor,
    Expectation,
    make_legend,
    response_format,
    written,
)
from eventabs.prompts.packing import BatchLimits
from eventabs.prompts.tokens import TokenCounter
from eventabs.records import (
    Behavior,
    Category,
    EventType,
    JsonSchemaFormat,
    Message,
    PartSize,
    Request,
    UserLog,
    Vocabulary,
)

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


# What an answer may say, for servers that enforce it: a grammar or a JSON schema, made for one batch.
#
# Grammars are in GBNF, which llama.cpp takes and so does XGrammar, the usual backend of vLLM and SGLang:
# https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md. Times are bound to their form and not to
# those of the log: an answer that can name no other time would always be grounded, and that would prove nothing.


Days = Mapping[date, int]  # most events that begin on each day, in order

MOST_CHARACTERS: Final = 80  # words of a summary; the prompt asks for 4
MOST_LETTERS: Final = 12  # of a word of a type that is not in the vocabulary
MOST_WORDS: Final = 3
_TIMES_EXPECTED: Final = 4
_LEAST: Final = 12  # events a day, if it has as many behaviors

# a summary's characters: no blanks, bars, control, bidi or invisible characters
_SIGN: Final = (
    r"[^\x00-\x20\x7c\x7f-\xa0\xa6\xad\u061c\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u206f\u2502\u3000"
    r"\ufeff\uff5c\ufff9-\uffff]"
)
# of a type that is not in the vocabulary; as characters, since patterns in JSON know no other escapes
_LETTER: Final = (
    "[a-zA-Z\u00c0-\u024f\u0370-\u05ff\u0620-\u0fff\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3]"
)
_WORD: Final = f"{_LETTER}{{1,{MOST_LETTERS}}}"
_CLOCK_RULE: Final = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_MONTH_DAY: Final = r"(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_SHARED: Final = rf"""clock ::= ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9]
monthday ::= ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | [12] [0-9] | "3" [01])
span ::= clock ("-" (monthday " ")? clock)?
summary ::= sign (" "? sign){{0,{MOST_CHARACTERS - 1}}}
sign ::= {_SIGN}
words ::= word (" " word){{0,{MOST_WORDS - 1}}}
word ::= letter{{1,{MOST_LETTERS}}}
letter ::= {_LETTER}
"""


def most_events(behaviors: Sequence[Behavior], expected: Expectation, detail: Detail) -> dict[date, int]:
    """Return the most events that may begin on each day: a few times the expected number, none without a behavior.

    Without a bound a small model repeats itself until its tokens end.
    """
    by_day: dict[date, list[Behavior]] = {}
    for behavior in behaviors:
        by_day.setdefault(behavior.start.date(), []).append(behavior)
    return {
        day: min(len(those), max(_LEAST, _TIMES_EXPECTED * expected.events(those, detail)))
        for day, those in by_day.items()
    }


def grammar(users: Mapping[str, Days], vocabulary: Vocabulary, *, with_summaries: bool = True) -> str:
    """Return the GBNF of answers in lines: all users by alias, in order, each with at least one event."""
    numbers = range(1, len(users) + 1)
    most = sorted({count for days in users.values() for count in days.values()})
    summary = ' (" | " summary)?' if with_summaries else ""
    return "\n".join(
        [
            f'root ::= {" ".join(f"u{number}" for number in numbers)} "##" "\\n"?',
            *(
                rule
                for number, user in zip(numbers, users.items(), strict=True)
                for rule in _user(number, *user)
            ),
            *(f"most{count} ::= event{{1,{count}}}" for count in most),
            f'event ::= span " " type{summary} "\\n"',
            *_types(vocabulary),
            _SHARED,
        ]
    )


def _user(number: int, alias: str, days: Days) -> Iterator[str]:
    """Yield the rules of a user: `a` still needs an event, `z` has one; each day is optional.

    The first day of an answer has its year, a later one only if the log has several years.
    """
    yield f'u{number} ::= {_literal(f"## {alias}")} "\\n" u{number}a1'
    last = len(days)
    has_years = len({day.year for day in days}) > 1
    for position, (day, most) in enumerate(days.items(), 1):
        name = f"u{number}d{position}"
        yield f'{name} ::= "{day:%m-%d}\\n" most{most}'
        needing = f'"# {day:%Y-}" {name}'
        having = f'("# " "{day:%Y-}"? {name})?' if has_years else f'("# " {name})?'
        if position < last:
            having += f" u{number}z{position + 1}"
            needing += f" u{number}z{position + 1} | u{number}a{position + 1}"
        yield f"u{number}a{position} ::= {needing}"
        if position > 1:
            yield f"u{number}z{position} ::= {having}"


def _types(vocabulary: Vocabulary) -> Iterator[str]:
    names = [_literal(kind.name) for kind in vocabulary.types]
    marks = [_literal(category.mark) for category in vocabulary.categories if category.mark]
    free = ["words"] if vocabulary.open or not names else []
    mark = f" ({' | '.join(marks)})?" if marks else ""
    yield f"type ::= ({' | '.join([*names, *free])}){mark}"


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def schema(
    users: Mapping[str, Days], vocabulary: Vocabulary, *, with_summaries: bool = True
) -> JsonSchemaFormat:
    """Return the `response_format` of answers by schema: all users by alias, in order, each with at least one event."""
    document = _list([_user_schema(alias, days, with_summaries) for alias, days in users.items()])
    types: list[dict[str, Any]] = (
        [{"enum": [kind.name for kind in vocabulary.types]}] if vocabulary.types else []
    )
    if vocabulary.open or not types:
        types.append({"type": "string", "pattern": f"^{_WORD}( {_WORD}){{0,{MOST_WORDS - 1}}}$"})
    definitions = {
        "end": {"type": "string", "pattern": f"^{_MONTH_DAY} {_CLOCK_RULE}$"},
        "type": types[0] if len(types) == 1 else {"anyOf": types},
        "category": {"enum": [category.name for category in vocabulary.categories]},
        "summary": {"type": "string", "maxLength": MOST_CHARACTERS},
    }
    if not with_summaries:
        del definitions["summary"]
    root = {**_object(users=document), "$defs": definitions}
    return {"type": "json_schema", "json_schema": {"name": "events", "strict": True, "schema": root}}


def _user_schema(alias: str, days: Days, with_summaries: bool) -> dict[str, Any]:
    named = "|".join(dict.fromkeys(f"{day:%m-%d}" for day in days))
    start = {"type": "string", "pattern": f"^({named}) {_CLOCK_RULE}$"}
    others = ["end", "type", "category", "summary"][: 4 if with_summaries else 3]
    row = _list([start, *({"$ref": f"#/$defs/{name}"} for name in others)])
    events = {"type": "array", "items": row, "minItems": 1, "maxItems": sum(days.values())}
    return _object(u={"enum": [alias]}, events=events)


def _list(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "array", "prefixItems": [*items], "minItems": len(items), "maxItems": len(items)}


def _object(**properties: Any) -> dict[str, Any]:  # noqa: ANN401  any part of a schema
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


# What a chat format adds to two messages: 4 tokens each, and 3 before the answer (OpenAI's cookbook,
# "How to count tokens with tiktoken").
CHAT_FRAMING_TOKENS = 11

_ALIASES = ("U9", "U99", "U999")  # this one costs as much as any; in OpenAI's encodings all cost the same
_LEGEND_USERS = 500  # users whose names make the legend
_LEGEND_BEHAVIORS = 100_000  # behaviors of these users, which are kept in memory; no further user then
_CHINESE_SHARE = 0.1  # brands and apps have Latin names in Chinese exports too
_CJK = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")


class PromptBuilder:
    """Writes prompts of one kind. Raises ConfigError if the instructions' template is wrong.

    The `legend` (texts by code, see `legend_for`) is in every request, used or not: so a part costs the
    same in any batch, and requests begin with the same bytes, as prefix caches need. `constrained`: a request
    says what its answer may contain, as a grammar for lines and as a tight schema for `schema`.
    """

    def __init__(
        self,
        instructions: Instructions,
        *,
        counter: TokenCounter,
        strip: Sequence[str] = (),
        legend: Mapping[str, str] | None = None,
        constrained: bool = False,
    ) -> None:
        self.counter = counter
        self.answer: AnswerForm = instructions.answer
        self.detail: Detail = instructions.detail
        self.expected = Expectation(
            instructions.answer, pause=instructions.pause, with_summaries=instructions.with_summaries
        )
        self.strip = tuple(strip)
        self.compactor = Compactor(instructions.language, strip, level=instructions.level, legend=legend)
        self._system: Message = {"role": "system", "content": instructions.text()}
        self._vocabulary = instructions.vocabulary
        self._constrained = constrained
        self._response_format = response_format(instructions.answer, instructions.with_summaries)
        self._alias = max(_ALIASES, key=counter.count)
        self.legend_tokens = counter.count(self.compactor.legend())
        self.instructions_tokens = (
            counter.count(self._system["content"]) + CHAT_FRAMING_TOKENS + self.legend_tokens
        )

    def legend_for(self, logs: Sequence[UserLog], limits: BatchLimits) -> dict[str, str]:
        """Return the legend that shortens batches of such users most."""
        if not logs:
            return {}
        sizes = [self.measure(log) for log in logs]
        users = min(
            limits.max_users,
            len(logs) * limits.room / max(1, sum(size.input_tokens for size in sizes)),
            len(logs) * limits.max_output_tokens / sum(size.output_tokens for size in sizes),
        )
        share = min(1.0, users / len(logs))
        return make_legend(self.compactor.texts(logs), share, self.counter.count)

    def measure(self, log: UserLog) -> PartSize:
        """Count the tokens of the log's block exactly, and estimate those of its answer."""
        return PartSize(
            self.counter.total(self.compactor.block(self._alias, log)) + self.counter.seam,
            self.expected.tokens(log.behaviors, self.detail),
        )

    def header_tokens(self, log: UserLog) -> int:
        """Count the tokens of the block's header."""
        return self.counter.total(self.compactor.header(self._alias, log))

    def request(self, logs: Sequence[UserLog], *, max_output_tokens: int) -> Request:
        """Write the request for logs that are cut to their parts; aliases are U1, U2, ... in order."""
        users = {f"U{number}": log for number, log in enumerate(logs, 1)}
        pieces = [piece for alias, log in users.items() for piece in self.compactor.block(alias, log)]
        return Request(
            messages=(self._system, {"role": "user", "content": self.compactor.legend() + "".join(pieces)}),
            users=users,
            input_tokens=self.instructions_tokens + self.counter.total(pieces),
            max_output_tokens=max_output_tokens,
            response_format=self._schema(users),
            grammar=self._grammar(users),
        )

    def _grammar(self, users: Mapping[str, UserLog]) -> str:
        if not self._constrained or self.answer != "lines":
            return ""
        return grammar(self._days(users), self._vocabulary, with_summaries=self.expected.with_summaries)

    def _schema(self, users: Mapping[str, UserLog]) -> JsonSchemaFormat | None:
        if not self._constrained or self.answer != "schema":
            return self._response_format
        return schema(self._days(users), self._vocabulary, with_summaries=self.expected.with_summaries)

    def _days(self, users: Mapping[str, UserLog]) -> dict[str, dict[date, int]]:
        return {alias: most_events(log.behaviors, self.expected, self.detail) for alias, log in users.items()}


def sampled(logs: Iterator[UserLog]) -> list[UserLog]:
    """Take the first users of `logs`, whose words decide language and legend; of a huge user only the beginning."""
    sample: list[UserLog] = []
    behaviors = 0
    for log in islice(logs, _LEGEND_USERS):
        sample.append(replace(log, behaviors=log.behaviors[:_LEGEND_BEHAVIORS]))
        behaviors += len(log.behaviors)
        if behaviors >= _LEGEND_BEHAVIORS:
            break
    return sample


def prompt_language(texts: Iterable[str]) -> Language:
    """Return "zh" if more than one in ten letters of the sample is Chinese, else "en"."""
    letters = chinese = 0
    for text in texts:
        letters += sum(map(str.isalpha, text))
        chinese += len(_CJK.findall(text))
    return "zh" if chinese > _CHINESE_SHARE * letters else "en"
