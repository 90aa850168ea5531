"""The provider that needs no model: events by rules, answered as the text that a model would send."""

import asyncio
from collections.abc import Iterator
from itertools import zip_longest

from eventabs.errors import ConfigError
from eventabs.language import gettext as _
from eventabs.providers.rules.book import Rules
from eventabs.providers.rules.segments import Segment, segments
from eventabs.providers.rules.summary import Summarizer
from eventabs.records import Behavior, Detail, Reply, Request, UserLog, Vocabulary

_LONGEST = 200  # characters of a text, as in a prompt
HALF_A_YEAR = 180  # days; as far ahead as a day without its year is looked for in the next one


class RulesProvider:
    """Answers requests from their users' behaviors. It buys nothing, so its replies use no tokens."""

    def __init__(self, rules: Rules, vocabulary: Vocabulary, detail: Detail = "day") -> None:
        """Raise ConfigError where a type of the rules has a category that the vocabulary lacks."""
        self._rules = rules
        self._detail = detail
        self._marks = _marks(rules, vocabulary)

    async def complete(self, request: Request) -> Reply:
        """Answer with the events of every user in the request, in the `lines` form."""
        lines: list[str] = []
        for alias, log in request.users.items():
            lines.append(f"## {alias}")
            lines.extend(self._lines(log))
            await asyncio.sleep(0)  # a user takes milliseconds, a batch could hold up the progress bar
        lines.append("##")
        return Reply("\n".join(lines))

    async def aclose(self) -> None:
        """Let go of nothing: no connection is held."""

    def _lines(self, log: UserLog) -> Iterator[str]:
        behaviors = [_as_sent(behavior) for behavior in log.behaviors]
        summarizer = Summarizer(behaviors, self._rules)
        events = segments(behaviors, self._rules, self._detail)
        day = None
        for event, following in zip_longest(events, events[1:]):
            if event.first.date() != day:
                new_year = day is None or event.first.year != day.year
                day = event.first.date()
                yield f"# {day:%Y-%m-%d}" if new_year else f"# {day:%m-%d}"
            span = _span(event, following)
            summary = summarizer.summary(event)
            line = f"{span} {event.kind.name}{self._marks[event.kind.key]}"
            yield f"{line} | {summary}" if summary else line


def _as_sent(behavior: Behavior) -> Behavior:
    """Return the behavior with no more of its texts than a model is sent: rules look at every character."""
    action, item, place = behavior.action, behavior.item, behavior.place
    if max(len(action), len(item), len(place)) <= _LONGEST:
        return behavior
    return behavior._replace(action=_cut(action), item=_cut(item), place=_cut(place))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else " ".join(text.split())[:_LONGEST]


def _marks(rules: Rules, vocabulary: Vocabulary) -> dict[str, str]:
    known = {category.name: category.mark for category in vocabulary.categories}
    known[""] = ""
    for kind in rules.kinds.values():
        if kind.category not in known:
            message = _(
                "the rules file does not hold: types.{key}.category: there is no category {name}; "
                "add it to [[vocabulary.categories]] or change it in a rules file of your own"
            )
            raise ConfigError(message.format(key=kind.key, name=kind.category))
    return {kind.key: known[kind.category] for kind in rules.kinds.values()}


def _span(event: Segment, following: Segment | None) -> str:
    """Print when an event was, by the minute.

    The end reaches no further than the minute in which the next event starts: what starts there belongs to
    that one, so every behavior is covered once.
    """
    start = event.first
    end = event.end.replace(second=0, microsecond=0)
    if following is not None:
        end = min(end, following.first)
    end = max(end, event.last)
    if end == start:
        return f"{start:%H:%M}"
    days = (end.date() - start.date()).days
    if days == 0 or (days == 1 and end.time() < start.time()):
        return f"{start:%H:%M}-{end:%H:%M}"
    if end.year == start.year or days < HALF_A_YEAR:
        return f"{start:%H:%M}-{end:%m-%d %H:%M}"
    return f"{start:%H:%M}-{end:%Y-%m-%d %H:%M}"
