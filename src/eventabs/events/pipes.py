"""Rows with a user in front: `U1|2026-01-01 10:00|2026-01-01 11:14|用餐|...`, also as a Markdown table."""

from collections.abc import Iterator
from io import StringIO

from eventabs.events.aliases import Aliases
from eventabs.events.cells import read_cells, split_bars
from eventabs.events.claims import Block

_LONGEST = 2_000
_FEWEST_CELLS = 3


def read_rows(text: str, aliases: Aliases) -> Iterator[Block]:
    """Read the rows of each user, wherever they stand.

    A user is closed when rows of another follow and theirs do not come back; the last one by `##`.
    """
    blocks: dict[str, Block] = {}
    last, back, ended = None, False, False
    for line in StringIO(text, newline=None):
        cells = split_bars(line[:_LONGEST].strip().strip("|｜"))
        if len(cells) < _FEWEST_CELLS:
            ended = ended or cells == ["##"]
            continue
        alias = aliases.find(cells[0])
        if alias is None:
            continue
        back = back or (alias != last and alias in blocks)
        last, ended = alias, False
        if alias not in blocks:
            blocks[alias] = aliases.block(alias)
        blocks[alias].add(read_cells(cells[1:], None))
    for alias, block in blocks.items():
        block.closed = ended or not (back or alias == last)
        yield block
