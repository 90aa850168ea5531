"""An event as a row of cells: the times first, then type, category and summary."""

import re
from collections.abc import Sequence

from eventabs.events.claims import Claim, Day, Moment
from eventabs.events.times import Span, read_cell

_MOST_CELLS = 12
_BAR = re.compile(r"[|｜│¦]")


def split_bars(text: str) -> list[str]:
    """Split at bars, also full-width ones."""
    return [cell.strip() for cell in _BAR.split(text)]


def told(cells: Sequence[str]) -> tuple[str, str, str]:
    """Return type, category and summary of the cells behind the times.

    Of two cells the second is the summary; whether it is rather a category, the vocabulary knows.
    """
    kind, *others = cells or [""]
    if len(others) <= 1:
        return kind, "", "".join(others)
    return kind, others[0], " ".join(other for other in others[1:] if other)


def read_cells(cells: Sequence[object], day: Day | None) -> Claim | None:
    """Read a row such as [start, end, type, category, summary]; None where it is no event."""
    moments: list[Moment] = []
    position = 0
    for position, cell in enumerate(cells[:_MOST_CELLS]):  # noqa: B007 - where the times end
        found = None if len(moments) > 1 else read_cell(cell, day)
        if isinstance(found, Day):
            day = found
        elif isinstance(found, Span):
            moments += [found.start, found.end] if found.end else [found.start]
            day = found.start.day
        elif not (cell is None and moments):
            break
    else:
        return None
    texts = ["" if cell is None else cell for cell in cells[position:_MOST_CELLS]]
    words = [text for text in texts if isinstance(text, str)]
    kind, category, summary = told(words)
    if not moments or not kind:
        return None
    return Claim(moments[0], moments[1] if len(moments) > 1 else None, kind, category, summary)
