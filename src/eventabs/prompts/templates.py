"""The system message: instructions, vocabulary, answer grammar and a worked example."""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from importlib import resources
from string import Template
from typing import Any

from eventabs.errors import ConfigError
from eventabs.language import Language, gettext as _
from eventabs.prompts.answers import AnsweredEvent, written
from eventabs.prompts.compaction import CODES, Compactor
from eventabs.records import AnswerForm, Behavior, Compaction, Detail, EventType, UserLog, Vocabulary

_CHINESE_SHARE = 0.1  # names of brands and apps are Latin in Chinese exports too
_CJK = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")


def prompt_language(texts: Iterable[str]) -> Language:
    """Return "zh" where more than one in ten letters of the sample is Chinese, else "en"."""
    letters = chinese = 0
    for text in texts:
        letters += sum(map(str.isalpha, text))
        chinese += len(_CJK.findall(text))
    return "zh" if chinese > _CHINESE_SHARE * letters else "en"


REQUIRED = ("types", "categories", "detail", "format")
PLACEHOLDERS = (*REQUIRED, "input", "example")


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
    words = _words(language)
    required = REQUIRED if level == "line" else (*REQUIRED, "input")
    filled = _checked(_packaged(f"{language}.txt") if template is None else template, required).substitute(
        input=words["input"][level].strip(),
        types=_types(words["vocabulary"], vocabulary, answer),
        categories=_categories(words["vocabulary"], vocabulary, answer),
        detail=words["detail"][detail],
        format=words["format"][answer].strip(),
        example=_example(words["example"], language, vocabulary, answer, level),
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


def _words(language: Language) -> Mapping[str, Any]:
    return tomllib.loads(_packaged(f"{language}.toml"))


def _types(words: Mapping[str, Any], vocabulary: Vocabulary, answer: AnswerForm) -> str:
    """List the types, those of a category of their own as the asked form shows it."""
    marks = {category.name: category.mark for category in vocabulary.categories}
    names = []
    for kind in vocabulary.types:
        mark = marks.get(kind.category, "")
        shown = mark if answer == "lines" or not mark else f"({kind.category})"
        names.append(kind.name + shown)
    return str(words["open" if vocabulary.open else "closed"]).format(types=words["separator"].join(names))


def _categories(words: Mapping[str, Any], vocabulary: Vocabulary, answer: AnswerForm) -> str:
    """Say how each category is written in the asked form, and what it means."""
    said = []
    for category in vocabulary.categories:
        name = category.name
        if meaning := category.meaning or words["meanings"].get(name):
            name = words["meaning"].format(category=name, meaning=meaning)
        form = "named" if answer != "lines" else "mark" if category.mark else "unmarked"
        said.append(words[form].format(category=name, mark=category.mark))
    return str(words["between"]).join(said)


def _example(
    words: Mapping[str, Any],
    language: Language,
    vocabulary: Vocabulary,
    answer: AnswerForm,
    level: Compaction,
) -> str:
    """Write some users as they would be sent, and the answer to them as it should be."""
    logs = [_log(user) for user in words["users"]]
    compactor = _example_compactor(logs, language, level)
    sent = [compactor.legend()]
    answers = []
    for number, (log, user) in enumerate(zip(logs, words["users"], strict=True), 1):
        alias = f"U{number}"
        sent += compactor.block(alias, log)
        answers.append((alias, _events(user["events"], vocabulary)))
    return "\n".join((words["input"], "".join(sent) + words["output"], written(answers, answer)))


def _example_compactor(logs: Sequence[UserLog], language: Language, level: Compaction) -> Compactor:
    """Return what writes the example; its legend has every text that comes twice."""
    if level == "line":
        return Compactor(language)
    repeated = [text for text, count in Compactor(language).texts(logs).most_common() if count > 1]
    return Compactor(language, level=level, legend=dict(zip(CODES, repeated, strict=False)))


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
