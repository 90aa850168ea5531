"""What a stretch of behaviors was about, in one short line."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from eventabs.language import Language
from eventabs.providers.rules.book import Kind, Rules
from eventabs.providers.rules.segments import Segment
from eventabs.records import Behavior

A_MINUTE, AN_HOUR, A_DAY = 60, 3_600, 86_400  # seconds


@dataclass(frozen=True, slots=True)
class Wording:
    """The phrases of one language. `longest`: width of a summary; `longest_name`: of one name in it."""

    longest: int
    longest_name: int
    and_: str
    then: str
    next_theme: str
    gap: str  # between words
    selection: str
    one_of_many: str
    times: str
    total: str
    units: tuple[str, str, str, str]  # days, hours, minutes, seconds

    def deed(self, verb: str, what: str) -> str:
        """Say what was done with what."""
        return f"{verb}{self.gap}{what}"

    def time(self, seconds: int) -> str:
        """Say how long, in the two largest units; "" for no time."""
        days, rest = divmod(seconds, A_DAY)
        amounts = (days, rest // AN_HOUR, rest % AN_HOUR // A_MINUTE, seconds if seconds < A_MINUTE else 0)
        said = [unit.format(amount) for unit, amount in zip(self.units, amounts, strict=True) if amount > 0]
        return self.gap.join(said[:2])

    def amount(self, counts: Sequence[str], seconds: int) -> str:
        """Say how often, and how long in all."""
        total = self.total.format(self.time(seconds)) if seconds > 0 else ""
        return self.and_.join(counts) + total

    def names(self, names: Sequence[str], *, most: int, room: int) -> str:
        """Join the first names, `most` at most and as many as fit, and say how many there are in all."""
        if len(names) == 1:
            return clipped(names[0], max(room, self.longest_name))
        shown = min(most, len(names))
        while width(joined := self._first(names, shown)) > room and shown > 1:
            shown -= 1
        return joined

    def _first(self, names: Sequence[str], shown: int) -> str:
        joined = self.and_.join(clipped(name, self.longest_name) for name in names[:shown])
        return joined if shown == len(names) else self.selection.format(names=joined, count=len(names))

    def place(self, names: Sequence[str]) -> str:
        """Name the first of the places, and whether there are more."""
        return names[0] if len(names) == 1 else self.one_of_many.format(names[0])


def width(text: str) -> int:
    """Count columns as a terminal does, nearly: a Chinese character takes two."""
    return (len(text) + len(text.encode("utf-8", "surrogatepass"))) // 2


def clipped(name: str, longest: int) -> str:
    """Cut a name that is wider than `longest` columns, and show that it is cut."""
    if width(name) <= longest:
        return name
    kept = name[:longest]
    while width(kept + "…") > longest:
        kept = kept[:-1]
    return kept + "…"


WORDING: dict[Language, Wording] = {
    "zh": Wording(
        longest=88,
        longest_name=40,
        and_="、",
        then="，",
        next_theme="；",
        gap="",
        selection="{names}等{count}项",
        one_of_many="{}等",
        times="{}次",
        total="共{}",
        units=("{}天", "{}小时", "{}分钟", "{}秒"),
    ),
    "en": Wording(
        longest=96,
        longest_name=40,
        and_=", ",
        then=", ",
        next_theme="; ",
        gap=" ",
        selection="{names} (of {count})",
        one_of_many="{} etc.",
        times="{}x",
        total=", {}",
        units=("{} d", "{} h", "{} min", "{} s"),
    ),
}


# Actions that deal with a thing somewhere, rather than with the place itself. The first ones say the most.
TELLING = ("purchase", "cart", "favorite", "compare")
LOOKING = frozenset((*TELLING, "browse", "click", "search"))
MENTION = 60  # seconds that one mention of a name counts for, beside the time spent on it

Classified = Sequence[tuple[Behavior, Kind]]


class Summarizer:
    """Writes the summaries of one user's events."""

    def __init__(self, behaviors: Iterable[Behavior], rules: Rules) -> None:
        self._rules = rules
        self._wording = WORDING[rules.language]
        dealt_with = (b for b in behaviors if b.action in LOOKING and b.action != "search")
        known = {name for behavior in dealt_with for name in self._things(behavior)}
        self._known = sorted(
            known, key=lambda name: (-len(name), name)
        )  # the longest, so the most exact, first

    def summary(self, stretch: Segment) -> str:
        """Name what was dealt with most, how often and how long; other themes behind, as room allows."""
        themes = _by_theme(stretch)
        text = ""
        for kind, behaviors in themes:
            clause = self._clause(kind, behaviors, brief=len(themes) > 1)
            joined = text + self._wording.next_theme + clause if text else clause
            if not text or width(joined) <= self._wording.longest:
                text = joined
        return text.strip()

    def _clause(self, kind: Kind, behaviors: Classified, *, brief: bool) -> str:
        if any(behavior.action in LOOKING for behavior, _kind in behaviors):
            return self._looking(kind, behaviors, brief=brief)
        return self._staying(kind, [behavior for behavior, _kind in behaviors], brief=brief)

    def _staying(self, kind: Kind, behaviors: Sequence[Behavior], *, brief: bool) -> str:
        """Say where somebody was, which apps were used, or what the free text says."""
        wording = self._wording
        seconds = _seconds(behaviors)
        if len(behaviors) == 1:
            how_much = f" {wording.time(seconds)}" if seconds else ""
        else:
            how_much = wording.then + wording.amount([wording.times.format(len(behaviors))], seconds)
        phrase = kind.phrase if all(behavior.action == "visit" for behavior in behaviors) else "{}"
        room = wording.longest - width(phrase.replace("{}", "") + how_much)
        return phrase.replace("{}", self._top(behaviors, most=2 if brief else 3, room=room)) + how_much

    def _looking(self, kind: Kind, behaviors: Classified, *, brief: bool) -> str:
        """Say which things were looked at, how often in which way, how long, and where."""
        wording = self._wording
        plain = [behavior for behavior, _kind in behaviors]
        lead = _lead(kind, behaviors)
        how_much = self._how_much(plain, lead)
        about = [behavior for behavior in plain if behavior.action == lead] if lead else plain
        room = wording.longest - width(wording.deed(self._verb(lead), how_much))
        text = self._top(about, most=2 if brief else 3, room=room)
        if lead:
            text = wording.deed(self._verb(lead), text)
        text += how_much
        sites = _ranked(
            (self._rules.clean(_site(behavior)), behavior) for behavior in plain if _site(behavior)
        )
        where = wording.then + wording.place(sites) if sites else ""
        return text if brief or width(text + where) > wording.longest else text + where

    def _how_much(self, behaviors: Sequence[Behavior], lead: str) -> str:
        wording = self._wording
        actions = Counter(behavior.action for behavior in behaviors)
        if len(behaviors) == 1:
            time = wording.time(_seconds(behaviors))
            return f" {time}" if time else ""
        if len(actions) == 1:
            counts = [wording.times.format(len(behaviors))]
        else:
            counts = [
                wording.deed(self._verb(action), wording.times.format(count))
                for action, count in actions.most_common()
                if count > 1 or action != lead
            ]
        return wording.then + wording.amount(counts, _seconds(behaviors))

    def _verb(self, action: str) -> str:
        return self._rules.verbs.get(action, action)

    def _top(self, behaviors: Sequence[Behavior], *, most: int, room: int) -> str:
        """Name what the behaviors deal with most. An app that was used counts only where nothing else does."""
        of_things = [behavior for behavior in behaviors if behavior.action in LOOKING] or behaviors
        names = _ranked((name, behavior) for behavior in of_things for name in self._things(behavior))
        return self._wording.names(names, most=most, room=room) if names else ""

    def _things(self, behavior: Behavior) -> list[str]:
        """Return the names that a behavior deals with, cleaned up; of a query the known name in it, if any."""
        parts = [behavior.item or behavior.place]
        if behavior.action == "compare" and self._rules.separators:
            parts = self._rules.separators.split(behavior.item)
        names = [name for part in parts if (name := self._rules.clean(part))]
        if behavior.action == "search":
            return [next((known for known in self._known if known in name), name) for name in names]
        return names


def _by_theme(stretch: Segment) -> list[tuple[Kind, Classified]]:
    """Group a stretch by theme, each under its heaviest kind: what stands alone first, then by weight."""
    grouped: dict[str, list[tuple[Behavior, Kind]]] = {}
    for behavior, kind in stretch.behaviors:
        grouped.setdefault(kind.theme, []).append((behavior, kind))
    heaviest: dict[str, Kind] = {}
    weights: dict[str, float] = dict.fromkeys(grouped, 0.0)
    for kind in sorted(stretch.weights, key=stretch.importance, reverse=True):
        heaviest.setdefault(kind.theme, kind)
        weights[kind.theme] += stretch.weights[kind]
    themes = sorted(grouped, key=lambda theme: (heaviest[theme].alone, weights[theme]), reverse=True)
    return [(heaviest[theme], grouped[theme]) for theme in themes]


def _lead(kind: Kind, behaviors: Classified) -> str:
    """Return the action that a clause begins with: the only one, or the telling one that gives the kind."""
    actions = {behavior.action for behavior, _kind in behaviors}
    if len(actions) == 1:
        return actions.pop()
    of_kind = {behavior.action for behavior, its_kind in behaviors if its_kind is kind}
    return next((action for action in TELLING if action in of_kind), "")


def _seconds(behaviors: Iterable[Behavior]) -> int:
    return sum(behavior.duration or 0 for behavior in behaviors)


def _site(behavior: Behavior) -> str:
    return behavior.item if behavior.action == "use" else behavior.place


def _ranked(mentions: Iterable[tuple[str, Behavior]]) -> list[str]:
    """Order names by how much they were dealt with; the first mentioned wins a tie."""
    dealt: Counter[str] = Counter()
    for name, behavior in mentions:
        dealt[name] += MENTION + (behavior.duration or 0)
    return [name for name, _weight in dealt.most_common()]
