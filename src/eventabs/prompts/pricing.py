"""What the pieces of blocks cost, each counted once: sums of these are the counts of whole blocks."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from eventabs.prompts.compaction import Body, Compactor
from eventabs.records import Day, Name, PieceCosts

_BEFORE = "0"  # like a clock: a visible character before the space of a body, so that counts add up
_DURATION = " 0\n"  # like a duration, before which a body does not end its line

Counts = Callable[[Iterable[str]], list[int]]


def piece_costs(
    compactor: Compactor, counts: Counts, names: Sequence[Name], durations: Sequence[int], days: Sequence[Day]
) -> PieceCosts:
    """Count what `Compactor.block` would cut blocks into, but for their headers."""
    bodies = [(0, 0)] * len(names)
    single: dict[int, list[tuple[Body, bool]]] = {}
    repeated: list[tuple[int, Body]] = []
    for position, name in enumerate(names):
        body = compactor.body(name.action, name.item, name.place)
        if name.only_user is None or compactor.lines_are_days or not body[0]:
            repeated.append((position, body))
        else:
            single.setdefault(name.only_user, []).append((body, name.timed))
    within = counts(body for _position, (body, _end) in repeated)
    at_end = counts(end for _position, (_body, end) in repeated)
    for (position, _body), *pair in zip(repeated, within, at_end, strict=True):
        bodies[position] = pair[0], pair[1]
    lasting = [compactor.duration(seconds) for seconds in durations]
    return PieceCosts(
        bodies=bodies,
        single=_single_costs(single, counts),
        durations=list(
            zip(counts(text for text, _end in lasting), counts(end for _text, end in lasting), strict=True)
        ),
        clocks=counts(compactor.clocks),
        days=counts(compactor.day(*day) for day in days),
        lines_are_days=compactor.lines_are_days,
    )


def _single_costs(single: Mapping[int, Sequence[tuple[Body, bool]]], counts: Counts) -> dict[int, int]:
    """Count bodies that occur once, with a duration behind them or not, all of a user's at once.

    A few long texts are counted faster than many short ones.
    """
    before, duration = counts((_BEFORE, _DURATION))
    costs = counts(
        "".join(
            f"{_BEFORE}{body}{_DURATION}" if is_timed else f"{_BEFORE}{end}"
            for (body, end), is_timed in bodies
        )
        for bodies in single.values()
    )
    return {
        user: cost - before * len(bodies) - duration * sum(is_timed for _body, is_timed in bodies)
        for (user, bodies), cost in zip(single.items(), costs, strict=True)
    }
