"""Rules ready to use: which type of event a behavior belongs to, and how names are cleaned up."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from eventabs.language import Language
from eventabs.llm.rules_file import Replacement, Rule, TypeTable, read_rules_file
from eventabs.records import Behavior

JOINERS = "\u200c\u200d"  # what holds emoji and some scripts together
REMEMBERED = 50_000  # classified behaviors and cleaned names: most exports repeat theirs


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A type of event in the language of the run. `phrase` has one {} for the names."""

    key: str
    name: str
    category: str
    theme: str
    weight: float
    alone: bool
    phrase: str


@dataclass(frozen=True, slots=True)
class Limits:
    """How far events are abstracted; see [detail] of the shipped rules file."""

    session_minutes: int
    per_day: int
    most: int
    most_brief: int


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """A rules file, ready to use."""

    language: Language
    limits: Limits
    kinds: Mapping[str, Kind]
    verbs: Mapping[str, str]
    separators: re.Pattern[str] | None
    _classify: Callable[[str, str, str], Kind]
    _clean: Callable[[str], str]

    def kind_of(self, behavior: Behavior) -> Kind:
        """Return the type of the first rule that fits."""
        return self._classify(behavior.action, behavior.item, behavior.place)

    def clean(self, name: str) -> str:
        """Return a name as summaries show it: one line, marks and suffixes gone; never empty unless it was."""
        return self._clean(name)


def shipped_rules() -> str:
    """Return the text of the rules file that ships with the package."""
    return files("eventabs.llm").joinpath("rules.toml").read_text(encoding="utf-8")


def load_rules(text: str, language: Language) -> Rules:
    """Read a rules file. Raises ConfigError that names the key where the text does not hold."""
    file = read_rules_file(text)
    kinds = {key: _kind(key, table, language) for key, table in file.types.items()}
    separators = "|".join(map(re.escape, file.names.separators))
    return Rules(
        language=language,
        limits=Limits(**file.detail.model_dump()),
        kinds=kinds,
        verbs={action: words.in_language(language) for action, words in file.verbs.items()},
        separators=re.compile(separators) if separators else None,
        _classify=_classifier(file.rules, kinds),
        _clean=_cleaner(file.names.replace),
    )


def _kind(key: str, table: TypeTable, language: Language) -> Kind:
    name = table.in_language(language)
    return Kind(
        key=key,
        name=name,
        category=table.category,
        theme=table.theme or name,
        weight=table.weight,
        alone=table.alone,
        phrase=table.phrase.in_language(language),
    )


def _classifier(rules: tuple[Rule, ...], kinds: Mapping[str, Kind]) -> Callable[[str, str, str], Kind]:
    *fitting, last = rules
    ready = [
        (frozenset(rule.actions), _any_of(rule.words), frozenset(map(str.casefold, rule.names)), rule)
        for rule in fitting
    ]

    @lru_cache(maxsize=REMEMBERED)
    def classify(action: str, item: str, place: str) -> Kind:
        both = f"{item}\n{place}"
        wholes = {item.casefold(), place.casefold()}
        for actions, words, names, rule in ready:
            if actions and action not in actions:
                continue
            if not (rule.words or rule.names) or (words and words.search(both)) or wholes & names:
                return kinds[rule.type]
        return kinds[last.type]

    return classify


def _any_of(words: tuple[str, ...]) -> re.Pattern[str] | None:
    """Match any of the words; a Latin edge must not continue as a longer Latin word."""
    if not words:
        return None
    alternatives = "|".join(
        ("(?<![A-Za-z])" if word[0].isascii() and word[0].isalpha() else "")
        + re.escape(word)
        + ("(?![A-Za-z])" if word[-1].isascii() and word[-1].isalpha() else "")
        for word in words
    )
    return re.compile(alternatives, re.IGNORECASE)


def _cleaner(replacements: tuple[Replacement, ...]) -> Callable[[str], str]:
    ready = [(re.compile(step.pattern), step.replacement) for step in replacements]

    @lru_cache(maxsize=REMEMBERED)
    def clean(name: str) -> str:
        one_line = " ".join("".join(c if c.isprintable() or c in JOINERS else " " for c in name).split())
        cleaned = one_line
        for pattern, replacement in ready:
            cleaned = pattern.sub(replacement, cleaned)
        return cleaned.strip() or one_line

    return clean
