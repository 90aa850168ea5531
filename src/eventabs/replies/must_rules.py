"""The rules that must hold: which behaviors they are about, and which events must cover these.

The first rule that a behavior meets applies to it: the user's, then that of its action, where the export itself names one that is a
conversion. A behavior that is in no event that its rule wants becomes one of its own.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from eventabs.shared_records import MAX_CHARACTERS, Behavior

# Returns the texts that match a regular expression anywhere.
Search = Callable[[str, Collection[str]], Collection[str]]


@dataclass(frozen=True, slots=True)
class TextCondition:
    """A text meets it if it equals one of `texts` regardless of case, or matches `regex` anywhere."""

    texts: tuple[str, ...] = ()
    regex: str = ""

    def met(self, values: Iterable[str], search: Search) -> set[str]:
        """Return the values that meet the condition. Only the beginning that prompts have counts."""
        shown = {value: value[:MAX_CHARACTERS] for value in set(values)}
        wanted = {text[:MAX_CHARACTERS].casefold() for text in self.texts}
        found = search(self.regex, {*shown.values()}) if self.regex else ()
        return {value for value, text in shown.items() if text.casefold() in wanted or text in found}


@dataclass(frozen=True, slots=True)
class MustRule:
    """A behavior that meets all conditions must be covered by an event of `type` and `category`; "": of any.

    `conditions` are named action, item, place and text (these three as one). Durations are in seconds; a behavior without
    one meets no condition on it. `added`: type and category of an event that the rule adds. `no_sentences`: what a sentence says
    is a guess.
    """

    conditions: Mapping[str, TextCondition]
    type: str
    category: str
    added: tuple[str, str]
    min_duration: float | None = None
    max_duration: float | None = None
    no_sentences: bool = False

    def met_by(self, behaviors: Sequence[Behavior], search: Search) -> list[int]:
        """Return the positions of the behaviors that meet all conditions."""
        places = list(range(len(behaviors)))
        for name, condition in self.conditions.items():
            values = [_value(behaviors[place], name) for place in places]
            right = condition.met(values, search)
            places = [place for place, value in zip(places, values, strict=True) if value in right]
        if self.min_duration is not None or self.max_duration is not None:
            least, most = self.min_duration or 0, inf if self.max_duration is None else self.max_duration
            lasting = ((place, behaviors[place].duration) for place in places)
            places = [place for place, seconds in lasting if seconds is not None and least <= seconds <= most]
        return [place for place in places if not (self.no_sentences and behaviors[place].text)]

    def is_kept_by(self, kind: str, category: str) -> bool:
        """Whether an event of a type and category is what the rule wants."""
        return self.type.casefold() in ("", kind.casefold()) and self.category in ("", category)


class MustRules:
    """All rules of a run. `search` matches regular expressions in bounded time."""

    def __init__(self, rules: Sequence[MustRule] = (), search: Search = lambda _regex, _texts: ()) -> None:
        self._rules = tuple(rules)
        self._search = search

    def naming(self, action: str) -> MustRule | None:
        """Return the first rule with a condition on actions that this one meets."""
        conditions = ((rule, rule.conditions.get("action", TextCondition())) for rule in self._rules)
        return next((rule for rule, each in conditions if each.met([action], self._search)), None)

    def required(self, behaviors: Sequence[Behavior]) -> dict[int, MustRule]:
        """Return the positions of behaviors that a rule is about, in order, each with the first rule that it meets."""
        required: dict[int, MustRule] = {}
        for rule in self._rules:
            for position in rule.met_by(behaviors, self._search):
                required.setdefault(position, rule)
        return dict(sorted(required.items()))


def _value(behavior: Behavior, name: str) -> str:
    if name == "text":
        return " ".join(filter(None, (behavior.action, behavior.item, behavior.place)))
    return str(getattr(behavior, name))
