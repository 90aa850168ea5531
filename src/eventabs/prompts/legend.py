"""Which texts are worth a short code, and which codes those are."""

from collections import deque
from collections.abc import Callable, Mapping
from itertools import product
from string import ascii_uppercase

CODES = (*ascii_uppercase, *map("".join, product(ascii_uppercase, repeat=2)))


def make_legend(uses: Mapping[str, int], share: float, count: Callable[[str], int]) -> dict[str, str]:
    """Give codes to the texts that cost fewer tokens so; return the texts by code.

    `uses` says how often each text was seen, `share` how much of that a batch is expected to hold. A text
    is worth a code when its uses in a batch save more than its line of the legend costs. Those that save
    most get the codes that cost least.
    """
    codes = deque(sorted(CODES, key=lambda code: (count(f" {code}"), len(code))))

    def saved(text: str) -> float:
        code = codes[0]
        gain = (count(f" {text}") - count(f" {code}")) * uses[text] * share
        return gain - count(f"{code}={text}\n")

    legend = {}
    for text in sorted(filter(lambda text: saved(text) > 0, uses), key=lambda text: (-saved(text), text)):
        if not codes:
            break
        if saved(text) > 0:  # the codes that are left may cost more than the first one did
            legend[codes.popleft()] = text
    return legend
