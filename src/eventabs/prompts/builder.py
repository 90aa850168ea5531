"""The request for a batch: a system message with instructions and a worked example, and the users' blocks."""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from importlib import resources
from string import Template
from typing import Any

from eventabs.errors import ConfigError
from eventabs.language import Language, gettext as _
from eventabs.prompts.compaction import CODES, Compactor, make_legend
from eventabs.prompts.expected_output import AnsweredEvent, expected_output_tokens, response_format, written
from eventabs.prompts.packing import BatchLimits
from eventabs.prompts.tokens import TokenCounter
from eventabs.records import (
    AnswerForm,
    Behavior,
    Compaction,
    Detail,
    EventType,
    Message,
    PartSize,
    Request,
    UserLog,
    Vocabulary,
)

# What a chat format adds to two messages: 4 tokens each, and 3 before the answer (OpenAI's cookbook,
# "How to count tokens with tiktoken").
CHAT_FRAMING_TOKENS = 11

_ALIASES = ("U9", "U99", "U999")  # one of them costs as much as any; in OpenAI's encodings all cost the same
_CHINESE_SHARE = 0.1  # names of brands and apps are Latin in Chinese exports too
_CJK = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
REQUIRED = ("types", "categories", "detail", "format")
PLACEHOLDERS = (*REQUIRED, "input", "example")


class PromptBuilder:
    """Writes prompts of one kind. Raises ConfigError where `template` does not hold.

    The `legend` (texts by code, see `legend_for`) stands in every request, used or not: so a part costs the
    same in any batch, and requests begin with the same bytes, which prefix caches want.
    """

    def __init__(
        self,
        *,
        counter: TokenCounter,
        language: Language,
        template: str | None,
        vocabulary: Vocabulary,
        answer: AnswerForm,
        detail: Detail,
        strip: Sequence[str] = (),
        level: Compaction = "line",
        legend: Mapping[str, str] | None = None,
    ) -> None:
        self.counter = counter
        self.answer: AnswerForm = answer
        self.detail: Detail = detail
        self.strip = tuple(strip)
        self.compactor = Compactor(language, strip, level=level, legend=legend)
        self._system: Message = {
            "role": "system",
            "content": system_message(template, language, vocabulary, answer, detail, level=level),
        }
        self._response_format = response_format(answer)
        self._alias = max(_ALIASES, key=counter.count)
        self.legend_tokens = counter.count(self.compactor.legend())
        self.instructions_tokens = (
            counter.count(self._system["content"]) + CHAT_FRAMING_TOKENS + self.legend_tokens
        )

    def legend_for(self, logs: Sequence[UserLog], limits: BatchLimits) -> dict[str, str]:
        """Return the legend that shortens batches of users like these most."""
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
        """Count the tokens of the log's block, exactly, and estimate those of the answer about it."""
        return PartSize(
            self.counter.total(self.compactor.block(self._alias, log)) + self.counter.seam,
            expected_output_tokens(log.behaviors, self.detail, self.answer),
        )

    def header_tokens(self, log: UserLog) -> int:
        """Count the tokens of what stands above the log's days."""
        return self.counter.total(self.compactor.header(self._alias, log))

    def request(self, logs: Sequence[UserLog], *, max_output_tokens: int) -> Request:
        """Write the request for some logs, each already cut to its part: aliases U1, U2, ... in order."""
        users = {f"U{number}": log for number, log in enumerate(logs, 1)}
        pieces = [piece for alias, log in users.items() for piece in self.compactor.block(alias, log)]
        return Request(
            messages=(self._system, {"role": "user", "content": self.compactor.legend() + "".join(pieces)}),
            users=users,
            input_tokens=self.instructions_tokens + self.counter.total(pieces),
            max_output_tokens=max_output_tokens,
            response_format=self._response_format,
        )


def prompt_language(texts: Iterable[str]) -> Language:
    """Return "zh" where more than one in ten letters of the sample is Chinese, else "en"."""
    letters = chinese = 0
    for text in texts:
        letters += sum(map(str.isalpha, text))
        chinese += len(_CJK.findall(text))
    return "zh" if chinese > _CHINESE_SHARE * letters else "en"


def system_message(
    template: str | None,
    language: Language,
    vocabulary: Vocabulary,
    answer: AnswerForm,
    detail: Detail,
    *,
    level: Compaction = "line",
) -> str:
    """Fill the user's template, or the one that ships. Raises ConfigError where a placeholder is wrong."""
    texts = tomllib.loads(_packaged(f"{language}.toml"))
    required = REQUIRED if level == "line" else (*REQUIRED, "input")
    filled = _checked(_packaged(f"{language}.txt") if template is None else template, required).substitute(
        input=texts["input"][level].strip(),
        types=_types(texts["vocabulary"], vocabulary, answer),
        categories=_categories(texts["vocabulary"], vocabulary, answer),
        detail=texts["detail"][detail],
        format=texts["format"][answer].strip(),
        example=_example(texts["example"], language, vocabulary, answer, level),
    )
    return filled.strip()


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


def _types(texts: Mapping[str, Any], vocabulary: Vocabulary, answer: AnswerForm) -> str:
    """List the types, each with its category as the form of the answer shows it."""
    marked = [category for category in vocabulary.categories if category.mark]
    shown = {
        category.name: category.mark if answer == "lines" else f"({category.name})" for category in marked
    }
    names = [kind.name + shown.get(kind.category, "") for kind in vocabulary.types]
    return str(texts["open" if vocabulary.open else "closed"]).format(types=texts["separator"].join(names))


def _categories(texts: Mapping[str, Any], vocabulary: Vocabulary, answer: AnswerForm) -> str:
    """Describe how the form of the answer shows each category, and what it means."""
    descriptions = []
    for category in vocabulary.categories:
        name = category.name
        if meaning := category.meaning or texts["meanings"].get(name):
            name = texts["meaning"].format(category=name, meaning=meaning)
        form = "named" if answer != "lines" else "mark" if category.mark else "unmarked"
        descriptions.append(texts[form].format(category=name, mark=category.mark))
    return str(texts["between"]).join(descriptions)


def _example(
    texts: Mapping[str, Any],
    language: Language,
    vocabulary: Vocabulary,
    answer: AnswerForm,
    level: Compaction,
) -> str:
    """Write some users as they would be sent, texts that come twice as a legend, and the answer to them."""
    logs = [_log(user) for user in texts["users"]]
    uses = Compactor(language).texts(logs).most_common()
    repeated = [text for text, count in uses if count > 1 and level != "line"]
    compactor = Compactor(language, level=level, legend=dict(zip(CODES, repeated, strict=False)))
    sent = [compactor.legend()]
    answers = []
    for number, (log, user) in enumerate(zip(logs, texts["users"], strict=True), 1):
        alias = f"U{number}"
        sent += compactor.block(alias, log)
        answers.append((alias, _events(user["events"], vocabulary)))
    return "\n".join((texts["input"], "".join(sent) + texts["output"], written(answers, answer)))


def _log(user: Mapping[str, Any]) -> UserLog:
    behaviors = [Behavior(datetime.fromisoformat(start), *fields) for start, *fields in user["behaviors"]]
    return UserLog("", tuple(behaviors), tuple((column, value) for column, value in user["profile"]))


def _events(rows: Sequence[Sequence[str]], vocabulary: Vocabulary) -> list[AnsweredEvent]:
    """Read the example's events; types that the vocabulary lacks give way to types that it has."""
    known = {kind.name: kind for kind in vocabulary.types}
    marks = {category.name: category.mark for category in vocabulary.categories}
    events = []
    for position, (start, end, name, summary) in enumerate(rows):
        stand_in = vocabulary.types[position % len(known)] if known else EventType(name)
        kind = known.get(name, stand_in)
        category = kind.category or vocabulary.default_category
        times = datetime.fromisoformat(start), datetime.fromisoformat(end)
        events.append(AnsweredEvent(*times, kind.name, category, marks[category], summary))
    return events
