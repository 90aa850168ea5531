"""The grammar and the examples of docs/formats.md, read from the page itself."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings, strategies as st

from eventabs.replies.forms import Aliases, is_strict, read_lines
from paths import ROOT
from reply_cases import USERS, read, told

PAGE = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
PAGE = PAGE[PAGE.index("## The reply") :]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


SPECIAL = {
    "the one-character mark of a category in the config": "!",
    "any character but white space and bars": r"[^\s|｜│¦]",
    "any character but white space": r"\S",
    "line feed": r"\n",
}
SYMBOL = re.compile(r'"[^"]*"|\?.*?\?|[A-Za-z_]+|[=,|;()\[\]{}]')
CLOSING = {"(": ")", "[": "]", "{": "}"}
QUANTIFIER = {"(": "", "[": "?", "{": "*"}


def regex_of(rules: dict[str, list[str]], name: str) -> str:
    """Translate a rule without recursion into a regular expression."""
    return alternatives(iter(rules[name]), "", rules)


def alternatives(symbols: Iterator[str], until: str, rules: dict[str, list[str]]) -> str:
    parts = []
    for symbol in symbols:
        if symbol == until:
            break
        if symbol in CLOSING:
            parts.append(alternatives(symbols, CLOSING[symbol], rules) + QUANTIFIER[symbol])
        elif symbol == "|":
            parts.append("|")
        elif symbol[0] == '"':
            parts.append(re.escape(symbol[1:-1]))
        elif symbol.startswith("?"):
            parts.append(SPECIAL[symbol.strip("? ")])
        elif symbol != ",":
            parts.append(regex_of(rules, symbol))
    return f"(?:{''.join(parts)})"


def grammar(text: str) -> str:
    rules = {}
    for rule in re.split(r";\s*\n", text):
        if rule.strip():
            name, equals, *symbols = SYMBOL.findall(rule)
            assert equals == "="
            rules[name] = symbols
    return regex_of(rules, "reply")


REPLY = grammar(blocks("ebnf")[0])
SHORT_REPLY = REPLY.replace(")*", "){0,2}")  # the same, with few repetitions


@settings(max_examples=60, deadline=None)
@given(st.from_regex(SHORT_REPLY, fullmatch=True))
@example("## U1\n# 01-01\n10:00 . | ¦\n##")
def test_every_text_of_the_grammar_is_read_strictly_and_whole(text: str) -> None:
    assert is_strict(text)
    users = len(re.findall(r"^## U", text, re.MULTILINE))
    events = len(re.findall(r"^\d\d:\d\d", text, re.MULTILINE))
    read_back = list(
        read_lines(text, Aliases(dict.fromkeys(re.findall(r"^## (U\d+)$", text, re.MULTILINE), 100)))
    )
    assert len(read_back) == users
    assert all(block.closed for block in read_back)
    assert sum(len(block.claims) for block in read_back) == events


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_what_is_strict_is_what_the_grammar_says(data: st.DataObject) -> None:
    text = blocks("lines")[0]
    at = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 3))
    put = data.draw(st.text("#U| -:!\n0239用", max_size=3))
    changed = text[:at] + put + text[at + length :]
    assert is_strict(changed) == (re.fullmatch(REPLY, changed) is not None)


def test_the_examples_of_the_three_forms_say_the_same() -> None:
    lines, (json_lines, schema) = blocks("lines")[0], blocks("json")
    assert told(read(lines)) == told(read(json_lines)) == told(read(schema))
    assert all(event.grounded for outcome in read(lines).outcomes.values() for event in outcome.events)
    assert [len(outcome.events) for outcome in read(lines).outcomes.values()] == [4, 1]


EXAMPLES = re.findall(r"^\| [^|]+ \| `(.*)` \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_variant_on_the_page_is_read_as_the_same_event(example: str) -> None:
    text = f"## U1\n# 2026-01-01\n{example.replace(chr(92) + '|', '|')}\n##\n"
    assert told(read(text, only="U1")) == {
        "U1": [("用餐", "engagement", "2026-01-01T10:00:42", "西餐厅用餐", (0,))]
    }


def test_the_page_has_the_variants() -> None:
    assert len(EXAMPLES) == 6


def test_the_reasons_on_the_page_are_those_that_reading_gives() -> None:
    reasons = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    replies = [
        read("## U1\n# 01-01\n10:00 a\n", "length"),
        read("## U1\n# 01-01\n10:00 a\n##"),
        read("## U1\n# 01-01\n03:00 a\n##"),
        read("## U1\n# 01-01\n" + "10:00 a\n" * 1000 + "##"),
        read("## U1\n# 01-01\n" + "10:00 somewhere 1h14m\n" * 5 + "##"),
        read(""),
        read("I cannot help with that."),
        read("hello"),
        read("", "content_filter"),
    ]
    assert reasons == {o.reason for reply in replies for o in reply.outcomes.values() if o.reason}
    assert USERS.keys() == replies[0].outcomes.keys()
