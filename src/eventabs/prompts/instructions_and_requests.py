"""The request for a batch: the instructions with a worked example, the users' blocks, and the grammar of an answer."""

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, asdict, dataclass, replace
from datetime import date, datetime
from functools import cache, cached_property
from itertools import accumulate, chain, islice, pairwise, starmap
from math import ceil
from pathlib import Path
from string import Template
from typing import Any, Final, NamedTuple

import orjson

from eventabs.errors_and_exit_codes import ConfigError
from eventabs.interface_language import Language, gettext as _
from eventabs.prompts.compact_lines import CODES, CONVERSION, Compactor, JourneyLines, make_legend, quoted
from eventabs.prompts.packing import BatchLimits, lower_bound
from eventabs.prompts.tokens import TokenCounter
from eventabs.setting_choices import AnswerForm, Compaction, Detail
from eventabs.shared_records import (
    SAME,
    Behavior,
    Category,
    Example,
    JourneyKind,
    Message,
    PartSize,
    Record,
    Request,
    UserLog,
    Vocabulary,
    rows_in,
)

VERSION: Final = "3"  # version of the shipped rules; it binds runs with a model
# of a user in an answer by schema
KEYS: Final[Mapping[Detail, tuple[str, ...]]] = {
    "day": ("user", "journeys", "events", "minor"),
    "fine": ("user", "journeys", "events"),
    "journeys": ("user", "journeys"),
}
Steps = Sequence[tuple[str, str]]  # types, each with its groups of rows as an answer writes them: `1-3,5 9?`


class AnsweredUser(NamedTuple):
    """What an answer says of a user. Journeys have kind, name and steps."""

    alias: str
    journeys: Sequence[tuple[str, str, Steps]] = ()
    events: Steps = ()
    minor: str = ""  # groups of rows

    @property
    def steps(self) -> list[tuple[str, str]]:
        """The steps of journeys, and the events."""
        return [*chain.from_iterable(steps for _kind, _name, steps in self.journeys), *self.events]


class Instructions(Record, kw_only=True):
    """The parts of the system message. `text` raises ConfigError if a placeholder or an example is wrong."""

    language: Language
    vocabulary: Vocabulary
    answer: AnswerForm = "lines"
    detail: Detail = "day"
    level: Compaction = "line"
    template: str | None = None  # the shipped one
    pause: int = 30  # minutes, 0 for none
    guidance: str = ""
    examples: tuple[Example, ...] = ()
    extends: bool = False  # requests show rows again that earlier answers were about
    links: bool = False  # they ask which journeys are one

    def text(self) -> str:
        """Return the system message."""
        texts, form = _texts(self.language), _texts(self.language)["format"][self.answer]
        guidance = texts["guidance"]["text"].format(guidance=self.guidance) if self.guidance else ""
        if self.links:
            return str(texts["link"]["text"]).format(same=SAME[self.language], guidance=guidance).strip()
        detail = "fine_without_pause" if self.detail == "fine" and not self.pause else self.detail
        told = "".join(form.get(key, "") for key in (*KEYS[self.detail][1:], "groups"))
        values = {
            **self._names(),
            "detail": texts["detail"][detail].strip().format(pause=self.pause, minor=self.vocabulary.minor),
            "format": f"{told}\n{texts['known']['text']}" if self.extends else told,
            "input": texts["input"][self.level].strip(),
            "example": "",  # written last: a fault of the template is told before one of an example
            "guidance": guidance,
        }
        template = Template(_packaged(f"{self.language}.txt") if self.template is None else self.template)
        if not template.is_valid():
            are_valid = [Template(line).is_valid() for line in template.template.split("\n")]
            message = _("prompt template, line {line}: $ starts no placeholder; write $$ for a dollar sign")
            raise ConfigError(message.format(line=1 + are_valid.index(False)))
        named = template.get_identifiers()
        if unknown := [name for name in named if name not in values]:
            message = _("prompt template: ${name} is no placeholder; there are {known}")
            raise ConfigError(message.format(name=unknown[0], known=", ".join(f"${name}" for name in values)))
        is_optional = {"input": self.level == "line", "example": True, "guidance": not self.guidance}
        if missing := [name for name in values if name not in named and not is_optional.get(name)]:
            message = _("prompt template: ${name} is missing; put it where that text belongs")
            raise ConfigError(message.format(name=missing[0]))
        return re.sub(r"\n{3,}", "\n\n", template.substitute(values, example=self._example()).strip())

    def _names(self) -> dict[str, str]:
        """Return the types with their marks, what the marks are for, and the kinds of journeys."""
        known, texts = self.vocabulary, _texts(self.language)["vocabulary"]

        def told(each: Category | JourneyKind) -> str:
            return str(texts["meaning"].format(**asdict(each))) if each.meaning else each.name

        categories = []
        for each in known.categories:
            if each.name == CONVERSION and each.mark and not each.meaning:
                categories.append(texts["conversion"].format(mark=each.mark))
            elif each.mark or each.meaning:
                text = texts["marked" if each.mark else "unmarked"]
                categories.append(text.format(mark=each.mark, category=told(each)))
        types, journeys = map(self._marked, (kind.name for kind in known.types)), map(told, known.journeys)
        kinds = texts["separator"].join(journeys)
        return {
            "types": texts["open" if known.open else "closed"].format(names=texts["separator"].join(types)),
            "categories": "\n".join(categories),
            "journeys": kinds if known.open_journeys else texts["closed"].format(names=kinds),
        }

    def _marked(self, name: str) -> str:
        """Return a type with the mark of its category."""
        category = next((kind.category for kind in self.vocabulary.types if kind.name == name), "")
        marks = {each.name: each.mark for each in self.vocabulary.categories}
        return name + marks.get(category, "")

    def _example(self) -> str:
        """Write the user's examples, else the shipped one if all its names are known, else only the form."""
        texts = _texts(self.language)["example"]
        log, answers = self._own_examples() if self.examples else self._shipped_example()
        if not answers:  # placeholders: names of another vocabulary would mislead
            each = texts["type"]
            events = [] if self.detail == "journeys" else [(each, "1-2,6 8"), (each, "4")]
            journeys = [(texts["kind"], texts["name"], [(each, "3"), (each, "5,9")])]
            answers = [AnsweredUser("U1", journeys, events, "7")]
        shown = f"{texts['input']}\n{log}{texts['output']}" if log else texts["form"]
        return f"{shown}\n{self.written(answers)}"

    def _shipped_example(self) -> tuple[str, list[AnsweredUser]]:
        """Return the log and the answer of the shipped example, none if it has a name that the vocabulary lacks."""
        answers, users = [], _texts(self.language)["example"]["users"]
        for number, user in enumerate(users, 1):
            events = {"day": user["day"], "fine": user["fine"], "journeys": ()}[self.detail]
            answers.append(AnsweredUser(f"U{number}", user["journeys"], events, user["minor"]))
        types = {each.name for each in self.vocabulary.types}
        kinds = {each.name for each in self.vocabulary.journeys}
        foreign = [name for each in answers for name, _groups in each.steps if types and name not in types]
        foreign += [kind for each in answers for kind, _name, _steps in each.journeys if kind not in kinds]
        if foreign:
            return "", []
        # users as in a request, with recurring texts as a legend
        logs = [_log(user) for user in users]
        uses = Compactor(self.language, level=self.level).texts(logs).most_common()
        repeated = [text for text, count in uses if count > 1 and self.level != "line"]
        legend = dict(zip(CODES, repeated, strict=False))
        compactor = Compactor(self.language, level=self.level, legend=legend)
        return compactor.legend() + "".join(_blocks(compactor, logs)), answers

    def _own_examples(self) -> tuple[str, list[AnsweredUser]]:
        """Return the user's examples as the log of one request, whose rows are numbered through, and its answer."""
        logs, answers, rows = list[str](), list[AnsweredUser](), 0
        for number, example in enumerate(self.examples, 1):
            try:
                answer = _example_answer(example, rows, self.vocabulary, self.detail)
                log, own = _example_log(example, rows, self.level)
                _check_answer(answer, self.vocabulary, self.detail, range(rows + 1, rows + own + 1))
            except ValueError as fault:
                message = _("prompt.examples, number {number}: {fault}")
                raise ConfigError(message.format(number=number, fault=fault)) from None
            answers.append(answer._replace(alias=f"U{number}"))
            logs.append(f"## U{number}\n{log}")
            rows += own
        return "".join(logs), answers

    def written(self, users: Iterable[AnsweredUser]) -> str:
        """Write an answer in the form that is asked for, each type with the mark of its category."""

        def listed(steps: Steps) -> list[dict[str, str]]:
            return [{"type": self._marked(name), "rows": rows} for name, rows in steps]

        colon, semicolon = ("：", "；") if self.language == "zh" else (": ", "; ")
        lines, objects = list[str](), list[dict[str, object]]()
        for user in users:
            lines.append(f"## {user.alias}")
            journeys, events = [], listed(user.events)
            for kind, name, steps in user.journeys:
                journeys.append({"kind": kind, "name": name, "steps": listed(steps)})
                told = semicolon.join(" ".join(step.values()) for step in listed(steps))
                lines.append(f"> {kind} {name}{colon}{told}")
            lines += (" ".join(event.values()) for event in events)
            lines += [f"{self.vocabulary.minor} {user.minor}"] if user.minor and self.detail == "day" else []
            values = user.alias, journeys, events, user.minor
            objects.append(dict(zip(KEYS[self.detail], values, strict=False)))
        if self.answer == "schema":
            return orjson.dumps({"users": objects}).decode()
        return "\n".join([*lines, "##"])


# Own examples are read strictly: a wrong one would teach every call of a run.

_DAY: Final = r"#\s*(?:(\d{4})-)?(\d{2})-(\d{2})\b.*"
_LINE: Final = r"(?:(\d+) )?([01]\d|2[0-3]):([0-5]\d) (\S.*?)(?: (?=\d)(?:(\d+)h)?(?:(\d+)m)?)?"
_GROUP: Final = r"(?:\d+(?:-\d+)?,)*\d+(?:-\d+)?\??"
_STEP: Final = rf"(.+?) ({_GROUP}(?: {_GROUP})*)"
_JOURNEY: Final = r">([^:：]+)[:：](.+)"


def _example_log(example: Example, before: int, level: Compaction) -> tuple[str, int]:
    """Return the log of an example, its rows numbered behind N before, and how many there are. Raises ValueError for a wrong line."""
    log, rows, year = "", 0, 0
    for line in filter(None, map(str.strip, example.log.splitlines())):
        told = ""
        if day := re.fullmatch(_DAY, line):
            with suppress(ValueError):
                year, told = date(int(day[1] or year), int(day[2]), int(day[3])).year, line
        elif (found := re.fullmatch(_LINE, line)) and year and int(found[1] or rows + 1) == rows + 1:
            rows += 1
            _number, hour, minute, text, hours, minutes = found.groups(default="0")
            duration = 60 * int(hours) + int(minutes)
            dense = f"{int(hour)}{minute} {text}" + (f" {duration}" if duration else "")
            told = f"{before + rows} {dense if level == 'dense' else line[found.start(2) :]}"
        if not told:
            fault = _("log has the line {line}; write # 2087-03-03, then 1 08:05 ...")
            raise ValueError(fault.format(line=line))
        log += f"{told}\n"
    if not rows:
        raise ValueError(_("log has no lines; write # 2087-03-03, then 1 08:05 ..."))
    return log, rows


def _example_answer(example: Example, before: int, vocabulary: Vocabulary, detail: Detail) -> AnsweredUser:
    """Read the answer of an example, its rows numbered behind N before. Raises ValueError for a line that is none."""

    def numbered(row: re.Match[str]) -> str:
        return str(before + int(row[0][:12]))  # int refuses a text of thousands

    journeys: list[tuple[str, str, Steps]] = []
    events: list[tuple[str, str]] = []
    minor: list[str] = []
    for line in filter(None, map(str.strip, example.events.splitlines())):
        if line.startswith("##"):
            continue
        journey = re.fullmatch(_JOURNEY, line)
        listed = re.split("[;；]", journey[2] if journey else line)
        found = [re.fullmatch(_STEP, each.strip()) for each in listed]
        steps = [(each[1], re.sub(r"\d+", numbered, each[2])) for each in found if each]
        head = journey[1].strip() if journey else ""
        # the longest kind that is known, else the first word
        known = (each.name for each in vocabulary.journeys if head.startswith(f"{each.name} "))
        kind = max(known, key=len, default=head.partition(" ")[0])
        name = head[len(kind) :].strip()
        is_plain = not line.startswith(">") and detail != "journeys"
        if len(steps) < len(found) or not (name or is_plain):
            fault = _("events has the line {line}; write type 1-3,5 9 or > kind name: type 2; type 4")
            raise ValueError(fault.format(line=line))
        if journey:
            journeys.append((kind, name, steps))
        elif detail == "day" and steps[0][0] == vocabulary.minor:
            minor.append(steps[0][1])
        else:
            events += steps
    return AnsweredUser("U1", journeys, events, " ".join(minor))


def _check_answer(answer: AnsweredUser, vocabulary: Vocabulary, detail: Detail, rows: range) -> None:
    """Raise ValueError for a name that a closed vocabulary lacks, and a row of the log that does not stand once."""
    types = {each.name + category.mark for each in vocabulary.types for category in vocabulary.categories}
    foreign = sorted({name for name, _groups in answer.steps} - types)
    if types and foreign and not vocabulary.open:
        raise ValueError(_("{type} is no type of the vocabulary").format(type=foreign[0]))
    kinds = {each.name for each in vocabulary.journeys}
    foreign = sorted({kind for kind, _name, _steps in answer.journeys} - kinds)
    if foreign and not vocabulary.open_journeys:
        raise ValueError(_("{kind} is no kind of journey in the vocabulary").format(kind=foreign[0]))
    groups = " ".join([*(groups for _type, groups in answer.steps), answer.minor])
    outside = [row for row in map(int, re.findall(r"\d+", groups)) if row not in rows]
    placed = Counter(outside or rows_in(re.sub("[,?]", " ", groups)))  # one that ends far off stays folded
    wanted = {*placed, *(rows if detail != "journeys" else ())}
    for row in sorted(wanted, key=lambda row: (row in rows, row)):  # first what names no row of the log
        if placed[row] != 1 or row not in rows:
            fault = _(
                "row {row} stands {count} times in events, and the log has {rows} rows; write each of them once"
            )
            place = row - rows.start + 1
            raise ValueError(fault.format(row=place, count=placed[row], rows=len(rows)))


def _blocks(compactor: Compactor, logs: Iterable[UserLog]) -> list[str]:
    """Return the pieces of the blocks of a request, whose rows are numbered through."""
    pieces, first = list[str](), 1
    for number, log in enumerate(logs, 1):
        pieces += compactor.block(f"U{number}", log, first)
        first += len(log.behaviors)
    return pieces


def _log(user: Mapping[str, Any]) -> UserLog:
    behaviors = [Behavior(datetime.fromisoformat(start), *fields) for start, *fields in user["behaviors"]]
    return UserLog("", tuple(behaviors), tuple((column, value) for column, value in user["profile"]))


def made_up_day(language: Language) -> tuple[Behavior, ...]:
    """Return what somebody does on a day, which is not in the worked example."""
    return _log(_texts(language)["made_up"]).behaviors


@cache
def _texts(language: Language) -> dict[str, Any]:
    return tomllib.loads(_packaged(f"{language}.toml"))


def _packaged(name: str) -> str:
    return Path(__file__).parent.joinpath("templates", name).read_text("utf-8")


# What an answer may say, for servers that enforce it: a grammar or a JSON schema, made for one batch.
#
# Grammars are in GBNF, which llama.cpp takes and so does XGrammar, the usual backend of vLLM and SGLang:
# https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md. They bind a user's rows to that user's numbers,
# and cannot say that each stands once. A user has at most as many numbers in journeys, in events and in minor rows
# each as there are rows: without a bound a small model repeats itself until its tokens end.

MOST_LETTERS: Final = 12  # of a word of a type or kind that is not in the vocabulary
MOST_WORDS: Final = 3
MOST_CHARACTERS: Final = 40  # of a journey's name
_MOST_REPEATED: Final = 2_000  # llama.cpp takes no more

# of a name: no blanks, bars, colons, semicolons, control, bidi or invisible characters; llguidance cannot read \u061c as an escape
_SIGN: Final = (
    "[^\\x00-\\x20:;|\\x7f-\\xa0\\xa6\\xad\u061c"
    r"\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u206f\u2502\u3000\ufeff\uff1a\uff1b\uff5c\ufff9-\uffff]"
)
# of a type that is not in the vocabulary; as characters, since patterns in JSON know no other escapes
_LETTER: Final = (
    "[a-zA-Z\u00c0-\u024f\u0370-\u05ff\u0620-\u0fff\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3]"
)
_WORD: Final = f"{_LETTER}{{1,{MOST_LETTERS}}}"
_WORDS: Final = f"{_WORD}( {_WORD}){{0,{MOST_WORDS - 1}}}"
_SHARED: Final = rf"""name ::= sign (" "? sign){{0,{MOST_CHARACTERS - 1}}}
sign ::= {_SIGN}
words ::= word (" " word){{0,{MOST_WORDS - 1}}}
word ::= letter{{1,{MOST_LETTERS}}}
letter ::= {_LETTER}
colon ::= ": " | "："
semicolon ::= "; " | "；"
"""


def grammar(users: Mapping[str, range], vocabulary: Vocabulary, detail: Detail) -> str:
    """Return the GBNF of answers in lines: all users in order, each with rows of its own, by alias."""
    marks = [quoted(category.mark) for category in vocabulary.categories if category.mark]
    mark = f" ({' | '.join(marks)})?" if marks else ""
    types, kinds = (" | ".join(each) for each in _choices(vocabulary, quoted, "words"))
    rules = [f'root ::= {" ".join(f"u{number}" for number in range(1, len(users) + 1))} "##" "\\n"?']
    for number, (alias, rows) in enumerate(users.items(), 1):
        u, more = f"u{number}", f"{{0,{min(len(rows), _MOST_REPEATED) - 1}}}"
        body = {
            "day": f"({u}j {u}e? {u}m? | {u}e {u}m? | {u}m)",
            "fine": f"({u}j {u}e? | {u}e)",
            "journeys": f"{u}j?",
        }[detail]
        group = f'"," {u}r | "?"? " " {u}r'
        rules += [
            f'{u} ::= {quoted(f"## {alias}")} "\\n" {body}',
            f'{u}j ::= "> " kind " " name colon type " " {u}r ({u}s){more} "?"? "\\n"',
            f'{u}s ::= {group} | "?"? (semicolon | "\\n> " kind " " name colon) type " " {u}r',
            f'{u}e ::= type " " {u}r ({group} | "?"? "\\n" type " " {u}r){more} "?"? "\\n"',
            f'{u}m ::= {quoted(vocabulary.minor)} " " {u}r (("," | " ") {u}r){more} "\\n"',
            f'{u}r ::= {u}n ("-" {u}n)?',
            f"{u}n ::= {' | '.join(_numbers(rows, quoted))}",
        ]
    return "\n".join([*rules, f"type ::= ({types}){mark}", f"kind ::= {kinds}", _SHARED])


def _choices(vocabulary: Vocabulary, literal: Callable[[str], str], words: str) -> Iterator[list[str]]:
    """Yield the patterns of types, and of kinds of journeys; `words`: that of what the vocabulary does not have."""
    for known, is_open in (
        (vocabulary.types, vocabulary.open),
        (vocabulary.journeys, vocabulary.open_journeys),
    ):
        yield [*(literal(each.name) for each in known), *([words] if is_open or not known else [])]


def _numbers(rows: range, literal: Callable[[str], str]) -> Iterator[str]:
    """Yield patterns that together match the row numbers; digits in front are written by `literal`."""
    first = rows.start
    while first < rows.stop:
        size = 1
        while first % (10 * size) == 0 and first + 10 * size <= rows.stop:
            size *= 10
        digit = first // size % 10
        last = min(9, digit + (rows.stop - first) // size - 1)
        front = literal(str(first // (10 * size))) if first >= 10 * size else ""
        yield f"{front} [{digit}-{last}]{' [0-9]' * (len(str(size)) - 1)}".strip()
        first += (last - digit + 1) * size


def _plain(text: str) -> str:
    """Write a text as a pattern: of the dialects of JSON Schema, some take no escapes that need not be."""
    return re.sub(r"([\\^$.*+?()\[\]{}|])", r"\\\1", text)


def schema(users: Mapping[str, range], vocabulary: Vocabulary, detail: Detail) -> dict[str, Any]:
    """Return the `response_format` of answers by schema: all users in order, each with rows of its own, by alias."""
    marks = "|".join(_plain(each.mark) for each in vocabulary.categories if each.mark)
    types, kinds = ("|".join(each) for each in _choices(vocabulary, _plain, _WORDS))
    mark = f"({marks})?" if marks else ""
    name = {"type": "string", "minLength": 1, "maxLength": MOST_CHARACTERS}
    items = []
    for alias, rows in users.items():
        number = f"({'|'.join(each.replace(' ', '') for each in _numbers(rows, str))})"
        span = f"{number}(-{number})?"
        more = f"{{0,{min(len(rows), _MOST_REPEATED) - 1}}}"
        groups = _text(rf"^{span}(,{span}|\?? {span}){more}\??$")
        minor = _text(rf"^({span}([, ]{span}){more})?$")
        step = _object(type={"$ref": "#/$defs/type"}, rows=groups)
        steps = _array(step, maxItems=24, minItems=1)
        journey = _object(kind={"$ref": "#/$defs/kind"}, name=name, steps=steps)
        journeys, events = _array(journey, maxItems=12), _array(step, maxItems=48)
        items.append(_user(detail, {"enum": [alias]}, journeys, events, minor))
    listed = {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    definitions = {"type": _text(f"^({types}){mark}$"), "kind": _text(f"^({kinds})$")}
    return _format(detail, {**_object(users=listed), "$defs": definitions})


def response_format(answer: AnswerForm, detail: Detail) -> dict[str, Any] | None:
    """Return the `response_format` of the form, whoever is asked about; None if it has none."""
    if answer != "schema":
        return None
    text = {"type": "string"}
    steps = _array(_object(type=text, rows=text))
    journeys = _array(_object(kind=text, name=text, steps=steps))
    return _format(detail, _object(users=_array(_user(detail, text, journeys, steps, text))))


def _user(detail: Detail, *values: dict[str, Any]) -> dict[str, Any]:
    return _object(**dict(zip(KEYS[detail], values, strict=False)))


def _format(detail: Detail, form: dict[str, Any]) -> dict[str, Any]:
    name = "journeys" if detail == "journeys" else "events"
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": form}}


def _text(pattern: str) -> dict[str, Any]:
    return {"type": "string", "pattern": pattern}


def _array(items: dict[str, Any], **limits: int) -> dict[str, Any]:
    return {"type": "array", "items": items, **limits}


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
_LEGEND_BEHAVIORS = 100_000  # behaviors of these users, which are kept in memory; no further user then
_CHINESE_SHARE = 0.1  # brands and apps have Latin names in Chinese exports too
_CJK = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
_TOKENS_A_USER = 8
# a large model takes 3.1 to 3.2 as lines, of which 0.8 to 1.0 for journeys, and 4.2 to 4.4 as JSON (docs/prompts.md)
_TOKENS_A_ROW: dict[AnswerForm, float] = {"lines": 3.5, "schema": 5.0}
_OF_JOURNEYS: dict[AnswerForm, float] = {"lines": 1.5, "schema": 2.5}


@dataclass(eq=False)
class PromptBuilder:
    """Writes prompts of one kind. Raises ConfigError if the instructions' template is wrong.

    The `legend` (texts by code, see `legend_for`) is in every request, used or not: so a part costs the
    same in any batch, and requests begin with the same bytes, as prefix caches need.
    """

    instructions: Instructions
    _: KW_ONLY
    counter: TokenCounter
    strip: Sequence[str] = ()
    legend: Mapping[str, str] | None = None
    constrained: bool = False  # a request has a grammar or a tight schema of what its answer may contain

    def __post_init__(self) -> None:
        given, count = self.instructions, self.counter.count
        compactor = JourneyLines if given.links else Compactor
        self.compactor = compactor(given.language, self.strip, level=given.level, legend=self.legend)
        self._system: Message = {"role": "system", "content": given.text()}
        self.vocabulary = given.vocabulary
        self._more = 0  # tokens of each part, beyond its block
        self.alias = max(_ALIASES, key=count)
        self._legend = self.compactor.legend()  # as text
        self.legend_tokens = count(self._legend)
        self.instructions_tokens = count(self._system["content"]) + CHAT_FRAMING_TOKENS + self.legend_tokens

    @cached_property
    def linking(self) -> "PromptBuilder":
        """The builder of linking calls, whose logs have journeys in place of behaviors. Answers are always in lines."""
        linking = PromptBuilder(replace(self.instructions, links=True, answer="lines"), counter=self.counter)
        # batches are planned as if they had the instructions of other calls
        linking._more = max(0, linking.instructions_tokens - self.instructions_tokens)
        return linking

    def legend_for(self, logs: Sequence[UserLog], limits: BatchLimits) -> dict[str, str]:
        """Return the legend that shortens batches of such users most."""
        batches, _bound = lower_bound(list(map(self.measure, logs)), limits)
        return make_legend(self.compactor.texts(logs), 1 / max(1, batches), self.counter.count)

    def measure(self, log: UserLog) -> PartSize:
        """Count the tokens of the log's block without row numbers exactly, and estimate those of its answer."""
        rows = len(log.behaviors)
        tokens = self.counter.total(self.compactor.block(self.alias, log)) + self.counter.seam + self._more
        return PartSize(tokens, self.expected_tokens(rows), rows)

    def expected_tokens(self, rows: int) -> int:
        """Return the expected tokens of an answer about a user with N rows."""
        tokens = _OF_JOURNEYS if self.instructions.detail == "journeys" else _TOKENS_A_ROW
        return _TOKENS_A_USER + ceil(rows * tokens[self.instructions.answer])

    def request(self, logs: Sequence[UserLog], *, max_output_tokens: int) -> Request:
        """Write the request for logs that have only the rows to show. Aliases are U1, U2, ...; the rows are numbered from 1 through all users."""
        pieces = _blocks(self.compactor, logs)
        users = {f"U{number}": log for number, log in enumerate(logs, 1)}
        answer, detail = self.instructions.answer, self.instructions.detail
        form, rules = response_format(answer, detail), ""
        if self.constrained:
            ends = accumulate((len(log.behaviors) for log in logs), initial=1)
            bound = dict(zip(users, starmap(range, pairwise(ends)), strict=True)), self.vocabulary, detail
            form, rules = (schema(*bound), "") if answer == "schema" else (None, grammar(*bound))
        blocks: Message = {"role": "user", "content": self._legend + "".join(pieces)}
        tokens = self.instructions_tokens + self.counter.total(pieces)
        return Request((self._system, blocks), users, tokens, max_output_tokens, form, rules)


def sampled(logs: Iterator[UserLog]) -> list[UserLog]:
    """Take the first users of `logs`, whose words decide language and legend; of a huge user only the beginning."""
    sample: list[UserLog] = []
    behaviors = 0
    for log in islice(logs, 500):
        sample.append(log._replace(behaviors=log.behaviors[:_LEGEND_BEHAVIORS]))
        behaviors += len(log.behaviors)
        if behaviors >= _LEGEND_BEHAVIORS:
            break
    return sample


def prompt_language(texts: Iterable[str]) -> Language:
    """Return "zh" if more than one in ten letters of the sample is Chinese, else "en"."""
    sample = "".join(texts)
    chinese = len(sample) - len(_CJK.sub("", sample))
    return "zh" if chinese > _CHINESE_SHARE * sum(map(str.isalpha, sample)) else "en"
