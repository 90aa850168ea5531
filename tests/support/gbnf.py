"""Grammars of llama.cpp (GBNF) without recursion: as regular expressions, and texts drawn from them."""

import re
from functools import cache
from random import Random
from typing import Any

TOKEN = re.compile(
    r'(?P<literal>"(?:[^"\\]|\\.)*")|(?P<set>\[(?:[^\]\\]|\\.)*\])|(?P<name>[a-zA-Z][a-zA-Z0-9-]*)'
    r"|(?P<count>\{\d+,\d+\}|\?)|(?P<sign>[()|])|\s+"
)
ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
Item = tuple[str, Any, int, int]  # literal, set, rule or group; what; how often, from and to
Choices = list[list[Item]]


class Gbnf:
    """A grammar. Raises KeyError for a rule that it names and has not."""

    def __init__(self, text: str) -> None:
        self._rules = dict(line.split(" ::= ", 1) for line in text.splitlines() if line)
        self.parse = cache(self._parse)
        self._pattern = re.compile(self._pattern_of(self.parse("root")))

    def accepts(self, text: str) -> bool:
        """Whether the whole text is one of the grammar."""
        return self._pattern.fullmatch(text) is not None

    def draw(self, random: Random, alphabet: str) -> str:
        """Return a text of the grammar; of a set it takes only characters of the alphabet."""
        return self._drawn(self.parse("root"), random, alphabet)

    def _parse(self, name: str) -> Choices:
        levels: list[Choices] = [[[]]]
        for token in TOKEN.finditer(self._rules[name]):
            if token["count"]:
                low, high = (0, 1) if token["count"] == "?" else map(int, token["count"][1:-1].split(","))
                levels[-1][-1][-1] = (*levels[-1][-1][-1][:2], low, high)
            elif token["sign"] == "(":
                levels.append([[]])
            elif token["sign"] == ")":
                group = levels.pop()
                levels[-1][-1].append(("group", group, 1, 1))
            elif token["sign"] == "|":
                levels[-1].append([])
            elif token["literal"]:
                text = re.sub(r"\\(.)", lambda found: ESCAPES.get(found[1], found[1]), token["literal"][1:-1])
                levels[-1][-1].append(("literal", text, 1, 1))
            elif token["set"] or token["name"]:
                levels[-1][-1].append((token.lastgroup or "", token[0], 1, 1))
        return levels[0]

    def _pattern_of(self, choices: Choices) -> str:
        return "|".join("".join(map(self._item_pattern, items)) for items in choices)

    def _item_pattern(self, item: Item) -> str:
        kind, what, low, high = item
        match kind:
            case "literal":
                inner = re.escape(str(what))
            case "set":
                inner = str(what)
            case _:
                inner = self._pattern_of(self._inside(item))
        return f"(?:{inner}){{{low},{high}}}"

    def _inside(self, item: Item) -> Choices:
        found: Choices = self.parse(item[1]) if item[0] == "name" else item[1]
        return found

    def _drawn(self, choices: Choices, random: Random, alphabet: str) -> str:
        pieces = []
        for item in random.choice(choices):
            kind, what, low, high = item
            for _time in range(random.randint(low, min(high, low + 5))):
                if kind == "literal":
                    pieces.append(str(what))
                elif kind == "set":
                    pieces.append(random.choice([each for each in alphabet if re.fullmatch(str(what), each)]))
                else:
                    pieces.append(self._drawn(self._inside(item), random, alphabet))
        return "".join(pieces)


def accepts(grammar: str, text: str) -> bool:
    """Whether the whole text is one of the grammar."""
    return Gbnf(grammar).accepts(text)
