"""How summaries put names, counts and times, in each language."""

from collections.abc import Sequence
from dataclasses import dataclass

from eventabs.language import Language

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
