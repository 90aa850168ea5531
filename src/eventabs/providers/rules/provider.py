"""The provider that needs no model: segments of a log become events with a summary, in the form of a reply."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from eventabs.choices import Detail
from eventabs.errors import ConfigError
from eventabs.language import Language, gettext as _
from eventabs.providers.rules.rules_file import EventKind, Rules
from eventabs.providers.rules.segments import Segment, find_segments
from eventabs.records import MAX_CHARACTERS, THING, Behavior, OnContent, Reply, Request, UserLog, Vocabulary

_HALF_YEAR = 180  # days; a reader of replies looks no further ahead for a day without its year


class RulesProvider:
    """Completes requests from the behaviors of their users. Its replies use no tokens."""

    def __init__(self, rules: Rules, vocabulary: Vocabulary, detail: Detail = "day") -> None:
        """Raise ConfigError where a type of the rules has a category that the vocabulary lacks."""
        self._rules = rules
        self._detail = detail
        self._marks = _marks(rules, vocabulary)

    async def complete(self, request: Request, _on_content: OnContent | None = None, /) -> Reply:
        """Return the events of every user in the request, in the `lines` form, all at once."""
        lines: list[str] = []
        for alias, log in request.users.items():
            lines.append(f"## {alias}")
            lines.extend(self._lines(log))
            await asyncio.sleep(0)  # a user takes milliseconds; a whole batch would stall the progress bar
        lines.append("##")
        return Reply("\n".join(lines))

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""

    def _lines(self, log: UserLog) -> Iterator[str]:
        behaviors = [_shortened(behavior) for behavior in log.behaviors]
        summarizer = Summarizer(behaviors, self._rules)
        segments = find_segments(behaviors, self._rules, self._detail)
        day = None
        for segment, following in zip_longest(segments, segments[1:]):
            if segment.first.date() != day:
                is_new_year = day is None or segment.first.year != day.year
                day = segment.first.date()
                yield f"# {day:%Y-%m-%d}" if is_new_year else f"# {day:%m-%d}"
            line = f"{_span(segment, following)} {segment.kind.name}{self._marks[segment.kind.key]}"
            summary = summarizer.summary(segment)
            yield f"{line} | {summary}" if summary else line


def rule_events(log: UserLog, rules: Rules, detail: Detail) -> list[tuple[list[int], str]]:
    """Return the events of a log as the rules make them: the positions of their behaviors, and their type."""
    places = defaultdict[Behavior, list[int]](list)
    behaviors = [_shortened(behavior) for behavior in log.behaviors]
    for place in reversed(range(len(behaviors))):
        places[behaviors[place]].append(place)
    return [
        ([places[behavior].pop() for behavior, _kind in segment.behaviors], segment.kind.name)
        for segment in find_segments(behaviors, rules, detail)
    ]


def _shortened(behavior: Behavior) -> Behavior:
    """Return the behavior as rules take it: its texts as short as in a prompt, and a thing as free text."""
    texts = behavior.action, behavior.item, behavior.place
    action, item, place = (
        text if len(text) <= MAX_CHARACTERS else " ".join(text.split())[:MAX_CHARACTERS] for text in texts
    )
    return behavior._replace(action="" if action == THING else action, item=item, place=place)


def _marks(rules: Rules, vocabulary: Vocabulary) -> dict[str, str]:
    known = {"": ""} | {category.name: category.mark for category in vocabulary.categories}
    for kind in rules.kinds.values():
        if kind.category not in known:
            message = _(
                "the rules file does not hold: types.{key}.category: there is no category {name}; "
                "add it to [[vocabulary.categories]] or change it in a rules file of your own"
            )
            raise ConfigError(message.format(key=kind.key, name=kind.category))
    return {kind.key: known[kind.category] for kind in rules.kinds.values()}


def _span(segment: Segment, following: Segment | None) -> str:
    """Return the times of an event, to the minute.

    It ends no later than the minute in which the next event starts: what starts there belongs to
    that one, so every behavior is covered once.
    """
    start = segment.first
    end = segment.end.replace(second=0, microsecond=0)
    end = max(segment.last, min(end, following.first) if following else end)
    if end == start:
        return f"{start:%H:%M}"
    days = (end.date() - start.date()).days
    if days == 0 or (days == 1 and end.time() < start.time()):
        return f"{start:%H:%M}-{end:%H:%M}"
    if end.year == start.year or days < _HALF_YEAR:
        return f"{start:%H:%M}-{end:%m-%d %H:%M}"
    return f"{start:%H:%M}-{end:%Y-%m-%d %H:%M}"


_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400  # seconds
_NAME_WIDTH = 40  # columns of one name in a summary


@dataclass(frozen=True, slots=True)
class Wording:
    """The phrases of one language. `max_width`: columns of a summary."""

    max_width: int
    list_separator: str
    clause_separator: str
    theme_separator: str
    word_separator: str
    names_of_many: str
    place_of_many: str
    times: str
    total: str
    units: tuple[str, str, str, str]  # days, hours, minutes, seconds

    def action(self, verb: str, noun: str) -> str:
        """Join a verb and its object."""
        return f"{verb}{self.word_separator}{noun}"

    def duration(self, seconds: int) -> str:
        """Format a duration in its two largest units; "" for none."""
        days, rest = divmod(seconds, _DAY)
        amounts = (days, rest // _HOUR, rest % _HOUR // _MINUTE, seconds if seconds < _MINUTE else 0)
        parts = [unit.format(amount) for unit, amount in zip(self.units, amounts, strict=True) if amount > 0]
        return self.word_separator.join(parts[:2])

    def names(self, names: Sequence[str], *, most: int, room: int) -> str:
        """Join the first names, `most` at most and as many as fit in `room` columns, with the count of all."""
        if len(names) == 1:
            return clip(names[0], max(room, _NAME_WIDTH))
        joined = ""
        for shown in range(min(most, len(names)), 0, -1):
            joined = self.list_separator.join(clip(name, _NAME_WIDTH) for name in names[:shown])
            if shown < len(names):
                joined = self.names_of_many.format(names=joined, count=len(names))
            if width(joined) <= room:
                break
        return joined


def width(text: str) -> int:
    """Count columns as a terminal does, nearly: a Chinese character takes two."""
    return (len(text) + len(text.encode("utf-8", "surrogatepass"))) // 2


def clip(name: str, max_width: int) -> str:
    """Clip a name that is wider than `max_width` columns, with an ellipsis."""
    if width(name) <= max_width:
        return name
    kept = name[:max_width]
    while width(kept + "…") > max_width:
        kept = kept[:-1]
    return kept + "…"


WORDING: dict[Language, Wording] = {
    "zh": Wording(
        max_width=88,
        list_separator="、",
        clause_separator="，",
        theme_separator="；",
        word_separator="",
        names_of_many="{names}等{count}项",
        place_of_many="{}等",
        times="{}次",
        total="共{}",
        units=("{}天", "{}小时", "{}分钟", "{}秒"),
    ),
    "en": Wording(
        max_width=96,
        list_separator=", ",
        clause_separator=", ",
        theme_separator="; ",
        word_separator=" ",
        names_of_many="{names} (of {count})",
        place_of_many="{} etc.",
        times="{}x",
        total=", {}",
        units=("{} d", "{} h", "{} min", "{} s"),
    ),
}


# Actions that deal with a thing somewhere, rather than with the place itself. The first ones say the most.
_LEAD_ACTIONS = ("purchase", "cart", "favorite", "compare")
_ITEM_ACTIONS = frozenset((*_LEAD_ACTIONS, "browse", "click", "search"))
_MENTION_SECONDS = 60  # one mention of a name counts as much, beside the time spent on it

Classified = Sequence[tuple[Behavior, EventKind]]


class Summarizer:
    """Writes the summaries of one user's events."""

    def __init__(self, behaviors: Iterable[Behavior], rules: Rules) -> None:
        self._rules = rules
        self._wording = WORDING[rules.language]
        handled = (b for b in behaviors if b.action in _ITEM_ACTIONS and b.action != "search")
        known = {name for behavior in handled for name in self._item_names(behavior)}
        self._known = sorted(known, key=lambda name: (-len(name), name))  # the longest is the most exact

    def summary(self, segment: Segment) -> str:
        """Summarize the heaviest theme: what, how often and how long; then other themes, as room allows."""
        themes = _by_theme(segment)
        text = ""
        for kind, behaviors in themes:
            deals_with_items = any(behavior.action in _ITEM_ACTIONS for behavior, _kind in behaviors)
            make_clause = self._item_clause if deals_with_items else self._stay_clause
            clause = make_clause(kind, behaviors, brief=len(themes) > 1)
            joined = text + self._wording.theme_separator + clause if text else clause
            if not text or width(joined) <= self._wording.max_width:
                text = joined
        return text.strip()

    def _stay_clause(self, kind: EventKind, behaviors: Classified, *, brief: bool) -> str:
        """Name places, used apps, or the free text."""
        plain = [behavior for behavior, _kind in behaviors]
        extent = self._extent(plain, [self._wording.times.format(len(plain))])
        are_places = all(behavior.action == "visit" and not behavior.in_own_words for behavior in plain)
        phrase = kind.phrase if are_places else "{}"
        room = self._wording.max_width - width(phrase.replace("{}", "") + extent)
        return phrase.replace("{}", self._top_names(plain, most=2 if brief else 3, room=room)) + extent

    def _item_clause(self, kind: EventKind, behaviors: Classified, *, brief: bool) -> str:
        """Name items, how often with which action, how long, and where."""
        wording = self._wording
        plain = [behavior for behavior, _kind in behaviors]
        lead = _lead_action(kind, behaviors)
        extent = self._extent(plain, self._action_counts(plain, lead))
        about = [behavior for behavior in plain if behavior.action == lead] if lead else plain
        room = wording.max_width - width(wording.action(self._verb(lead), extent))
        text = self._top_names(about, most=2 if brief else 3, room=room)
        if lead and not any(behavior.in_own_words for behavior in about):
            text = wording.action(self._verb(lead), text)
        text += extent
        sites = _ranked(
            (self._rules.clean(_site(behavior)), behavior) for behavior in plain if _site(behavior)
        )
        place = wording.place_of_many if len(sites) > 1 else "{}"
        where = wording.clause_separator + place.format(sites[0]) if sites else ""
        return text if brief or width(text + where) > wording.max_width else text + where

    def _extent(self, behaviors: Sequence[Behavior], counts: Sequence[str]) -> str:
        """Return how often and how long something was done, as a clause."""
        wording = self._wording
        duration = wording.duration(sum(behavior.duration or 0 for behavior in behaviors))
        if len(behaviors) == 1:
            return f" {duration}" if duration else ""
        total = wording.total.format(duration) if duration else ""
        return wording.clause_separator + wording.list_separator.join(counts) + total

    def _action_counts(self, behaviors: Sequence[Behavior], lead: str) -> list[str]:
        times = self._wording.times
        actions = Counter(behavior.action for behavior in behaviors)
        if len(actions) == 1:
            return [times.format(len(behaviors))]
        return [
            self._wording.action(self._verb(action), times.format(count))
            for action, count in actions.most_common()
            if count > 1 or action != lead
        ]

    def _verb(self, action: str) -> str:
        return self._rules.verbs.get(action, action)

    def _top_names(self, behaviors: Sequence[Behavior], *, most: int, room: int) -> str:
        """Return what most behaviors deal with. Used apps count only where no item does."""
        with_items = [behavior for behavior in behaviors if behavior.action in _ITEM_ACTIONS] or behaviors
        names = _ranked((name, behavior) for behavior in with_items for name in self._item_names(behavior))
        return self._wording.names(names, most=most, room=room) if names else ""

    def _item_names(self, behavior: Behavior) -> list[str]:
        """Return the cleaned names that a behavior deals with; of a bare query, a known name in it, if any."""
        parts = [behavior.item or behavior.place]
        if behavior.action == "compare" and self._rules.separators:
            parts = self._rules.separators.split(behavior.item)
        names = [name for part in parts if (name := self._rules.clean(part))]
        if behavior.action == "search" and not behavior.in_own_words:
            return [next((known for known in self._known if known in name), name) for name in names]
        return names


def _by_theme(segment: Segment) -> list[tuple[EventKind, Classified]]:
    """Group a segment by theme, each under its heaviest kind: what stands alone first, then by weight."""
    grouped: dict[str, list[tuple[Behavior, EventKind]]] = {}
    for behavior, kind in segment.behaviors:
        grouped.setdefault(kind.theme, []).append((behavior, kind))
    heaviest: dict[str, EventKind] = {}
    weights = dict.fromkeys(grouped, 0.0)
    for kind in sorted(segment.weights, key=segment.rank, reverse=True):
        heaviest.setdefault(kind.theme, kind)
        weights[kind.theme] += segment.weights[kind]
    themes = sorted(grouped, key=lambda theme: (heaviest[theme].alone, weights[theme]), reverse=True)
    return [(heaviest[theme], grouped[theme]) for theme in themes]


def _lead_action(kind: EventKind, behaviors: Classified) -> str:
    """Return the action that a clause begins with: the only one, or the first of those that give the kind."""
    actions = {behavior.action for behavior, _kind in behaviors}
    if len(actions) == 1:
        return actions.pop()
    of_kind = {behavior.action for behavior, its_kind in behaviors if its_kind is kind}
    return next((action for action in _LEAD_ACTIONS if action in of_kind), "")


def _site(behavior: Behavior) -> str:
    return behavior.item if behavior.action == "use" else behavior.place


def _ranked(mentions: Iterable[tuple[str, Behavior]]) -> list[str]:
    """Order names by mentions and time; the first mentioned wins a tie."""
    weights: Counter[str] = Counter()
    for name, behavior in mentions:
        weights[name] += _MENTION_SECONDS + (behavior.duration or 0)
    return [name for name, _weight in weights.most_common()]
