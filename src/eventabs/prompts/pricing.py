"""What the pieces of blocks cost, each counted once: sums of these are the counts of whole blocks."""

from collections.abc import Callable, Sequence

from eventabs.prompts.compaction import Compactor
from eventabs.records import Day, Name, PieceCosts

Counts = Callable[[Sequence[str]], list[int]]


def piece_costs(
    compactor: Compactor, counts: Counts, names: Sequence[Name], durations: Sequence[int], days: Sequence[Day]
) -> PieceCosts:
    """Count what `Compactor.block` would cut blocks into, but for their headers."""
    # at the level of days a behavior may end a line or not, at the others it ends one
    within = [compactor.lines_are_days or name.timed for name in names]
    at_end = [compactor.lines_are_days or name.bare for name in names]
    bodies = [compactor.body(name.action, name.item, name.place) for name in names]
    inner = iter(counts([body for (body, _end), needed in zip(bodies, within, strict=True) if needed]))
    ends = iter(counts([end for (_body, end), needed in zip(bodies, at_end, strict=True) if needed]))
    lasting = [compactor.duration(seconds) for seconds in durations]
    return PieceCosts(
        bodies=[
            (next(inner) if is_within else 0, next(ends) if is_at_end else 0)
            for is_within, is_at_end in zip(within, at_end, strict=True)
        ],
        durations=list(
            zip(
                counts([text for text, _end in lasting]), counts([end for _text, end in lasting]), strict=True
            )
        ),
        clocks=counts(compactor.clocks),
        days=counts([compactor.day(*day) for day in days]),
        lines_are_days=compactor.lines_are_days,
    )
