"""The user's rules that must hold: which behaviors they are about, which events must cover these, and the events that they add.

The first rule that a behavior meets applies to it. A behavior is missed if no event that owns it is what its rule
wants. An added event owns its behavior alone: the event that owned it loses it, and may be left without
behaviors.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from eventabs.records import MAX_CHARACTERS, Behavior, Event, Part, UserLog
from eventabs.replies.reader import MAX_SUMMARY, covered_times, in_time_order, names_of, one_line

# Returns the texts that match a regular expression anywhere.
Search = Callable[[str, Collection[str]], Collection[str]]


@dataclass(frozen=True, slots=True)
class TextCondition:
    """A text meets it if it equals one of `texts` regardless of case, or matches `regex` anywhere."""

    texts: tuple[str, ...] = ()
    regex: str = ""

    def met(self, values: Sequence[str], search: Search) -> list[bool]:
        """Return whether each value meets the condition. Only the beginning that prompts have counts."""
        values = [value[:MAX_CHARACTERS] for value in values]
        wanted = {text[:MAX_CHARACTERS].casefold() for text in self.texts}
        found = search(self.regex, set(values)) if self.regex else ()
        return [value.casefold() in wanted or value in found for value in values]


@dataclass(frozen=True, slots=True)
class MustRule:
    """A behavior that meets all conditions must be covered by an event of `type` and `category`; "": of any.

    `conditions` are named action, item, place and text (these three as one). Durations are in seconds; a behavior without
    one meets no condition on it. `added`: type and category of an event that the rule adds.
    """

    conditions: Mapping[str, TextCondition]
    type: str
    category: str
    added: tuple[str, str]
    min_duration: float | None = None
    max_duration: float | None = None

    def meets(self, behaviors: Sequence[Behavior], search: Search) -> list[bool]:
        """Return whether each behavior meets all conditions."""
        met = [self._lasts(behavior.duration) for behavior in behaviors]
        for name, condition in self.conditions.items():
            values = [_value(behavior, name) for behavior in behaviors]
            met = [both and one for both, one in zip(met, condition.met(values, search), strict=True)]
        return met

    def is_kept_by(self, event: Event) -> bool:
        """Whether an event is what the rule wants."""
        is_type = not self.type or event.type.casefold() == self.type.casefold()
        return is_type and self.category in ("", event.category)

    def _lasts(self, seconds: int | None) -> bool:
        if self.min_duration is None and self.max_duration is None:
            return True
        if seconds is None:
            return False
        return (self.min_duration or 0) <= seconds and (
            self.max_duration is None or seconds <= self.max_duration
        )


class MustRules:
    """All rules of a run. `search` matches regular expressions in bounded time."""

    def __init__(self, rules: Sequence[MustRule] = (), search: Search = lambda _regex, _texts: ()) -> None:
        self._rules = tuple(rules)
        self._search = search

    def enforced(self, log: UserLog, part: Part, events: Sequence[Event]) -> tuple[Event, ...]:
        """Return the events with one more for each missed behavior.

        `log` holds the behaviors of `part` alone; events point into the whole log.
        """
        missed = self._misses(log, part, events)
        if not missed:
            return tuple(events)
        added = (
            _added(log, index, log.behaviors[index - part.first], rule) for index, rule in missed.items()
        )
        return in_time_order([*_without(log, part, events, missed), *added])

    def _misses(self, log: UserLog, part: Part, events: Iterable[Event]) -> dict[int, MustRule]:
        """Return the log indices of missed behaviors, in order, each with its rule."""
        if not self._rules:
            return {}
        owners = {index: event for event in events for index in event.behaviors}
        missed = {}
        for index, rule in self._required(log.behaviors, part.first):
            owner = owners.get(index)
            if owner is None or not rule.is_kept_by(owner):
                missed[index] = rule
        return missed

    def _required(self, behaviors: Sequence[Behavior], first: int) -> Iterator[tuple[int, MustRule]]:
        met = [rule.meets(behaviors, self._search) for rule in self._rules]
        for position in range(len(behaviors)):
            for rule, meets in zip(self._rules, met, strict=True):
                if meets[position]:
                    yield first + position, rule
                    break


def _value(behavior: Behavior, name: str) -> str:
    if name == "text":
        return " ".join(filter(None, (behavior.action, behavior.item, behavior.place)))
    return str(getattr(behavior, name))


def _added(log: UserLog, index: int, behavior: Behavior, rule: MustRule) -> Event:
    kind, category = rule.added
    start, end = covered_times([behavior])
    summary = one_line(" ".join(filter(None, (behavior.item, behavior.place))), MAX_SUMMARY)
    return Event(
        user_id=log.user_id,
        type=kind,
        category=category,
        start=start,
        end=end,
        summary=summary,
        summary_source="behaviors",
        behaviors=(index,),
        source="must",
    )


def _without(log: UserLog, part: Part, events: Iterable[Event], gone: Collection[int]) -> Iterator[Event]:
    """Yield the events without some behaviors. An event without behaviors keeps its times and is no longer grounded."""
    for event in events:
        left = [index for index in event.behaviors if index not in gone]
        if len(left) == len(event.behaviors):
            yield event
        elif left:
            yield _covering(log, part, event, left)
        else:
            yield event.model_copy(update={"behaviors": (), "grounded": False})


def _covering(log: UserLog, part: Part, event: Event, indices: Sequence[int]) -> Event:
    behaviors = [log.behaviors[index - part.first] for index in indices]
    start, end = covered_times(behaviors)
    changed = {"behaviors": tuple(indices), "start": start, "end": end}
    if event.summary_source == "behaviors":
        changed["summary"] = names_of(behaviors)
    return event.model_copy(update=changed)
