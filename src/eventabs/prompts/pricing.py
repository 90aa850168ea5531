"""What the pieces of blocks cost, each counted once: sums of these are the counts of whole blocks."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from eventabs.prompts.compaction import Compactor
from eventabs.records import Day, Name, PieceCosts

Counts = Callable[[Iterable[str]], list[int]]


def piece_costs(
    compactor: Compactor, counts: Counts, names: Sequence[Name], durations: Sequence[int], days: Sequence[Day]
) -> PieceCosts:
    """Count what `Compactor.block` would cut blocks into, but for their headers."""
    # at the level of days a behavior may end a line or not, at the others it ends one
    within = [compactor.lines_are_days or name.timed for name in names]
    at_end = [compactor.lines_are_days or name.bare for name in names]
    counted = iter(counts(_bodies(compactor, names, within, at_end)))
    lasting = [compactor.duration(seconds) for seconds in durations]
    return PieceCosts(
        bodies=[
            (next(counted) if is_within else 0, next(counted) if is_at_end else 0)
            for is_within, is_at_end in zip(within, at_end, strict=True)
        ],
        durations=list(
            zip(counts(text for text, _end in lasting), counts(end for _text, end in lasting), strict=True)
        ),
        clocks=counts(compactor.clocks),
        days=counts(compactor.day(*day) for day in days),
        lines_are_days=compactor.lines_are_days,
    )


def _bodies(
    compactor: Compactor, names: Sequence[Name], within: Sequence[bool], at_end: Sequence[bool]
) -> Iterator[str]:
    """Yield those forms of each name's body that occur."""
    for (action, item, place, *_uses), is_within, is_at_end in zip(names, within, at_end, strict=True):
        body, end = compactor.body(action, item, place)
        if is_within:
            yield body
        if is_at_end:
            yield end
