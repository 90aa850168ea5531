"""What the words of columns and of actions in exports mean; words.toml lists them."""

import re
import tomllib
import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from eventabs.shared_records import DurationUnit

SEPARATORS: Final = " _-$"
_UNSEPARATED: Final = str.maketrans("", "", SEPARATORS)

_WORDS: Final[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("words.toml").read_text("utf-8"))
_SIMPLIFIED: Final = {ord(pair[0]): pair[1] for pair in _WORDS["traditional"].split()}


def _listed(words: str) -> list[str]:
    return [each if each.isascii() else each.translate(_SIMPLIFIED) for each in words.split()]


_BESIDE: Final[dict[str, set[str]]] = {role: {*_listed(words)} for role, words in _WORDS["beside"].items()}
NEVER: Final[dict[str, set[str]]] = {role: {*_listed(words)} for role, words in _WORDS["never"].items()}
_THERE, _BACK = ({*_listed(words)} for words in _WORDS["there_and_back"].values())
_PREFERRED: Final[dict[str, list[str]]] = {role: words.split() for role, words in _WORDS["preferred"].items()}
StatedUnit = DurationUnit | Literal["ns", "us"]  # the last ones are converted, but no setting names them
_UNITS, _LAST_UNITS = (
    dict[str, StatedUnit]((word, unit) for unit, words in _WORDS[table].items() for word in words.split())
    for table in ("units", "last_units")
)
_BESIDE["duration"].update(_UNITS)
_WEIGHTS: Final = {
    role: {word: float(weight) for weight, words in kinds.items() for word in _listed(words)}
    for role, kinds in _WORDS["roles"].items()
}
_MINOR: Final = 0.7  # beside a word that says more, words of less weight are strange: `pickup_datetime`
ROLES: Final = tuple(_WEIGHTS)
_ALL: Final = {
    *_UNITS,
    *(word for table in (_WEIGHTS, _BESIDE, NEVER) for words in table.values() for word in words),
}
_LONGEST: Final = sorted(_ALL, key=len, reverse=True)  # first
_PIECES: Final = [word for word in _LONGEST if len(word) > 1 or not word.isascii()]
_PHRASES: Final = [each.replace("_", " ") for each in _LONGEST if "_" in each]
# What other words end in, such as `admittime`; of shorter or other words that would be chance.
_ENDS: Final = re.compile(r"(.{2,}?)(time|date|stamp|name|person)")
_PARTS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-zà-öø-ÿ]+|[^\W\d_A-Za-zà-öø-ÿ]+")


def plain(word: str) -> str:
    """Return `word` as words of actions are compared: in lower case and without SEPARATORS."""
    return word.lower().translate(_UNSEPARATED)


def _plain_words(words: str) -> tuple[str, ...]:
    return tuple(map(plain, words.split()))


@cache
def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a column's name in lower case: they change at case, marks, and where known words meet."""
    found: list[str] = []
    # the accents of Latin letters go: usuário is usuario
    without = re.sub("[\u0300-\u036f]", "", unicodedata.normalize("NFD", name.translate(_SIMPLIFIED)))
    for part in _PARTS.findall(unicodedata.normalize("NFC", without).replace("ı", "i")):
        word = part.lower()
        if word in _ALL:
            found.append(word)
        elif word[-1:] == "s" and word[:-1] in _ALL and len(word) > 2:  # noqa: PLR2004
            found.append(word[:-1])
        elif word[-2:] == "es" and word[:-2] in _ALL and len(word) > 5:  # noqa: PLR2004
            found.append(word[:-2])
        elif (known := "|".join(piece for piece in _PIECES if piece in word)) and (
            not word.isascii() or re.fullmatch(f"(?:{known})+", word)
        ):
            found += filter(None, re.split(f"({known})", word))
        elif ended := _ENDS.fullmatch(word):
            found += ended.groups()
        else:
            found.append(word)
    text = " ".join(found)
    if known := "|".join(phrase for phrase in _PHRASES if phrase in text):
        text = re.sub(rf"\b({known})\b", lambda phrase: phrase[0].replace(" ", "_"), text)
    return tuple(text.split())


@cache
def fit(name: str, role: str) -> float:
    """Return how well a column's name fits a role, from 0 to 1."""
    words = words_of(name)
    known = [_WEIGHTS[role][word] for word in words if word in _WEIGHTS[role]]
    if role == "duration" and not known and stated_unit(name):
        known = [0.9]
    if not known or not NEVER.get(role, set()).isdisjoint(words):
        return 0.0
    weights, beside = _WEIGHTS[role], _BESIDE["any"] | _BESIDE.get(role, set())
    # `author_association` is something else of a user, `number_consumers` how many
    is_count = words[0] in ("number", "num") and name[-1:] in "sS"
    if role == "user" and (is_count or words[-1] not in beside | weights.keys()):
        return 0.0
    least = min(max(known), _MINOR)
    strange = sum(word not in beside and weights.get(word, 0.0) < least for word in words)
    # of names that fit alike the plain id of a user wins, and the name of a thing
    mark = _PREFERRED.get(role, [""])
    if "ip" in words and role == "user":
        known = [_WEIGHTS[role]["ip"]]
    better = 0.02 * (mark[0] in words) + 0.01 * (mark[-1] in words)
    return max(known) * 0.7**strange + better - 0.001 * len(words)


def stated_unit(name: str) -> StatedUnit | None:
    """Return the unit in a duration's name, None for any other name: `duration_ms`, `停留时长（分钟）`, `Hours`."""
    words = words_of(name)
    units = [_UNITS[word] for word in (name, *words) if word in _UNITS]  # `time-taken` of IIS is one
    is_named = not _WEIGHTS["duration"].keys().isdisjoint(words[:-1])
    if is_named and not units and words[-1] in _LAST_UNITS:
        return _LAST_UNITS[words[-1]]
    timed = {*_WEIGHTS["duration"], *_BESIDE["duration"]} - _UNITS.keys() - {"time", "on", "时间"}
    counted = [word for word in words if word in _UNITS and (len(word) > 4 or word.endswith("数"))]  # noqa: PLR2004  `mins` may be one thing's
    counted += [word for word in words[2:] if {"time"} & {*words} and _UNITS.get(word) in ("min", "h")]
    is_timed = bool(counted) or not timed.isdisjoint(words)
    return units[-1] if units and is_timed and NEVER["duration"].isdisjoint(words) else None


def is_answered_by(words: Iterable[str], others: Iterable[str]) -> bool:
    """Whether two names differ in the words for there and back only: `date_out` and `date_in`, `loan_date` and `return_date`."""
    first, last = ({*"_".join(each).split("_")} for each in (words, others))
    apart = first ^ last
    return apart == {"in", "out"} or bool(len(apart) == 2 and first & _THERE and last & _BACK)  # noqa: PLR2004  one of each


SHAPES: Final[list[dict[str, Any]]] = _WORDS["shapes"]
LINE_FORMS: Final[list[dict[str, Any]]] = _WORDS["line_forms"]
DATABASES: Final[dict[str, str]] = _WORDS["databases"]
PROFILE_NAMES: Final = {name: tuple(words.split()) for name, words in _WORDS["profiles"].items()}
Action = Literal["visit", "use", "browse", "click", "search", "compare", "cart", "favorite", "purchase"]
ACTION_WORDS: Final[dict[Action, str]] = _WORDS["actions"]
CANONICAL: Final[dict[str, Action]] = {
    word: action for action, words in ACTION_WORDS.items() for word in _plain_words(f"{action} {words}")
}
SENTENCE_VERBS: Final[dict[str, Action]] = _WORDS["sentence_verbs"]
OPENING_VERBS: Final[dict[Action, str]] = _WORDS["opening_verbs"]
FAILURES: Final = _plain_words(_WORDS["results"]["failures"])
UNSUCCESSFUL: Final[list[str]] = _WORDS["results"]["unsuccessful"].split()
FAILURE_SAID: Final[dict[str, str]] = _WORDS["results"]["said"]
EMPTY: Final = frozenset(_WORDS["values"]["empty"])
NOBODY: Final = _WORDS["values"]["nobody"]
PLATFORMS: Final = _plain_words(_WORDS["platforms"]["words"])
MARKERS: Final = tuple(
    (_plain_words(family["begin"]), _plain_words(family["end"])) for family in _WORDS["markers"]
)


def canonical_action(word: str) -> str:
    """Return the action that a word of an export means, the word itself where it is none of them."""
    return CANONICAL.get(plain(word), word)
